import { readFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { parameterVariable } from '../services/variables.ts';
import { FIND_NOTEBOOK_RUNNER } from './notebook-runner.ts';
import type { Interpreters, Pipeline, Task } from './pipeline.ts';
import { VENV_MARK } from './venv-mark.ts';

export interface PlanOptions {
  readonly interpreters: Interpreters;
  /**
   * Absolute. The run keeps its Python environment there, so it belongs to one run at a time. A later run of the same
   * commit finds it again.
   */
  readonly stateDirectory: string;
  /** Names of the service's parameters. Notebooks get them as papermill parameters. */
  readonly parameters: readonly string[];
  /** Seconds between TERM and KILL for the tasks of a run that ends. */
  readonly killAfter: number;
  /**
   * Who stops the run signals its tasks too, so the run hands nothing on: to many programs a second TERM means to end
   * at once. Default: false, as in a container, where its first process alone is signalled.
   */
  readonly stoppedByOthers?: boolean;
}

interface Step {
  readonly name: string;
  readonly after: readonly number[];
  /** Commands of its function. */
  readonly body: string;
}

const RUN_TASKS = readFileSync(new URL('run-tasks.sh', import.meta.url), 'utf8');

/**
 * Writes the run's Python environment a note to look where PYTHON finds its packages. `--system-site-packages` does
 * that for the system's Python alone: where PYTHON is itself of a virtual environment, its packages would be lost.
 */
const SHARE_PACKAGES = [
  'import os, site, sys, sysconfig',
  'if sys.prefix != sys.base_prefix:',
  '    base = {"base": sys.argv[1], "platbase": sys.argv[1]}',
  '    folder = sysconfig.get_path("purelib", "posix_prefix", base)',
  '    with open(os.path.join(folder, "realmgate.pth"), "w") as note:',
  '        note.write("\\n".join(site.getsitepackages()))',
].join('\n');

const PYTHON_KEYWORDS = new Set(
  (
    'False None True and as assert async await break class continue def del elif else except finally for from ' +
    'global if import in is lambda nonlocal not or pass raise return try while with yield'
  ).split(' '),
);

/**
 * The pipeline as one program for bash 4.3 or newer, to be started from a file with the root of the clone as its
 * working directory and the service's variables. Tasks run as soon as those that they wait for have ended; each is
 * told on standard output by `[task] starting` and `[task] exited with N`, and its own output is left as it is.
 *
 * It ends with 0 once all have ended well, otherwise with the status of the task that failed first; the others get
 * TERM. Told to stop by TERM, INT or HUP it hands that to the tasks as TERM, unless `stoppedByOthers`, and ends with 128
 * and the signal's number. In both cases what is left of the tasks after `killAfter` is killed.
 */
export function planScript(pipeline: Pipeline, options: PlanOptions): string {
  const { interpreters, stateDirectory, killAfter } = options;
  if (!isAbsolute(stateDirectory)) throw new TypeError('stateDirectory has to be an absolute path');
  const venv = pipeline.requirements === null ? '' : join(stateDirectory, 'venv');
  const steps = [...installation(pipeline, interpreters.python, venv), ...tasks(pipeline, options, venv)];
  const words = (values: readonly string[]): string => values.map(quoted).join(' ');
  return [
    `# The plan of the pipeline ${quoted(pipeline.name).replaceAll('\n', ' ')}.`,
    `realmgate_names=(${words(steps.map((step) => step.name))})`,
    `realmgate_after=(${words(steps.map((step) => step.after.join(' ')))})`,
    `realmgate_hand_on=${options.stoppedByOthers === true ? '0' : 'TERM'}`,
    `realmgate_kill_after=${Math.ceil(killAfter)}`,
    `realmgate_venv=${quoted(venv)}`,
    `realmgate_find_runner=${quoted(FIND_NOTEBOOK_RUNNER)}`,
    `realmgate_venv_mark=${quoted(VENV_MARK)}`,
    `realmgate_share_packages=${quoted(SHARE_PACKAGES)}`,
    ...steps.map((step, i) => `realmgate_task_${i}() { ${step.body}; }`),
    '',
    RUN_TASKS,
  ].join('\n');
}

/** A first step that every task waits for, where something has to be installed. */
function installation(pipeline: Pipeline, python: string, venv: string): Step[] {
  const { requirements } = pipeline;
  if (requirements === null) return [];
  const body = `realmgate_install ${[python, venv, requirements].map(quoted).join(' ')}`;
  return [{ name: 'requirements', after: [], body }];
}

function tasks(pipeline: Pipeline, options: PlanOptions, venv: string): Step[] {
  const first = venv === '' ? 0 : 1;
  const python = venv === '' ? options.interpreters.python : join(venv, 'bin/python');
  const interpreters = { ...options.interpreters, python };
  return pipeline.tasks.map((task) => ({
    name: task.name,
    after: first === 1 && task.after.length === 0 ? [0] : task.after.map((position) => position + first),
    body: run(task, pipeline.workingDirectory, interpreters, options.parameters),
  }));
}

function run(
  { program, workingDirectory }: Task,
  usual: string | null,
  interpreters: Interpreters,
  parameters: readonly string[],
): string {
  const directory = quoted(workingDirectory ?? usual ?? '.');
  if (program.kind !== 'notebook') {
    const script = `"$realmgate_root/"${quoted(program.path)}`;
    return `realmgate_become ${directory} ${quoted(interpreters[program.kind])} ${script}`;
  }
  const words = [interpreters.python, program.path, program.output].map(quoted);
  return ['realmgate_notebook', directory, ...words, ...parameters.flatMap(notebookParameter)].join(' ');
}

/** As text, whatever it looks like. Only names that a cell can assign to. */
function notebookParameter(name: string): string[] {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) || PYTHON_KEYWORDS.has(name)) return [];
  return ['--parameters_raw', quoted(name), `"$${parameterVariable(name)}"`];
}

/** One word for bash, whatever is in it. */
function quoted(text: string): string {
  if (text.includes('\0')) throw new TypeError('bash has no text with a NUL');
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
