import type { Environment } from '../../contracts/service.ts';

/** A multi-step pipeline without faults. Every path is relative to the root of the clone and stays in it. */
export interface Pipeline {
  readonly name: string;
  /** null = the root of the clone. */
  readonly workingDirectory: string | null;
  /** A requirements file of pip; null = nothing is installed. */
  readonly requirements: string | null;
  /** In the order of the file; at least one. */
  readonly tasks: readonly Task[];
}

export interface Task {
  /** Unique in its pipeline. */
  readonly name: string;
  readonly program: Program;
  /** null = the pipeline's. */
  readonly workingDirectory: string | null;
  readonly port: TaskPort | null;
  /** Positions of the tasks that have to end well first. Without cycles. */
  readonly after: readonly number[];
}

/** What a task runs. */
export type Program =
  | { readonly kind: 'bash' | 'python' | 'node'; readonly path: string }
  | { readonly kind: 'notebook'; readonly path: string; readonly output: string };

export interface TaskPort {
  readonly number: number;
  /** Where it stands in the file, such as `line 7, column 11`. */
  readonly place: string;
}

/** Key of the YAML that names the file which a task runs. */
export const PATH_KEYS = {
  bash: 'bash_script_path',
  python: 'py_path',
  node: 'js_path',
  notebook: 'notebook_path',
} as const satisfies Record<Program['kind'], string>;

export type Interpreter = keyof Environment['interpreters'];

/** Commands or absolute paths. */
export type Interpreters = Readonly<Record<Interpreter, string>>;

const COMMANDS: Interpreters = { bash: 'bash', python: 'python3', node: 'node' };

/** The commands of an environment; `bash`, `python3` and `node` of PATH where it names none. */
export function interpreterCommands(interpreters: Environment['interpreters']): Interpreters {
  return {
    bash: interpreters.bash ?? COMMANDS.bash,
    python: interpreters.python ?? COMMANDS.python,
    node: interpreters.node ?? COMMANDS.node,
  };
}
