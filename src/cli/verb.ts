/** One verb of the command line. Exit codes: 0 done, 1 it ran and the answer is no, 64 wrong usage or configuration. */
export interface Verb {
  readonly summary: string;
  /** Shown by `realmgate VERB --help`, with examples. */
  readonly help: string;
  /** `realmgate VERB COMMAND ...`, each with its own help; `run` finds the one that is meant. */
  readonly commands?: Readonly<Record<string, Command>>;
  run(args: readonly string[], io: Io): Promise<number>;
}

/** A verb without commands of its own, or one command of a verb. */
export type Command = Omit<Verb, 'commands'>;

export interface Io {
  /** Writes to standard output, as it is. */
  out(text: string): void;
  /** Writes to standard error, as it is. */
  err(text: string): void;
}

/** The command line itself is wrong: one line for the user, exit 64. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  /** Whose `--help` tells what would be right, such as `services create`; undefined = the verb's. */
  topic: string | undefined;
}
