import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { descendants } from './proc.ts';

/** How long a program may take to end after SIGTERM, in ms; then it is killed. */
const PATIENCE = 10_000;

/** What is kept of a program's standard error, to say why it did not start. */
const ERRORS_KEPT = 4_000;

export interface ProgramOptions {
  /** The only core it may run on, or a list of cores as taskset takes it; null = any. */
  readonly core?: number | string | null;
  readonly env?: NodeJS.ProcessEnv;
  /** Takes the lines of its standard output until it returns false. Without it, and then, they are read and dropped. */
  readonly onLine?: (line: string) => unknown;
  /** Gives it a channel for messages. */
  readonly ipc?: boolean;
}

/** A program that runs beside the bench. */
export interface Program {
  readonly pid: number;
  readonly child: ChildProcess;
  readonly running: boolean;
  /** The end of its standard error. */
  errors(): string;
  /** Ends it and resolves once it is gone. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/**
 * A temporary folder and the programs that work in it. All of them are gone after `close`, and after the bench was
 * ended by a signal.
 */
export class Workspace {
  readonly folder = mkdtempSync(join(tmpdir(), 'realmgate-bench-'));
  readonly #programs = new Set<Program>();
  readonly #interrupted = (signal: NodeJS.Signals): void => {
    this.#abandon();
    process.kill(process.pid, signal);
  };
  readonly #exiting = (): void => this.#abandon();

  constructor() {
    process.once('SIGINT', this.#interrupted).once('SIGTERM', this.#interrupted).once('exit', this.#exiting);
  }

  /** Resolves once the program runs; rejects when there is no such program. */
  async start(command: string, args: readonly string[], options: ProgramOptions = {}): Promise<Program> {
    const { core = null, env = process.env, onLine, ipc = false } = options;
    const [file, all] = core === null ? [command, args] : ['taskset', ['-c', String(core), command, ...args]];
    const child = spawn(file, all, {
      cwd: this.folder,
      env,
      stdio: ['ignore', 'pipe', 'pipe', ...(ipc ? (['ipc'] as const) : [])],
    });
    let errors = '';
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      errors = (errors + text).slice(-ERRORS_KEPT);
    });
    if (onLine === undefined) child.stdout!.resume();
    else {
      const lines = createInterface({ input: child.stdout! });
      lines.on('line', (line) => {
        if (onLine(line) !== false) return;
        lines.close();
        child.stdout!.resume();
      });
    }
    await once(child, 'spawn');
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    const program: Program = {
      pid: child.pid!,
      child,
      get running() {
        return child.exitCode === null && child.signalCode === null;
      },
      errors: () => errors.trim(),
      stop: async (signal = 'SIGTERM') => {
        if (program.running) child.kill(signal);
        const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE);
        await gone;
        clearTimeout(timer);
        this.#programs.delete(program);
      },
    };
    this.#programs.add(program);
    return program;
  }

  /** Ends every program, the last started first, and removes the folder. */
  async close(): Promise<void> {
    for (const program of [...this.#programs].reverse()) await program.stop();
    process.off('SIGINT', this.#interrupted).off('SIGTERM', this.#interrupted).off('exit', this.#exiting);
    rmSync(this.folder, { recursive: true, force: true });
  }

  #abandon(): void {
    for (const { child } of this.#programs) child.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Resolves once `port` of 127.0.0.1 accepts; rejects when the program ends before, or after `patience` ms. */
export async function untilAccepting(port: number, program: Program, patience = 15_000): Promise<void> {
  const deadline = Date.now() + patience;
  while (!(await accepts(port))) {
    if (!program.running) throw new Error(`it ended at once: ${program.errors()}`);
    if (Date.now() > deadline) throw new Error(`it does not listen: ${program.errors()}`);
    await delay(20);
  }
}

/** The child processes of a server that listens before it forks them, as soon as there are any. Linux only. */
export async function untilChildren(program: Program): Promise<number[]> {
  for (;;) {
    const children = descendants(program.pid);
    if (children.length > 0) return children;
    if (!program.running) throw new Error(`it ended at once: ${program.errors()}`);
    await delay(20);
  }
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
