import cluster, { type Worker } from 'node:cluster';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ControlChannel } from '../contracts/control-channel.ts';
import type { Snapshot } from '../contracts/snapshot.ts';
import type { FromWorker, LogOutput, ToWorker } from '../contracts/worker-messages.ts';
import { WorkerTotals } from '../telemetry/worker-totals.ts';
import type { ConcurrencyLedger, RateLedger } from './limits.ts';

/** A worker that died is replaced at once, but one that keeps dying only so often, in ms. */
const RESTART_PAUSE = 1_000;

/** A worker that lived for so long, in ms, did not die of its start. */
const PROVEN = 5_000;

/** What of the channel reaches into the realms; limits are the pool's own. */
export type RealmQuestions = Pick<ControlChannel, 'refreshKeys' | 'introspect' | 'backchannelLogout'>;

export interface WorkerPoolDependencies {
  readonly questions: RealmQuestions;
  readonly rates: RateLedger;
  readonly places: ConcurrencyLedger;
  readonly log: {
    info(fields: object, message: string): void;
    warn(fields: object, message: string): void;
    error(fields: object, message: string): void;
  };
  /** How the workers log. */
  readonly output: LogOutput;
}

/** A worker could not bind, or read its certificate. */
export class WorkerStartError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

interface Member {
  readonly worker: Worker;
  readonly slot: number;
  readonly bornAt: number;
  loaded: boolean;
  listening: boolean;
}

/**
 * The worker processes of the data plane. The primary holds the listening socket and deals connections out in turn,
 * so that they are spread evenly and none is lost when a worker dies.
 */
export class WorkerPool {
  readonly totals = new WorkerTotals();
  /** Workers that died and were replaced. */
  restarts = 0;
  readonly #deps: WorkerPoolDependencies;
  readonly #members = new Map<number, Member>();
  #size = 0;
  #snapshot: Snapshot | null = null;
  #stopping = false;
  #started = Promise.withResolvers<number>();
  #reports: (() => void)[] = [];

  constructor(deps: WorkerPoolDependencies) {
    this.#deps = deps;
    this.#started.promise.catch(() => undefined);
    cluster.schedulingPolicy = cluster.SCHED_RR;
    cluster.setupPrimary({
      exec: fileURLToPath(new URL(`../gateway/worker${extname(import.meta.url)}`, import.meta.url)),
      args: [],
    });
  }

