/** One verb of the command line. Exit codes: 0 done, 1 it ran and the answer is no, 64 wrong usage or configuration. */
export interface Verb {
  readonly summary: string;
  /** Shown by `realmgate VERB --help`, with examples. */
  readonly help: string;
  run(args: readonly string[], io: Io): Promise<number>;
}

export interface Io {
  /** Writes to standard output, as it is. */
  out(text: string): void;
  /** Writes to standard error, as it is. */
  err(text: string): void;
}

/** The command line itself is wrong: one line for the user, exit 64. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
