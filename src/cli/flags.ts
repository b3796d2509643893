import { parseArgs, type ParseArgsConfig } from 'node:util';
import { suggest } from '../text/suggest.ts';
import { UsageError } from './verb.ts';

/** One `--name` of a command: parsing, help and completion all come from this. */
export interface Flag {
  /** What stands for its value in the help, such as `URL`; absent = it takes none. */
  readonly value?: string;
  readonly short?: string;
  /** May be given several times. */
  readonly multiple?: true;
  /** `--no-NAME` says the opposite: false, null or the empty list. */
  readonly negatable?: true;
  readonly help: string;
}

export type Flags = Readonly<Record<string, Flag>>;

type Given<F extends Flag> = F extends { readonly multiple: true }
  ? readonly string[]
  : F extends { readonly value: string }
    ? F extends { readonly negatable: true }
      ? string | null
      : string
    : boolean;

/** What the user gave; a flag that was not given is absent. */
export type Values<F extends Flags> = { readonly [Name in keyof F]?: Given<F[Name]> };

interface Parsed<F extends Flags> {
  readonly values: Values<F>;
  readonly operands: readonly string[];
}

/** Throws `UsageError`. No message has the value of an option, which may be a secret. */
export function parseFlags<F extends Flags>(flags: F, args: readonly string[]): Parsed<F> {
  const { tokens } = parseArgs({
    args: [...args],
    options: optionsOf(flags),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const values = new Map<string, string | boolean | null | string[]>();
  const operands: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') operands.push(token.value);
    if (token.kind !== 'option') continue;
    const { name, negated } = nameOf(flags, token.name, token.rawName);
    const flag = flags[name]!;
    if (negated || flag.value === undefined) {
      if (token.value !== undefined) throw new UsageError(`${token.rawName} takes no value`);
      values.set(name, negated ? emptyOf(flag) : true);
      continue;
    }
    const value = valueOf(flag.value, token);
    const before = values.get(name);
    if (flag.multiple === true) values.set(name, Array.isArray(before) ? [...before, value] : [value]);
    else if (before !== undefined) throw new UsageError(`--${name} is given twice`);
    else values.set(name, value);
  }
  return { values: Object.fromEntries(values) as Values<F>, operands };
}

function optionsOf(flags: Flags): NonNullable<ParseArgsConfig['options']> {
  return Object.fromEntries(
    Object.entries(flags).map(([name, { value, short }]) => [
      name,
      {
        type: value === undefined ? 'boolean' : 'string',
        ...(short === undefined ? {} : { short }),
      } as const,
    ]),
  );
}

function nameOf(flags: Flags, name: string, raw: string): { name: string; negated: boolean } {
  if (Object.hasOwn(flags, name)) return { name, negated: false };
  const positive = name.replace(/^no-/, '');
  if (positive !== name && Object.hasOwn(flags, positive) && flags[positive]!.negatable === true) {
    return { name: positive, negated: true };
  }
  const meant = suggest(name, Object.keys(flags));
  throw new UsageError(
    `there is no option ${raw}${meant === null || !raw.startsWith('--') ? '' : `; did you mean --${meant}?`}`,
  );
}

function emptyOf(flag: Flag): false | null | string[] {
  if (flag.multiple === true) return [];
  return flag.value === undefined ? false : null;
}

interface Token {
  readonly rawName: string;
  readonly value: string | undefined;
  readonly inlineValue: boolean | undefined;
}

function valueOf(placeholder: string, { rawName, value, inlineValue }: Token): string {
  if (value === undefined) throw new UsageError(`${rawName} needs its value: ${rawName} ${placeholder}`);
  if (inlineValue !== true && value.length > 1 && value.startsWith('-')) {
    throw new UsageError(
      `${rawName} needs its value, and an option follows it; a value that begins with "-" is given as ${rawName}=...`,
    );
  }
  return value;
}

/** A whole number, as the flag's value. Whether it is in range is the API's to say. */
export function wholeNumber(name: string, text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new UsageError(`--${name} takes a whole number`);
}

/** `KEY=VALUE` of a repeatable flag, each key once; the value may be empty and may have `=` in it. */
export function pairs(name: string, given: readonly string[]): Record<string, string> {
  const found = new Map<string, string>();
  for (const text of given) {
    const at = text.indexOf('=');
    if (at < 1) throw new UsageError(`--${name} takes KEY=VALUE`);
    const key = text.slice(0, at);
    if (found.has(key)) throw new UsageError(`--${name} gives ${key} twice`);
    found.set(key, text.slice(at + 1));
  }
  return Object.fromEntries(found);
}

/** Lines for a help text, the flags in one column and what they do in another. */
export function describeFlags(flags: Flags): string {
  const rows = Object.entries(flags).map(([name, { value, short, negatable, help }]) => {
    const long = `--${negatable === true ? '[no-]' : ''}${name}`;
    return [
      `${short === undefined ? '' : `-${short}, `}${long}${value === undefined ? '' : ` ${value}`}`,
      help,
    ];
  });
  const width = Math.max(...rows.map(([flag = '']) => flag.length)) + 2;
  return rows.map(([flag = '', help = '']) => `  ${flag.padEnd(width)}${help}\n`).join('');
}
