import { type ChildProcess, spawn } from 'node:child_process';
import { GitError } from './git-error.ts';

/** Most that is kept of what git prints, in bytes: of its answer (more is a failure), and of its messages (the last). */
const MOST_OUTPUT = 32 * 1024 * 1024;
const MOST_MESSAGES = 64 * 1024;

export interface GitRun {
  readonly args: readonly string[];
  /** All of it: nothing is inherited. */
  readonly environment: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly input?: string;
  /** Milliseconds. */
  readonly timeout: number;
  readonly signal: AbortSignal;
}

/** git ran, and did not do what it was to do. What it said is not masked yet, and not for people. */
export class GitFailure extends Error {
  readonly stderr: string;
  readonly timedOut: boolean;

  constructor(stderr: string, timedOut: boolean) {
    super('git failed');
    this.name = 'GitFailure';
    this.stderr = stderr;
    this.timedOut = timedOut;
  }
}

/**
 * Runs git in a process group of its own, which is killed as a whole (helpers, ssh) by the signal and by the time-out.
 * Resolves to what it printed; rejects with `GitFailure`, with the signal's reason, or with `GitError` when there is no git.
 */
export async function runGit(run: GitRun): Promise<string> {
  const { signal } = run;
  signal.throwIfAborted();
  const child = spawn('git', run.args, {
    env: run.environment,
    cwd: run.cwd,
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), run.timeout);
  const end = AbortSignal.any([signal, late.signal]);
  end.addEventListener('abort', () => killGroup(child));
  try {
    const { code, stdout, stderr } = await ended(child, run.input ?? '');
    signal.throwIfAborted();
    if (code !== 0) throw new GitFailure(stderr, late.signal.aborted);
    return stdout;
  } finally {
    clearTimeout(timer);
  }
}

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function ended(child: ReturnType<typeof spawn>, input: string): Promise<Ended> {
  const { promise, resolve, reject } = Promise.withResolvers<Ended>();
  const out: Buffer[] = [];
  let outBytes = 0;
  let stderr = Buffer.alloc(0);
  child.stdout?.on('data', (chunk: Buffer) => {
    outBytes += chunk.length;
    if (outBytes <= MOST_OUTPUT) out.push(chunk);
    else killGroup(child);
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr = Buffer.concat([stderr, chunk]).subarray(-MOST_MESSAGES);
  });
  // git need not read what it is given; how it ends says all.
  child.stdin?.on('error', () => undefined).end(input);
  child.once('error', (error: NodeJS.ErrnoException) => {
    const why =
      error.code === 'ENOENT' ? 'it is not installed, or not in the PATH' : (error.code ?? error.message);
    reject(new GitError('unusable', 'git.repository', `git cannot be run on this machine: ${why}`));
  });
  child.once('close', (code) => {
    resolve({ code, stdout: Buffer.concat(out).toString(), stderr: stderr.toString() });
  });
  return promise;
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
