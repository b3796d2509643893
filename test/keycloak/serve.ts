import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { stringify } from 'yaml';

import { endGroup } from '../support/process-group.ts';

const LAUNCHER = fileURLToPath(new URL('../../src/launch.js', import.meta.url));

/** Milliseconds until a process that does not stop by itself is killed, and its test fails. */
const STOP_GRACE = 20_000;

export type LogLine = Readonly<Record<string, unknown>>;

/** A running `realmgate serve`. */
export interface Serving {
  readonly gatewayUrl: string;
  readonly adminUrl: string;
  /** Everything it logged so far; the access log and the workers' lines are among it. */
  readonly log: readonly LogLine[];
  /** SIGTERM. Rejects unless it exits with 0. Harmless when it was stopped before. */
  stop(): Promise<void>;
}

export interface ServeOptions {
  /** What must outlive this process lies here, and the caller removes it; by default it goes with `stop`. */
  readonly folder?: string;
}

/**
 * Runs `serve` with this configuration, and resolves once it says `listening`. Listeners are on free ports and the
 * data lies in a temporary folder unless the configuration says otherwise. Rejects with what it printed when it ends
 * before that.
 */
export async function serve(config: object, options: ServeOptions = {}): Promise<Serving> {
  const folder = options.folder ?? makeServeFolder();
  const file = join(folder, 'realmgate.yaml');
  const { gateway, admin, ...rest } = config as { gateway?: object; admin?: object };
  const complete = {
    dataDir: join(folder, 'data'),
    gateway: { listen: '127.0.0.1:0', workers: 2, ...gateway },
    admin: { listen: '127.0.0.1:0', ...admin },
    ...rest,
  };
  writeFileSync(file, stringify(complete));
  const child = spawn(process.execPath, [LAUNCHER, 'serve', '--config', file], {
    cwd: folder,
    detached: true, // a process group of its own, so that no worker is left behind
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  const log: LogLine[] = [];
  let other = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (other += text));
  const listening = Promise.withResolvers<LogLine>();
  createInterface(child.stdout).on('line', (text) => {
    const line = JSON.parse(text) as LogLine;
    log.push(line);
    if (line['event'] === 'listening') listening.resolve(line);
  });

  // Where a test run breaks off, nobody calls `stop`. The workers end with their primary.
  const endWithTests = (): unknown => child.kill('SIGKILL');
  process.once('exit', endWithTests);
  const clean = (): void => {
    process.off('exit', endWithTests);
    if (options.folder === undefined) rmSync(folder, { recursive: true, force: true });
  };

  let stopped: Promise<void> | null = null;
  const end = async (): Promise<void> => {
    child.kill('SIGTERM');
    const late = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE);
    const [code, signal] = await exited;
    clearTimeout(late);
    await endGroup(child.pid!, 'SIGKILL', 0);
    clean();
    if (code !== 0) throw new Error(`serve ended with ${code ?? signal}:\n${other}`);
  };
  const stop = (): Promise<void> => (stopped ??= end());

  const failed = exited.then(([code]) => {
    throw new Error(
      `serve ended with ${code} before it listened:\n${other}\n${JSON.stringify(log, null, 1)}`,
    );
  });
  failed.catch(() => undefined);
  const line = await Promise.race([listening.promise, failed]).catch((error: unknown) => {
    clean();
    throw error;
  });
  return { gatewayUrl: String(line['gateway']), adminUrl: String(line['admin']), log, stop };
}

/** A folder for a configuration and its data. */
export function makeServeFolder(): string {
  return mkdtempSync(join(tmpdir(), 'realmgate-serve-'));
}

/** Names of the workers that answered requests of this route, as the access log tells. */
export function workersThatServed({ log }: Serving, route: string): string[] {
  const lines = log.filter((line) => line['event'] === 'request' && line['route'] === route);
  return [...new Set(lines.map((line) => String(line['name'])))].toSorted();
}
