import { type ChildProcess, fork } from 'node:child_process';
import type { Socket } from 'node:net';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Snapshot } from '../contracts/snapshot.ts';
import type { FromWorker, ToWorker } from '../contracts/worker-messages.ts';
import type { Taker } from './connection-dealer.ts';

const PROGRAM = fileURLToPath(new URL(`../gateway/worker${extname(import.meta.url)}`, import.meta.url));

/** How long a worker that has said goodbye may take to end, in ms. */
const LAST_BREATH = 1_000;

/**
 * How V8 runs in a worker. After a burst of new tokens it would place what requests allocate among the long-lived
 * objects for good (8 us a request), and with its usual young generation streamed buffers live on for 50 MiB and more.
 * A smaller one than this costs more than it saves: 5 us a request with 2 MiB. `gc` is for what streams bodies.
 */
export const WORKER_FLAGS: readonly string[] = [
  '--no-allocation-site-pretenuring',
  '--max-semi-space-size=8',
  '--expose-gc',
];

/** After so many ms a worker is asked whether a connection came: one without free descriptors is not even told. */
const DOUBT = 1_000;

let lastId = 0;

/** How a worker ended: its exit code or signal, or why it could not be started. */
export interface WorkerEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly error?: string;
}

/** One worker process, seen from the primary. */
export class WorkerProcess implements Taker {
  /** Never used again for another process. */
  readonly id = ++lastId;
  readonly slot: number;
  readonly bornAt = performance.now();
  /** `start` may be sent. */
  loaded = false;
  /** It takes connections. */
  serving = false;
  readonly gone: Promise<WorkerEnd>;
  readonly #child: ChildProcess;
  /** What was published while the channel was still busy with what was published before. */
  #unsent: Partial<Snapshot> | null = null;
  #publishing = false;
  #lastOffer = 0;
  #doubt: NodeJS.Timeout | undefined;

  constructor(slot: number, heard: (worker: WorkerProcess, message: FromWorker) => void) {
    this.slot = slot;
    this.#child = fork(PROGRAM, [], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      execArgv: [...process.execArgv, ...WORKER_FLAGS],
    });
    const { promise, resolve } = Promise.withResolvers<WorkerEnd>();
    this.gone = promise;
    this.#child.on('message', (message: FromWorker) => heard(this, message));
    this.#child.once('exit', (code, signal) => resolve({ code, signal }));
    this.#child.on('error', (error) => {
      // A message that could not be sent is the end's to tell; a process that could not be started has none.
      if (this.#child.pid === undefined) resolve({ code: null, signal: null, error: error.message });
    });
    this.#child.once('disconnect', () => {
      const timer = setTimeout(() => this.kill(), LAST_BREATH);
      void this.gone.then(() => clearTimeout(timer));
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  tell(message: ToWorker): void {
    if (this.#child.connected) this.#child.send(message, () => undefined);
  }

  /** Later sections wait until the earlier ones are on their way: a worker that is stuck gets only the newest. */
  publish(sections: Partial<Snapshot>): void {
    if (this.#publishing) {
      this.#unsent = { ...this.#unsent, ...sections };
      return;
    }
    if (!this.#child.connected) return;
    this.#publishing = true;
    this.#child.send({ kind: 'publish', sections } satisfies ToWorker, () => {
      this.#publishing = false;
      const next = this.#unsent;
      this.#unsent = null;
      if (next !== null) this.publish(next);
    });
  }

  offer(socket: Socket): void {
    if (!this.#child.connected) return; // its end is on its way, and gives the connection to another
    const id = ++this.#lastOffer;
    const message: ToWorker = { kind: 'connection', id };
    this.#child.send(message, socket, { keepOpen: true }, () => undefined);
    this.#doubt = setTimeout(() => this.tell({ kind: 'offered', id }), DOUBT);
  }

  /** The offer was answered, or will never be. */
  settleOffer(): void {
    clearTimeout(this.#doubt);
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}
