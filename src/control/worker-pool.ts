import { randomBytes } from 'node:crypto';
import type { ControlChannel } from '../contracts/control-channel.ts';
import type { Explanation, ExplainQuestion } from '../contracts/explain.ts';
import type { ListenAddress } from '../contracts/settings.ts';
import type { Snapshot } from '../contracts/snapshot.ts';
import type { FromWorker, LogOutput, Question, ToWorker } from '../contracts/worker-messages.ts';
import { Refusal } from '../errors.ts';
import { WorkerTotals } from '../telemetry/worker-totals.ts';
import { ConnectionDealer } from './connection-dealer.ts';
import type { ConcurrencyLedger, RateLedger } from './limits.ts';
import { WaitingRequests } from './waiting-requests.ts';
import { type WorkerEnd, WorkerProcess } from './worker-process.ts';

/** A worker that lived for so long, in ms, did not die of its start. */
const PROVEN = 2_000;

/** Pause before the replacement of a worker that died young for the second time and on, in ms: doubled up to the last. */
const PAUSE = { first: 1_000, last: 10_000 };

/** Deaths of a worker in a row, before all of them served for the first time, that end the attempt to start. */
const MOST_DEATHS_AT_START = 3;

/** How long a worker may take to tell its load, in ms, unless whoever asks says otherwise. */
const LOAD_PATIENCE = 1_000;

/** How long a worker may take to explain, in ms: longer than the realm may take to introspect a token. */
const EXPLAIN_PATIENCE = 20_000;

/** A refused connection is told at most so often, in ms. */
const TELL_EVERY = 10_000;

/** What of the channel reaches into the realms; limits are the pool's own. */
export type RealmQuestions = Pick<ControlChannel, 'refreshKeys' | 'introspect' | 'backchannelLogout'>;

/** What of the channel reaches into the services. */
export type ServiceQuestions = Pick<ControlChannel, 'awaitUpstream'>;

export interface WorkerPoolDependencies {
  readonly questions: RealmQuestions;
  readonly services: ServiceQuestions;
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

/** What the workers have to do with one address. */
export interface Load {
  /** Requests and tunnels in progress. */
  readonly outstanding: number;
  /** Those begun since the address was published; falls when a worker dies. */
  readonly started: number;
}

/** The workers cannot serve: a certificate that cannot be read, or a program that ends before it served. */
export class WorkerStartError extends Error {}

/**
 * The worker processes of the data plane. The primary holds the listening socket and deals connections out in turn,
 * so that they are spread evenly and none is lost when a worker dies.
 */
export class WorkerPool {
  readonly totals = new WorkerTotals();
  /** Workers that died and were replaced. */
  restarts = 0;
  readonly #deps: WorkerPoolDependencies;
  readonly #dealer: ConnectionDealer;
  readonly #members = new Set<WorkerProcess>();
  /** By slot: deaths in a row of workers that did not prove themselves. */
  readonly #youngDeaths = new Map<number, number>();
  readonly #waiting = new WaitingRequests();
  readonly #ticketKeys = randomBytes(48).toString('base64');
  #size = 0;
  #refusalToldAt = -Infinity;
  #snapshot: Snapshot | null = null;
  #stopping = false;
  readonly #started = Promise.withResolvers<undefined>();
  /** Told of every worker that has reported, or that never will. */
  readonly #collections = new Set<(worker: WorkerProcess) => void>();

  constructor(deps: WorkerPoolDependencies) {
    this.#deps = deps;
    this.#started.promise.catch(() => undefined);
    this.#dealer = new ConnectionDealer((error) => this.#refused(error));
  }

  /** Binds; connections wait until there are workers. Resolves to the bound port; rejects with the system's error. */
  bind(address: ListenAddress): Promise<number> {
    return this.#dealer.listen(address);
  }

  /** Starts the processes; they load while the primary prepares what they will serve. */
  fork(size: number): void {
    this.#size = size;
    for (let slot = 1; slot <= size; slot++) this.#add(slot);
  }

