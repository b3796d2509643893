import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished } from 'vitest';
import type { Deployment } from '../../../../src/contracts/driver.ts';
import { portRange, until } from './test-driver.ts';

const PROGRAM = fileURLToPath(new URL('driver-program.ts', import.meta.url));

interface ToldLine {
  readonly kind: string;
  readonly message?: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

/** A driver in a process of its own, which can be killed, or belong to another user. */
export class DriverProcess {
  readonly told: ToldLine[] = [];
  readonly #child: ChildProcess;
  readonly #exit: Promise<unknown>;
  errors = '';

  constructor(dataDir: string, deployments: readonly Deployment[], user?: number) {
    this.#child = spawn(
      process.execPath,
      [PROGRAM, dataDir, String(portRange().first), JSON.stringify(deployments)],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
        cwd: '/',
        ...(user === undefined ? {} : { uid: user, gid: user }),
      },
    );
    this.#exit = once(this.#child, 'exit');
    createInterface(this.#child.stdout!).on('line', (line) => this.told.push(JSON.parse(line) as ToldLine));
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => (this.errors += text));
    onTestFinished(() => this.end('SIGTERM'));
  }

  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    this.#child.kill(signal);
    await this.#exit;
  }

  /** Resolves to the `count`th event of this kind. */
  async event(kind: string, count = 1): Promise<ToldLine> {
    const found = (): ToldLine[] => this.told.filter((line) => line.kind === kind);
    await until(() =>
      expect(found().length, JSON.stringify(this.told) + this.errors).toBeGreaterThanOrEqual(count),
    );
    return found()[count - 1]!;
  }
}
