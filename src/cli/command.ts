import { Api } from './api.ts';
import { CONNECTION_FLAGS, connect } from './connection.ts';
import { Failure } from './failure.ts';
import { describeFlags, type Flags, parseFlags, type Values } from './flags.ts';
import { type Screen, screenOf } from './screen.ts';
import { type Command, UsageError, type Verb } from './verb.ts';

/** A command over the admin API, as its file describes it. */
interface ApiCommand<F extends Flags> {
  /** With its verb, such as `services logs`. */
  readonly name: string;
  readonly summary: string;
  /** What stands between the name and the options, such as `SERVICE`; in brackets what may be left out. */
  readonly operands: readonly string[];
  /** Sentences for the help. */
  readonly about: string;
  readonly flags: F;
  /** Lines to type. */
  readonly examples: readonly string[];
  run(call: Call<F>): Promise<number>;
}

/** One call of a command. */
export interface Call<F extends Flags> {
  readonly values: Values<F>;
  readonly operands: readonly string[];
  readonly screen: Screen;
  /** Signs in where the user asked for that. To be called once the rest of the command line was understood. */
  readonly connect: () => Promise<Api>;
}

/** Every command over the admin API takes it that can answer with JSON. */
export const JSON_FLAG = { json: { help: 'print the API’s answer as JSON' } } as const satisfies Flags;

export function apiCommand<F extends Flags>(description: ApiCommand<F>): Command {
  const { name, summary, operands, flags } = description;
  const all = { ...flags, ...CONNECTION_FLAGS };
  return {
    summary,
    help: helpOf(description),
    async run(args, io) {
      try {
        const given = parseFlags(all, args);
        checkOperands(operands, given.operands);
        return await description.run({
          values: given.values,
          operands: given.operands,
          screen: screenOf(io),
          connect: async () => new Api(await connect(given.values, io)),
        });
      } catch (error) {
        if (error instanceof UsageError) error.topic ??= name;
        if (!(error instanceof Failure)) throw error;
        const [first = '', ...more] = error.lines;
        io.err([`realmgate ${name}: ${first}`, ...more, ''].join('\n'));
        return 1;
      }
    },
  };
}

/** A verb that is nothing but its commands. */
export function group(name: string, summary: string, commands: Readonly<Record<string, Command>>): Verb {
  const width = Math.max(...Object.keys(commands).map(({ length }) => length)) + 2;
  const lines = Object.entries(commands).map(
    ([each, { summary: what }]) => `  ${each.padEnd(width)}${what}\n`,
  );
  return {
    summary,
    commands,
    help: `realmgate ${name} COMMAND ...\n\n${lines.join('')}\nrealmgate ${name} COMMAND --help tells more, with examples.\n`,
    run(args, io) {
      const [first, ...rest] = args;
      if (first !== undefined && Object.hasOwn(commands, first)) return commands[first]!.run(rest, io);
      const what =
        first === undefined || first.startsWith('-') ? 'needs a command' : `has no command "${first}"`;
      throw new UsageError(`${name} ${what}: ${Object.keys(commands).join(', ')}`);
    },
  };
}

function checkOperands(expected: readonly string[], given: readonly string[]): void {
  const missing = expected.slice(given.length).find((name) => !name.startsWith('['));
  if (missing !== undefined) throw new UsageError(`${missing} is missing`);
  if (given.includes('')) throw new UsageError(`${expected[given.indexOf('')] ?? 'an argument'} is empty`);
  if (given.length > expected.length) {
    throw new UsageError(
      expected.length === 0
        ? 'only options are taken'
        : `only ${expected.join(' ')} is taken before the options`,
    );
  }
}

function helpOf({ name, operands, about, flags, examples }: ApiCommand<Flags>): string {
  const own = Object.keys(flags).length === 0 ? '' : `Options:\n${describeFlags(flags)}\n`;
  return (
    `realmgate ${[name, ...operands, '[options]'].join(' ')}\n\n${about}\n\n${own}` +
    `Connection:\n${describeFlags(CONNECTION_FLAGS)}\n` +
    `Examples:\n${examples.map((line) => `  ${line}\n`).join('')}`
  );
}