  /** Starts the processes; they load while the primary prepares what they will serve. */
  fork(size: number): void {
    this.#size = size;
    while (this.#members.size < size) this.#add();
  }

  /** Lets the workers bind. Resolves to the bound port once all of them accept; rejects with `WorkerStartError`. */
  start(snapshot: Snapshot): Promise<number> {
    this.#snapshot = snapshot;
    for (const member of this.#members.values()) this.#begin(member);
    return this.#started.promise;
  }

  publish(sections: Partial<Snapshot>): void {
    if (this.#snapshot === null) return;
    this.#snapshot = { ...this.#snapshot, ...sections };
    this.#broadcast({ kind: 'publish', sections });
  }

  reloadCertificate(): void {
    this.#broadcast({ kind: 'certificate' });
  }

  /** How many of the wanted workers accept connections. */
  get listening(): { readonly up: number; readonly wanted: number } {
    const up = [...this.#members.values()].filter((member) => member.listening).length;
    return { up, wanted: this.#size };
  }

  /** Asks every worker for its counters; resolves when `totals` has them, or after `patience` ms without. */
  async collect(patience: number): Promise<void> {
    const members = [...this.#members.values()].filter((member) => member.listening);
    let missing = members.length;
    if (missing === 0) return;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const counted = (): void => {
      if (--missing === 0) resolve(undefined);
    };
    this.#reports.push(counted);
    const timer = setTimeout(() => resolve(undefined), patience);
    for (const { worker } of members) tell(worker, { kind: 'report' });
    await promise;
    clearTimeout(timer);
    this.#reports = this.#reports.filter((report) => report !== counted);
  }

  /** Lets requests in progress finish, then ends the processes; after `patience` ms without asking. */
  async stop(patience: number): Promise<void> {
    this.#stopping = true;
    const workers = [...this.#members.values()].map(({ worker }) => worker);
    const gone = workers.map((worker) => new Promise((resolve) => worker.once('exit', resolve)));
    for (const worker of workers) tell(worker, { kind: 'drain' });
    const timer = setTimeout(() => {
      for (const worker of workers) worker.process.kill('SIGKILL');
    }, patience);
    await Promise.all(gone);
    clearTimeout(timer);
  }

  #add(): void {
    const worker = cluster.fork();
    const member: Member = {
      worker,
      slot: this.#freeSlot(),
      bornAt: Date.now(),
      loaded: false,
      listening: false,
    };
    this.#members.set(worker.id, member);
    worker.on('message', (message: FromWorker) => this.#heard(member, message));
    worker.on('error', () => undefined); // sending to a dead worker; its exit tells the rest
    worker.once('exit', (code, signal) => this.#died(member, code, signal));
  }

  #freeSlot(): number {
    const taken = new Set([...this.#members.values()].map(({ slot }) => slot));
    let slot = 1;
    while (taken.has(slot)) slot++;
    return slot;
  }

  #begin(member: Member): void {
    if (!member.loaded || this.#snapshot === null) return;
    tell(member.worker, {
      kind: 'start',
      snapshot: this.#snapshot,
      output: this.#deps.output,
      slot: member.slot,
    });
  }

  #heard(member: Member, message: FromWorker): void {
    switch (message.kind) {
      case 'loaded':
        member.loaded = true;
        this.#begin(member);
        break;
      case 'listening':
        member.listening = true;
        if (this.listening.up === this.#size) this.#started.resolve(message.port);
        break;
      case 'failed':
        this.#started.reject(new WorkerStartError(message.code, message.message));
        break;
      case 'metrics':
        this.totals.update(member.worker.id, message.metrics);
        for (const report of this.#reports) report();
        break;
      case 'leave':
        this.#deps.places.leave(member.worker.id, message.key);
        break;
      case 'ask':
        void this.#answer(member, message);
        break;
    }
  }

  async #answer({ worker }: Member, { id, question }: Extract<FromWorker, { kind: 'ask' }>): Promise<void> {
    const { questions, rates, places } = this.#deps;
    try {
      let value: unknown = null;
      switch (question.call) {
        case 'refreshKeys':
          await questions.refreshKeys(...question.args);
          break;
        case 'introspect':
          value = await questions.introspect(...question.args);
          break;
        case 'backchannelLogout':
          value = await questions.backchannelLogout(...question.args);
          break;
        case 'takeRate':
          value = rates.take(...question.args);
          break;
        case 'enter':
          value = places.enter(worker.id, ...question.args);
          break;
      }
      tell(worker, { kind: 'answer', id, value });
    } catch (error) {
      tell(worker, {
        kind: 'no-answer',
        id,
        message: error instanceof Error ? error.message : String(error),
      });
    }
  }

  #died(member: Member, code: number, signal: string | null): void {
    const { worker, bornAt } = member;
    this.#members.delete(worker.id);
    this.#deps.places.leaveAll(worker.id);
    this.totals.retire(worker.id);
    if (this.#stopping) return;
    this.restarts++;
    this.#deps.log.warn(
      { event: 'worker-died', worker: member.slot, code, signal },
      'A worker died and is replaced',
    );
    const pause = Date.now() - bornAt >= PROVEN ? 0 : RESTART_PAUSE;
    setTimeout(() => {
      if (!this.#stopping && this.#members.size < this.#size) this.#add();
    }, pause);
  }

  #broadcast(message: ToWorker): void {
    for (const { worker, loaded } of this.#members.values()) if (loaded) tell(worker, message);
  }
}

function tell(worker: Worker, message: ToWorker): void {
  if (worker.isConnected()) worker.send(message, () => undefined);
}
