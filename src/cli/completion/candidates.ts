import type { Command, Verb } from '../verb.ts';
import type { Names } from './names.ts';

export type Verbs = Readonly<Record<string, () => Promise<Verb>>>;

/** What asks for names that only the platform knows; an empty answer where it does not answer. */
export type AskNames = (names: Names, line: readonly string[]) => Promise<readonly string[]>;

/** Nothing else is offered: a shell takes the words apart and looks at some characters. */
const HARMLESS = /^[\w.@/-]+$/;

/** What the last of the words, after `realmgate`, may become. Help texts say which options there are. */
export async function candidates(
  words: readonly string[],
  verbs: Verbs,
  ask: AskNames,
): Promise<readonly string[]> {
  const current = words.at(-1) ?? '';
  const found = await allCandidates(words.slice(0, -1), current, verbs, ask);
  return found.filter((word) => word.startsWith(current) && HARMLESS.test(word)).toSorted();
}

async function allCandidates(
  before: readonly string[],
  current: string,
  verbs: Verbs,
  ask: AskNames,
): Promise<readonly string[]> {
  const [verbName, ...rest] = before;
  if (verbName === undefined) return [...Object.keys(verbs), 'help'];
  if (!Object.hasOwn(verbs, verbName)) return [];
  const { commands, ...verb } = await verbs[verbName]!();
  if (commands === undefined) return ofCommand(verb, rest, current, (names) => ask(names, before));
  const [name, ...line] = rest;
  if (name === undefined) return Object.keys(commands);
  if (!Object.hasOwn(commands, name)) return [];
  return ofCommand(commands[name]!, line, current, (names) => ask(names, before));
}

async function ofCommand(
  { help }: Command,
  line: readonly string[],
  current: string,
  ask: (names: Names) => Promise<readonly string[]>,
): Promise<readonly string[]> {
  const options = optionsIn(help);
  const value = options.get(line.at(-1) ?? '');
  if (value !== undefined && value !== null) {
    if (value.includes('|')) return value.split('|');
    const names = NAMES_OF_OPTIONS[line.at(-1)!];
    return names === undefined ? [] : ask(names);
  }
  if (current.startsWith('-')) return [...options.keys(), '--help'];
  const operands = line.filter(
    (word, i) => !word.startsWith('-') && (options.get(line[i - 1] ?? '') ?? null) === null,
  );
  const names = operands.length === 0 ? namesOfOperand(help) : null;
  return names === null ? [] : ask(names);
}

const NAMES_OF_OPTIONS: Readonly<Record<string, Names>> = {
  '--secret': 'secrets',
  '--credentials': 'secrets',
  '--environment': 'environments',
};

/** The first line of a help text is the usage: `realmgate services logs SERVICE [options]`. */
function namesOfOperand(help: string): Names | null {
  const [, verb, operand] = /^realmgate (\S+) \S+ (\[?[A-Z]+\]?)/.exec(help) ?? [];
  if (operand === 'SERVICE' || operand === '[SERVICE]') return 'services';
  if (operand === 'NAME' && (verb === 'secrets' || verb === 'environments')) return verb;
  return null;
}

/** Every option that a help text names, with the placeholder of its value; null = it takes none. */
function optionsIn(help: string): Map<string, string | null> {
  const options = new Map<string, string | null>();
  for (const [, short, no, name = '', value = null] of help.matchAll(
    /(?:(-[a-zA-Z]), )?--(\[no-\])?([a-z]+(?:-[a-z]+)*)(?: ([A-Z]\S*|[a-z]+\|\S+))?/g,
  )) {
    if (short !== undefined && value !== null) options.set(short, value);
    options.set(`--${name}`, options.get(`--${name}`) ?? value);
    if (no !== undefined) options.set(`--no-${name}`, null);
  }
  return options;
}
