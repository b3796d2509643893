import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { serviceEnvironment } from '../config/environment.ts';
import type { Settings } from '../contracts/settings.ts';

/** Pauses before the program is run again, in ms: doubled from the first to the last. */
const PAUSE = { first: 1_000, last: 30_000 };

/** How long it may take to listen before the gateway starts without it, and to end after SIGTERM, in ms. */
const PATIENCE = 5_000;

/** Pause between two looks at a port, in ms. */
const LOOK = 25;

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

  /** Resolves once its port accepts, or when that takes too long; the gateway answers 502 meanwhile. */
  async start(): Promise<void> {
    this.#running = this.#keepRunning();
    const { port, directory } = this.#settings;
    const deadline = Date.now() + PATIENCE;
    while (!(await accepts(port))) {
      if (Date.now() > deadline || this.#stopping.signal.aborted) {
        this.#log.warn({ directory, port }, 'The example service does not listen yet');
        return;
      }
      await delay(LOOK);
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    const child = this.#child;
    if (child !== null) {
      const timer = setTimeout(() => signalGroup(child, 'SIGKILL'), PATIENCE);
      signalGroup(child, 'SIGTERM');
      await this.#running;
      clearTimeout(timer);
    }
  }

  async #keepRunning(): Promise<void> {
    const { directory, port } = this.#settings;
    const { signal } = this.#stopping;
    const stopped = (): boolean => signal.aborted;
    for (let pause = PAUSE.first; !stopped(); pause = Math.min(pause * 2, PAUSE.last)) {
      const child = spawn('bash', ['run.sh'], {
        cwd: directory,
        detached: true, // a process group of its own, to end it whole
        stdio: ['ignore', 'ignore', 'inherit'],
        env: {
          ...serviceEnvironment(),
          PORT: String(port),
          SERVICE_NAME: 'hello',
          SERVICE_ENDPOINT: '/hello',
        },
      });
      this.#child = child;
      const [code, killedBy] = (await once(child, 'exit').catch((error: unknown) => [
        String(error),
        null,
      ])) as unknown[];
      this.#child = null;
      if (stopped()) return;
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

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
