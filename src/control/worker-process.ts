import { type ChildProcess, fork } from 'node:child_process';
import type { Socket } from 'node:net';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { workerEnvironment } from '../config/environment.ts';
import type { Snapshot } from '../contracts/snapshot.ts';
import type { FromWorker, Inquiry, Replies, ToWorker } from '../contracts/worker-messages.ts';
import type { Taker } from './connection-dealer.ts';

const EXTENSION = extname(import.meta.url);
const PROGRAM = fileURLToPath(new URL(`../gateway/worker${EXTENSION}`, import.meta.url));
const LEAN_HTTP = new URL(`../lean-http${EXTENSION}`, import.meta.url).href;

/** How long a worker that has said goodbye may take to end, in ms. */
const LAST_BREATH = 1_000;

/**
 * How V8 runs in a worker. With its usual young generation streamed buffers live on for 50 MiB and more. A smaller one
 * than this costs more than it saves: 5 us a request with 2 MiB. Flags that may come later are set by `worker-flags.ts`.
 */
export const WORKER_FLAGS: readonly string[] = [
  '--max-semi-space-size=8',
  `--import=${new URL(`../worker-flags${EXTENSION}`, import.meta.url).href}`,
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
  /** What it told of its load last. */
  load: Replies['load'] = [];
  readonly gone: Promise<WorkerEnd>;
  readonly #child: ChildProcess;
  /** What was published while the channel was still busy with what was published before. */
  #unsent: Partial<Snapshot> | null = null;
  #publishing = false;
  /** What was told since then: it must not arrive before what was published earlier. */
  #untold: ToWorker[] = [];
  /** Inquiries that the worker has not replied to. */
  readonly #inquiries = new Map<number, (value: Replies[Inquiry['about']] | null) => void>();
  #lastInquiry = 0;
  #lastOffer = 0;
  #doubt: NodeJS.Timeout | undefined;

  constructor(slot: number, heard: (worker: WorkerProcess, message: FromWorker) => void) {
    this.slot = slot;
    this.#child = fork(PROGRAM, [], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      execArgv: [...process.execArgv, ...WORKER_FLAGS, `--import=${LEAN_HTTP}`],
      env: workerEnvironment(),
    });
    const { promise, resolve } = Promise.withResolvers<WorkerEnd>();
    this.gone = promise;
    void promise.then(() => {
      for (const resolveInquiry of this.#inquiries.values()) resolveInquiry(null);
    });
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

  /** The message arrives behind everything that was published before. */
  tell(message: ToWorker): void {
    if (this.#unsent !== null) this.#untold.push(message);
    else if (this.#child.connected) this.#child.send(message, () => undefined);
  }

  /** What the worker replies; null when it ends, or has not replied after `patience` ms. */
  async inquire<A extends Inquiry['about']>(
    inquiry: Extract<Inquiry, { about: A }>,
    patience: number,
  ): Promise<Replies[A] | null> {
    const id = ++this.#lastInquiry;
    const { promise, resolve } = Promise.withResolvers<Replies[Inquiry['about']] | null>();
    const timer = setTimeout(() => resolve(null), patience);
    this.#inquiries.set(id, resolve);
    this.tell({ kind: 'inquire', id, inquiry });
    const reply = await promise;
    clearTimeout(timer);
    this.#inquiries.delete(id);
    return reply as Replies[A] | null;
  }

  replied(id: number, value: Replies[Inquiry['about']]): void {
    this.#inquiries.get(id)?.(value);
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
      if (next === null) return;
      const untold = this.#untold;
      this.#untold = [];
      this.publish(next);
      for (const message of untold) this.tell(message);
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
