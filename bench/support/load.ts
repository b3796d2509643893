import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { findProgram } from './find-program.ts';
import type { Workspace } from './workspace.ts';

export interface LoadJob {
  readonly url: string;
  /** One token per line, sent in turn. */
  readonly tokenFile: string;
  readonly method: 'GET' | 'POST';
  /** Bytes of body in each request; 0 = none. */
  readonly bodyBytes: number;
  readonly connections: number;
  /** Ends after this many seconds ... */
  readonly seconds: number;
  /** ... or after about this many requests; 0 = unlimited. Never one token more than that. */
  readonly requests: number;
}

export interface LoadResult {
  /** Answered in full. */
  readonly requests: number;
  readonly seconds: number;
  /** Bytes that came back, heads included. */
  readonly bytes: number;
  /** Answers with a status of 400 or more. */
  readonly refused: number;
  /** Connections that failed or broke, and requests without an answer in time. */
  readonly errors: number;
  /** Microseconds. */
  readonly latency: {
    readonly p50: number;
    readonly p90: number;
    readonly p99: number;
    readonly max: number;
  };
}

/** Which program makes the load: wrk where it is installed, since it costs little. */
export function loadProgram(): 'wrk' | 'autocannon' {
  return findProgram('wrk') === null ? 'autocannon' : 'wrk';
}

/** Runs the job in a process of its own on `core`, and resolves to its counts. Rejects when it gives none. */
export async function runLoad(
  workspace: Workspace,
  core: number | null,
  job: LoadJob,
  kind: 'wrk' | 'autocannon' = loadProgram(),
): Promise<LoadResult> {
  const lines: string[] = [];
  const [command, args] =
    kind === 'wrk' ? [findProgram('wrk')!, wrkArguments(job)] : [process.execPath, autocannonArguments(job)];
  const onLine = (line: string): void => {
    lines.push(line);
    if (line === 'SENT') program.child.kill('SIGINT');
  };
  const program = await workspace.start(command, args, { core, onLine });
  await new Promise((resolve) => program.child.once('close', resolve));
  await program.stop();
  const result = parseLoadResult(lines);
  if (result === null)
    throw new Error(`${kind} gave no result: ${program.errors() || lines.join(' ').slice(-500)}`);
  return result;
}

function wrkArguments({
  url,
  tokenFile,
  method,
  bodyBytes,
  connections,
  seconds,
  requests,
}: LoadJob): string[] {
  const script = fileURLToPath(new URL('wrk.lua', import.meta.url));
  return [
    ...['-t1', `-c${connections}`, `-d${Math.ceil(seconds)}s`, '--timeout', '20s', '-s', script, url, '--'],
    ...[tokenFile, method, String(bodyBytes), String(requests)],
  ];
}

function autocannonArguments(job: LoadJob): string[] {
  return [fileURLToPath(new URL('autocannon-load.ts', import.meta.url)), JSON.stringify(job)];
}

/** Reads the line that the load's program writes at its end; null = there is none that is right. */
export function parseLoadResult(lines: readonly string[]): LoadResult | null {
  const line = lines.findLast((text) => text.startsWith('RESULT '));
  if (line === undefined) return null;
  const { microseconds, ...rest } = JSON.parse(line.slice('RESULT '.length)) as Omit<
    LoadResult,
    'seconds'
  > & {
    readonly microseconds: number;
  };
  return { ...rest, seconds: microseconds / 1e6 };
}

/** The tokens of a job's file. */
export async function readTokens(file: string): Promise<string[]> {
  return (await readFile(file, 'latin1')).split('\n').filter((line) => line !== '');
}
