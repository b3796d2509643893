import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { serviceEnvironment } from '../config/environment.ts';
import type { Settings } from '../contracts/settings.ts';
import { bindError } from './start-up-error.ts';

/** Pauses before the program is run again, in ms: doubled from the first to the last. */
const PAUSE = { first: 1_000, last: 30_000 };

/** How long it may take to listen before the gateway starts without it, and to end after SIGTERM, in ms. */
const PATIENCE = 5_000;

/** How long its port may still be held by what an earlier run left behind, in ms. */
const PORT_PATIENCE = 3_000;

/** Pause between two looks at a port, in ms. */
const LOOK = 25;

const HOST = '127.0.0.1';

/**
 * Runs `run.sh` in this shell's place. Standard input is a pipe from the gateway, and the kernel closes it however the
 * gateway ends; then a second process of the group ends all of it. Only the gateway itself could do nothing after a
 * SIGKILL.
 */
const GUARDED = `
exec 3<&0 < /dev/null
(trap '' TERM; read -r -u 3; kill -TERM 0; sleep 2; kill -KILL 0) &
exec bash run.sh 3<&-
`;

export interface ExampleLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** The program of `example`, run again whenever it ends. Its whole process group ends with the gateway. */
export class ExampleService {
  readonly #settings: NonNullable<Settings['example']>;
  readonly #log: ExampleLog;
  readonly #stopping = new AbortController();
  #child: ChildProcess | null = null;
  #running: Promise<void> | null = null;

  constructor(settings: NonNullable<Settings['example']>, log: ExampleLog) {
    this.#settings = settings;
    this.#log = log;
  }

  #stopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  /**
   * Resolves once its port accepts, or when that takes too long; the gateway answers 502 meanwhile. Rejects with
   * `StartUpError` when another program has the port: its answers would pass for the example's.
   */
  async start(): Promise<void> {
    const { port, directory } = this.#settings;
    await this.#portIsFree(port);
    if (this.#stopped()) return;
    this.#running = this.#keepRunning();
    const deadline = Date.now() + PATIENCE;
    while (!(await accepts(port))) {
      if (this.#stopped()) return;
      if (Date.now() > deadline) {
        this.#log.warn({ directory, port }, 'The example service does not listen yet');
        return;
      }
      await delay(LOOK);
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    const child = this.#child;
    const timer = setTimeout(() => child !== null && signalGroup(child, 'SIGKILL'), PATIENCE);
    if (child !== null) signalGroup(child, 'SIGTERM');
    await this.#running;
    clearTimeout(timer);
  }

  async #portIsFree(port: number): Promise<void> {
    const deadline = Date.now() + PORT_PATIENCE;
    for (;;) {
      const error = await bindingFails(port);
      if (error === null || this.#stopped()) return;
      if (Date.now() > deadline) throw bindError('example service', `${HOST}:${port}`, error);
      await delay(LOOK);
    }
  }

  async #keepRunning(): Promise<void> {
    const { directory, port } = this.#settings;
    const { signal } = this.#stopping;
    for (let pause = PAUSE.first; !this.#stopped(); pause = Math.min(pause * 2, PAUSE.last)) {
      const child = spawn('bash', ['-c', GUARDED], {
        cwd: directory,
        detached: true, // a process group of its own, to end it whole
        stdio: ['pipe', 'ignore', 'inherit'],
        env: {
          ...serviceEnvironment(),
          PORT: String(port),
          SERVICE_NAME: 'hello',
          SERVICE_ENDPOINT: '/hello',
        },
      });
      this.#child = child;
      child.stdin.on('error', () => undefined); // nothing is ever written
      const [code, killedBy] = (await once(child, 'exit').catch((error: unknown) => [
        String(error),
        null,
      ])) as unknown[];
      this.#child = null;
      signalGroup(child, 'SIGKILL'); // what it started, and the guard
      if (this.#stopped()) return;
      this.#log.warn(
        { directory, code, signal: killedBy, retryInMs: pause },
        'The example service ended and is run again',
      );
      await delay(pause, undefined, { signal }).catch(() => undefined);
    }
  }
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, signal);
  } catch {
    // It has ended already.
  }
}

/** The system's error when nobody else can listen there; null = the port is free. */
async function bindingFails(port: number): Promise<Error | null> {
  const probe = createServer();
  try {
    probe.listen({ host: HOST, port });
    await once(probe, 'listening');
    return null;
  } catch (error) {
    return error as Error;
  } finally {
    probe.close();
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: HOST, port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
