import { PATH_KEYS, type Interpreter, type Pipeline, type Task } from './pipeline.ts';

/** What has to be there before a pipeline can run. */
export interface PipelineNeeds {
  readonly files: readonly NeededPath[];
  readonly directories: readonly NeededPath[];
  readonly interpreters: readonly Interpreter[];
  /**
   * Whether the environment's Python has to have papermill or nbconvert. A pipeline with requirements may bring one
   * itself, which nobody knows before they are installed.
   */
  readonly notebookRunner: boolean;
}

export interface NeededPath {
  /** Of the pipeline file, such as `tasks[2].py_path`. */
  readonly field: string;
  /** Relative to the root of the clone. */
  readonly path: string;
}

export function pipelineNeeds(pipeline: Pipeline): PipelineNeeds {
  const { requirements, workingDirectory, tasks } = pipeline;
  const notebooks = tasks.some((task) => task.program.kind === 'notebook');
  return {
    files: [
      ...path('requirements', requirements),
      ...tasks.flatMap(({ program }, i) => path(`tasks[${i}].${PATH_KEYS[program.kind]}`, program.path)),
    ],
    directories: [
      ...path('working_dir', workingDirectory),
      ...tasks.flatMap((task, i) => path(`tasks[${i}].working_dir`, task.workingDirectory)),
    ],
    interpreters: [...neededInterpreters(pipeline)],
    notebookRunner: notebooks && requirements === null,
  };
}

function path(field: string, value: string | null): NeededPath[] {
  return value === null ? [] : [{ field, path: value }];
}

/** Bash is always among them: it runs the plan. */
function neededInterpreters({ requirements, tasks }: Pipeline): Set<Interpreter> {
  const needed = new Set<Interpreter>(['bash']);
  if (requirements !== null) needed.add('python');
  for (const task of tasks) needed.add(interpreterOf(task));
  return needed;
}

function interpreterOf({ program }: Task): Interpreter {
  return program.kind === 'notebook' ? 'python' : program.kind;
}
