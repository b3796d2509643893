/** The arguments are wrong: the message says which, and the program ends with 64. */
export class WrongUsage extends Error {}

/** A number in an option; anything else is told. */
export function numberOption(name: string, text: string, least: number, most: number, whole = true): number {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : NaN;
  if (!(value >= least && value <= most) || (whole && !Number.isInteger(value))) {
    throw new WrongUsage(`--${name} has to be a ${whole ? 'whole ' : ''}number from ${least} to ${most}`);
  }
  return value;
}

/** One of several words in an option. */
export function wordOption<const T extends string>(name: string, text: string, words: readonly T[]): T {
  const word = words.find((candidate) => candidate === text);
  if (word === undefined) throw new WrongUsage(`--${name} has to be one of ${words.join(', ')}`);
  return word;
}

/**
 * Runs a program of the bench: its result is the exit code; wrong usage is told in one line and ends with 64, any other
 * error with 1.
 */
export async function runProgram(name: string, run: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await run();
  } catch (error) {
    const usage = usageFault(error);
    const message = usage ?? (error instanceof Error ? error.message : String(error));
    process.stderr.write(`${name}: ${message}${usage === null ? '' : '; --help says more'}\n`);
    process.exitCode = usage === null ? 1 : 64;
  }
}

/** Null = it is something else. An argument that was not understood may be a token, so none is repeated. */
function usageFault(error: unknown): string | null {
  if (error instanceof WrongUsage) return error.message;
  const { code } = error as { code?: unknown };
  if (code === 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL') return 'arguments without a name are not taken';
  if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') return 'there is an unknown option';
  if (code === 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE') {
    return 'an option lacks its value, or has one and takes none';
  }
  return null;
}