  /** Lets the workers serve. Resolves once all of them do; rejects with `WorkerStartError`. */
  async start(snapshot: Snapshot): Promise<void> {
    this.#snapshot = snapshot;
    for (const worker of this.#members) this.#begin(worker);
    await this.#started.promise;
  }

  /** Sections that replace the ones before, in every worker, in one go. */
  publish(sections: Partial<Snapshot>): void {
    if (this.#snapshot === null) return;
    this.#snapshot = { ...this.#snapshot, ...sections };
    for (const worker of this.#members) if (worker.loaded) worker.publish(sections);
  }

  /** How many of the wanted workers serve. */
  get serving(): { readonly up: number; readonly wanted: number } {
    const up = [...this.#members].filter((worker) => worker.serving).length;
    return { up, wanted: this.#size };
  }

  /** Asks every worker for its counters; resolves when `totals` has them, or after `patience` ms without. */
  async collect(patience: number): Promise<void> {
    const missing = new Set([...this.#members].filter((worker) => worker.serving));
    if (missing.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const collection = (worker: WorkerProcess): void => {
      missing.delete(worker);
      if (missing.size === 0) resolve(undefined);
    };
    this.#collections.add(collection);
    const timer = setTimeout(() => resolve(undefined), patience);
    for (const worker of missing) worker.tell({ kind: 'report' });
    await promise;
    clearTimeout(timer);
    this.#collections.delete(collection);
  }

  /** How many requests wait for an upstream of each route right now, in all workers; none = absent. */
  waiting(): ReadonlyMap<string, number> {
    return this.#waiting.counts;
  }

  /**
   * What all workers together have to do with each address of a service, those that were withdrawn among them until
   * their last request has ended. It is of after everything that was published before; a worker that died counts 0, and
   * of one that does not tell within `patience` ms what it told before.
   */
  async load(patience = LOAD_PATIENCE): Promise<ReadonlyMap<string, Load>> {
    const serving = [...this.#members].filter((worker) => worker.serving);
    const loads = await Promise.all(
      serving.map(async (worker) => {
        worker.load = (await worker.inquire({ about: 'load' }, patience)) ?? worker.load;
        return this.#members.has(worker) ? worker.load : [];
      }),
    );
    const sums = new Map<string, Load>();
    for (const { origin, outstanding, started } of loads.flat()) {
      const before = sums.get(origin) ?? { outstanding: 0, started: 0 };
      sums.set(origin, {
        outstanding: before.outstanding + outstanding,
        started: before.started + started,
      });
    }
    return sums;
  }

  /** What a worker would do with a request. Rejects with `service_unavailable` where none can tell. */
  async explain(question: ExplainQuestion): Promise<Explanation> {
    const worker = [...this.#members].find(({ serving }) => serving);
    const explanation = (await worker?.inquire({ about: 'explain', question }, EXPLAIN_PATIENCE)) ?? null;
    if (explanation !== null) return explanation;
    throw new Refusal('service_unavailable', 'No worker could explain the request', { retryAfter: 1 });
  }

  /** Refuses new connections, lets requests in progress finish, then ends the processes; after `patience` ms by force. */
  async stop(patience: number): Promise<void> {
    this.#stopping = true;
    this.#dealer.close();
    const workers = [...this.#members];
    for (const worker of workers) {
      if (worker.serving) worker.tell({ kind: 'drain' });
      else worker.kill();
    }
    const timer = setTimeout(() => this.kill(), patience);
    await Promise.all(workers.map((worker) => worker.gone));
    clearTimeout(timer);
  }

  /** Ends every process at once. */
  kill(): void {
    this.#stopping = true;
    this.#dealer.close();
    for (const worker of this.#members) worker.kill();
  }

  #add(slot: number): void {
    const worker = new WorkerProcess(slot, (from, message) => this.#heard(from, message));
    this.#members.add(worker);
    void worker.gone.then((end) => this.#died(worker, end));
  }

  #begin(worker: WorkerProcess): void {
    if (!worker.loaded || this.#snapshot === null) return;
    const { output } = this.#deps;
    worker.tell({
      kind: 'start',
      snapshot: this.#snapshot,
      output,
      slot: worker.slot,
      ticketKeys: this.#ticketKeys,
    });
  }

  #heard(worker: WorkerProcess, message: FromWorker): void {
    if (message.kind === 'metrics') {
      this.totals.update(worker.id, message.metrics);
      for (const collection of this.#collections) collection(worker);
      return;
    }
    // The channel may still hold something of a worker that has ended. A place given to it would never come back.
    if (!this.#members.has(worker)) return;
    switch (message.kind) {
      case 'loaded':
        worker.loaded = true;
        this.#begin(worker);
        break;
      case 'serving':
        worker.serving = true;
        if (!this.#stopping) this.#dealer.add(worker);
        if (this.serving.up === this.#size) this.#started.resolve(undefined);
        break;
      case 'failed':
        this.#deps.log.error(
          { worker: worker.slot, reason: message.message },
          'A worker cannot serve what it was given',
        );
        this.#started.reject(new WorkerStartError(message.message));
        worker.kill();
        break;
      case 'took':
        worker.settleOffer();
        this.#dealer.took(worker);
        break;
      case 'missed':
        this.#refused(new Error(`worker ${worker.slot} has too many files open`));
        worker.settleOffer();
        this.#dealer.remove(worker);
        if (!this.#stopping) this.#dealer.add(worker);
        break;
      case 'reply':
        worker.replied(message.id, message.value);
        break;
      case 'withdraw':
        this.#waiting.withdraw(worker.id, message.id);
        break;
      case 'leave':
        this.#deps.places.leave(worker.id, message.key);
        break;
      case 'ask':
        void this.#answer(worker, message);
        break;
    }
  }

  async #answer(
    worker: WorkerProcess,
    { id, question }: Extract<FromWorker, { kind: 'ask' }>,
  ): Promise<void> {
    let answer: ToWorker;
    try {
      answer = { kind: 'answer', id, value: await this.#valueOf(worker, id, question) };
    } catch (error) {
      answer = { kind: 'no-answer', id, message: error instanceof Error ? error.message : String(error) };
    }
    worker.tell(answer);
  }

  #valueOf(worker: WorkerProcess, id: number, question: Question): unknown {
    const { questions, services, rates, places } = this.#deps;
    switch (question.call) {
      case 'refreshKeys':
        return questions.refreshKeys(...question.args);
      case 'introspect':
        return questions.introspect(...question.args);
      case 'backchannelLogout':
        return questions.backchannelLogout(...question.args);
      case 'takeRate':
        return rates.take(...question.args);
      case 'enter':
        return places.enter(worker.id, ...question.args);
      case 'awaitUpstream': {
        const [route, refused] = question.args;
        return this.#waiting.wait(worker.id, id, route, (signal) =>
          services.awaitUpstream(route, refused, signal),
        );
      }
    }
  }

  #refused(err: Error): void {
    if (performance.now() - this.#refusalToldAt < TELL_EVERY) return;
    this.#refusalToldAt = performance.now();
    this.#deps.log.error({ err }, 'The system refuses connections');
  }

  #died(worker: WorkerProcess, end: WorkerEnd): void {
    this.#members.delete(worker);
    worker.settleOffer();
    this.#dealer.remove(worker);
    this.#deps.places.leaveAll(worker.id);
    this.#waiting.withdrawAll(worker.id);
    this.totals.retire(worker.id);
    for (const collection of this.#collections) collection(worker);
    if (this.#stopping) return;
    const { slot } = worker;
    const young = performance.now() - worker.bornAt < PROVEN;
    const deaths = young ? (this.#youngDeaths.get(slot) ?? 0) + 1 : 0;
    this.#youngDeaths.set(slot, deaths);
    if (deaths >= MOST_DEATHS_AT_START) {
      this.#started.reject(new WorkerStartError(`they end before they serve (${howItEnded(end)})`));
    }
    const pause = deaths <= 1 ? 0 : Math.min(PAUSE.first * 2 ** (deaths - 2), PAUSE.last);
    this.restarts++;
    this.#deps.log.warn(
      { event: 'worker-died', worker: slot, workerPid: worker.pid, ...end, replacedInMs: pause },
      'A worker died and is replaced',
    );
    setTimeout(() => {
      if (!this.#stopping) this.#add(slot);
    }, pause);
  }
}

function howItEnded({ code, signal, error }: WorkerEnd): string {
  return error ?? (signal === null ? `exit code ${code ?? 'unknown'}` : signal);
}
