import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { expect, onTestFinished } from 'vitest';

import { type Interpreters, type Pipeline, type Task } from '../../../src/control/pipeline/pipeline.ts';
import { planScript } from '../../../src/control/pipeline/plan-script.ts';
import { readPipeline } from '../../../src/control/pipeline/read-pipeline.ts';
import { endGroup } from '../../support/process-group.ts';

export const INTERPRETERS: Interpreters = { bash: 'bash', python: 'python3', node: process.execPath };

/** A folder for a repository and one for the state of its run, removed after the test. */
export class Place {
  readonly #root = mkdtempSync(join(tmpdir(), 'realmgate plan '));
  readonly repository = join(this.#root, "clone of 'x'");
  readonly state = join(this.#root, 'state');

  constructor() {
    mkdirSync(this.repository);
    mkdirSync(this.state);
    onTestFinished(() => rmSync(this.#root, { recursive: true, force: true }));
  }

  /** Path → content, below the repository. */
  write(files: Readonly<Record<string, string>>): this {
    for (const [path, content] of Object.entries(files)) {
      const file = join(this.repository, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, content);
      chmodSync(file, 0o644);
    }
    return this;
  }
}

export interface RunOptions {
  readonly interpreters?: Partial<Interpreters>;
  readonly variables?: Readonly<Record<string, string>>;
  readonly parameters?: readonly string[];
  readonly killAfter?: number;
  readonly stoppedByOthers?: boolean;
}

/** A run of a plan by the real bash, as a driver starts it: from a file, in the clone, as the leader of a session. */
export class PlanRun {
  readonly #child;
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  #output = '';

  constructor(place: Place, pipeline: Pipeline, options: RunOptions = {}) {
    const plan = join(place.state, 'plan.sh');
    const text = planScript(pipeline, {
      interpreters: { ...INTERPRETERS, ...options.interpreters },
      stateDirectory: place.state,
      parameters: options.parameters ?? [],
      killAfter: options.killAfter ?? 20,
      stoppedByOthers: options.stoppedByOthers ?? false,
    });
    writeFileSync(plan, text);
    const child = spawn('bash', [plan], {
      cwd: place.repository,
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...options.variables },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (this.#output += text));
    }
    this.ended = once(child, 'close').then(([code, signal]) => ({
      code: code as number | null,
      signal: signal as NodeJS.Signals | null,
    }));
    onTestFinished(() => endGroup(this.pid, 'SIGTERM', 1000));
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** What it and its tasks have printed, both streams. */
  get output(): string {
    return this.#output;
  }

  /** Resolves once the text has been printed. */
  async printed(text: string): Promise<void> {
    await expect.poll(() => this.#output, { timeout: 20_000, interval: 20 }).toContain(text);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}

/** Runs a pipeline to its end. */
export async function runPlan(
  place: Place,
  pipeline: Pipeline,
  options: RunOptions = {},
): Promise<{ code: number | null; output: string; lines: string[] }> {
  const run = new PlanRun(place, pipeline, options);
  const { code } = await run.ended;
  return { code, output: run.output, lines: run.output.trimEnd().split('\n') };
}

export function parse(text: string): Pipeline {
  const { pipeline, problems } = readPipeline(text);
  expect(problems).toEqual([]);
  return pipeline!;
}

/** A pipeline of bash tasks, each with the script `NAME.sh`. */
export function bashTasks(tasks: Readonly<Record<string, readonly string[] | null>>): Pipeline {
  const lines = Object.entries(tasks).map(([name, after]) => {
    const dependsOn = after === null ? {} : { depends_on: after };
    return { name, type: 'bash script', bash_script_path: `${name}.sh`, ...dependsOn };
  });
  return parse(JSON.stringify({ pipeline: { name: 'p', tasks: lines } }));
}

/** A pipeline that no file could hold: `readPipeline` would refuse its names and paths. */
export function pipelineOf(...tasks: (Pick<Task, 'name' | 'program'> & Partial<Task>)[]): Pipeline {
  return {
    name: 'p',
    workingDirectory: null,
    requirements: null,
    tasks: tasks.map((task) => ({ workingDirectory: null, port: null, after: [], ...task })),
  };
}
