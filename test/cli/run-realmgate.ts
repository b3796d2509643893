import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

import { onTestFinished } from 'vitest';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface Finished {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

type Environment = Readonly<Record<string, string>>;

/**
 * `realmgate ARGS`, started as users start it in a checkout; it ends with the test at the latest. `env` is added to
 * what this process has, and `input` is all that standard input has.
 */
export function startRealmgate(args: readonly string[], cwd = ROOT, env: Environment = {}, input = '') {
  const child = spawn(process.execPath, [`${ROOT}/src/launch.js`, ...args], {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdin.on('error', () => undefined); // It may end without having read everything.
  child.stdin.end(input);
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

/** The same until it ends. */
export async function runRealmgate(...call: Parameters<typeof startRealmgate>): Promise<Finished> {
  const child = startRealmgate(...call);
  const [out, err, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit') as Promise<[number | null]>,
  ]);
  return { code, out, err };
}
