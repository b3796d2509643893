import { isDeepStrictEqual } from 'node:util';
import type { Deployment, Driver, DriverEvent } from '../../contracts/driver.ts';
import type { ReplicaView, ServiceSpec, ServiceStatus } from '../../contracts/service.ts';
import { Refusal } from '../../errors.ts';
import { Rollout, RolloutFailed } from './rollout.ts';
import type { Traffic } from './traffic.ts';

/** What a service's controller needs of the rest. */
export interface ControllerDependencies {
  readonly driver: Driver;
  readonly traffic: Traffic;
  readonly ledger: Ledger;
  /** In force now; milliseconds. */
  readonly settings: () => { readonly readyTimeout: number; readonly drain: number };
  /** With an id of its own, and the environment and the secrets as they are now. */
  readonly deployment: (spec: ServiceSpec, replicas: number, lastCommit: string | null) => Deployment;
  readonly log: { error(fields: object, message: string): void };
}

/** Where one service's history is kept. */
export interface Ledger {
  /** The revision is in force, with what it runs. */
  activate(revision: number, commit: string | null): void;
  fail(revision: number, why: string): void;
  setCommit(revision: number, commit: string): void;
  event(
    kind: string,
    message: string,
    more?: { replica?: string | null; data?: Record<string, unknown> },
  ): void;
}

export interface Begin {
  readonly spec: ServiceSpec;
  readonly revision: number;
  /** The revision was in force before. */
  readonly active: boolean;
  readonly lastCommit: string | null;
}

/** What is rolled out. */
interface Plan {
  readonly spec: ServiceSpec;
  readonly revision: number;
}

/** A service was cancelled while something was done to it. */
const CANCELLED = new Refusal('conflict', 'The service was cancelled meanwhile');

/**
 * Brings one current service to what was asked of it. One deployment serves; a second one is rolled out beside it, takes
 * over once it is ready, and the first is drained and removed. What was asked is done in order, one at a time.
 */
export class ServiceController {
  readonly #deps: ControllerDependencies;
  readonly #cancelled = new AbortController();
  readonly #over = new AbortController();
  /** Of everything that it started and that may still run, the serving one included. */
  readonly #rollouts = new Map<string, Rollout>();
  #spec: ServiceSpec;
  #revision: number;
  #active: boolean;
  #lastCommit: string | null;
  /** Whose replicas get the requests; null = none yet, or between two that exclude each other. */
  #serving: Rollout | null = null;
  /** Of what serves, when the driver last told something of it; null = nothing yet. */
  #origins: readonly string[] | null = null;
  readonly #begun = Promise.withResolvers<undefined>();
  /** What is done now, and after it; nothing before `begin`. */
  #work: Promise<unknown> = this.#begun.promise;
  readonly #awaiting = new Set<() => void>();

  constructor(begin: Begin, deps: ControllerDependencies) {
    this.#deps = deps;
    this.#spec = begin.spec;
    this.#revision = begin.revision;
    this.#active = begin.active;
    this.#lastCommit = begin.lastCommit;
  }

  get spec(): ServiceSpec {
    return this.#spec;
  }

  /** Aborts once it was cancelled and nothing of it is left, so that its log is whole. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  get revision(): number {
    return this.#revision;
  }

  get resolvedCommit(): string | null {
    return this.#serving?.resolvedCommit ?? this.#lastCommit;
  }

  /** Where requests may go now. */
  get origins(): readonly string[] {
    return this.#serving?.origins ?? [];
  }

  /** Where requests that count as load may be in progress. */
  get loadOrigins(): readonly string[] {
    return this.#serving?.everyOrigin ?? [];
  }

  /** No replica is ready and none is to be expected, so nobody is to wait for one. */
  get hopeless(): boolean {
    return this.origins.length === 0 && this.#serving !== null && this.#serving.failure !== null;
  }

  get wanted(): number {
    return this.#serving?.wanted ?? this.#spec.minReplicas;
  }

  get replicas(): readonly ReplicaView[] {
    return [...this.#rollouts.values()].flatMap(({ replicas }) =>
      replicas.map(({ id, state, restarts, lastExit }) => ({ id, state, restarts, lastExit })),
    );
  }

  get status(): ServiceStatus {
    if (this.#cancelled.signal.aborted) return 'cancelled';
    const serving = this.#serving;
    if (serving === null) return this.#active ? 'degraded' : 'pending';
    const ready = serving.origins.length;
    if (serving.wanted === 0 || ready >= Math.max(1, this.#spec.minReplicas)) return 'running';
    if (ready > 0) return 'degraded';
    if (serving.failure !== null) return 'failed';
    if (serving.everReady) return 'degraded';
    return serving.replicas.some(({ state }) => state === 'starting' || state === 'waiting')
      ? 'starting'
      : 'pending';
  }

  /** Starts what is in force, or what is to be for the first time. */
  begin(): void {
    if (this.#cancelled.signal.aborted) return;
    const { minReplicas } = this.#spec;
    this.#serving = this.#deploy({ spec: this.#spec, revision: this.#revision }, minReplicas);
    this.#noteActive();
    this.#begun.resolve(undefined);
  }

  /**
   * Replaces what runs by fresh replicas of the same revision. Resolves once they serve; throws `rollout_failed`, and
   * then the old ones stay.
   */
  restart(): Promise<void> {
    return this.#inOrder(() => this.#roll({ spec: this.#spec, revision: this.#revision }, 'restart'));
  }

  /**
   * Replaces what runs by what `prepare` makes of it, which is called when it is this change's turn; null = there is
   * nothing to change. As `restart` otherwise.
   */
  update(prepare: () => Promise<Plan | null>): Promise<void> {
    return this.#inOrder(async () => {
      const plan = await prepare();
      this.#cancelled.signal.throwIfAborted();
      if (plan === null) return;
      if (onlyRouting(this.#spec, plan.spec)) await this.#adopt(plan);
      else await this.#roll(plan, 'update');
    });
  }

  /** Rolls a revision out that an earlier run could not finish; its outcome is an event. */
  resume(plan: Plan): void {
    this.update(() => Promise.resolve(plan)).catch(() => undefined);
  }

  /** No request comes in from now on; resolves once what was in progress has ended and nothing runs any more. */
  async cancel(): Promise<void> {
    this.#cancelled.abort(CANCELLED);
    this.#begun.resolve(undefined);
    this.#serving = null;
    this.#reroute();
    this.#wake();
    try {
      await this.#work.catch(() => undefined);
      await Promise.all([...this.#rollouts.values()].map((rollout) => this.#retire(rollout)));
    } finally {
      this.#over.abort();
    }
  }

  /**
   * Resolves to true once requests can be sent somewhere, which is published by then; to false where that is not to be
   * expected, or when the signal aborts. Starts the first replica of a service that has none.
   */
  async awaitReady(signal: AbortSignal): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const look = (): void => {
      if (signal.aborted || this.#cancelled.signal.aborted) resolve(false);
      else if (this.origins.length > 0) resolve(true);
      else if (this.hopeless) resolve(false);
      else if (this.#serving?.wanted === 0) this.scaleTo(1);
    };
    this.#awaiting.add(look);
    signal.addEventListener('abort', look);
    look();
    try {
      const ready = await promise;
      this.#deps.traffic.flush();
      return ready;
    } finally {
      this.#awaiting.delete(look);
      signal.removeEventListener('abort', look);
    }
  }

  scaleTo(replicas: number): void {
    const serving = this.#serving;
    if (serving === null || serving.wanted === replicas) return;
    const before = serving.wanted;
    this.#deps.ledger.event('scaled', `${before} → ${replicas} replicas`, { data: { before, replicas } });
    this.#scale(serving, replicas);
  }

  /** The driver has something new of one of its deployments. */
  changed(deploymentId: string): void {
    const rollout = this.#rollouts.get(deploymentId);
    if (rollout === undefined) return;
    rollout.changed();
    if (rollout !== this.#serving) return;
    this.#noteActive();
    const { origins } = this;
    // Most of what a driver tells is of no concern to the workers, who get the routes of all services at once.
    if (!isDeepStrictEqual(origins, this.#origins)) this.#deps.traffic.changed();
    this.#origins = origins;
    this.#wake();
  }

  happened(deploymentId: string, event: DriverEvent): void {
    const { kind, message, replica, data } = event;
    this.#deps.ledger.event(kind, message, { replica, data });
    this.#rollouts.get(deploymentId)?.happened(event);
  }

  /** A deployment counts as failed from now on. Of one that does not serve, whoever rolls it out tells. */
  #failed(rollout: Rollout, why: string): void {
    if (rollout !== this.#serving) return;
    const message = `It has failed, and is still tried: ${why}`;
    this.#deps.ledger.event('failed', message, { data: { revision: rollout.revision } });
    this.#deps.traffic.changed();
    this.#wake();
  }

  #scale(serving: Rollout, replicas: number): void {
    const surplus = serving.replicas
      .slice(replicas)
      .flatMap(({ origin }) => (origin === null ? [] : [origin]));
    serving.want(replicas);
    this.#reroute();
    if (!serving.surplus) return;
    void this.#deps.traffic
      .drained(surplus, this.#deps.settings().drain)
      .then(() => serving.dropSurplus())
      .catch((err: unknown) => this.#deps.log.error({ err }, 'Surplus replicas could not be drained'));
  }

  async #roll(plan: Plan, what: 'restart' | 'update'): Promise<void> {
    const { traffic, ledger } = this.#deps;
    const { signal } = this.#cancelled;
    signal.throwIfAborted();
    const old = this.#serving;
    const before: Plan = { spec: this.#spec, revision: this.#revision };
    const wanted = Math.max(plan.spec.minReplicas, Math.min(plan.spec.maxReplicas, old?.wanted ?? 0));
    const replicas = Math.max(1, wanted); // also where none is wanted now: it has to show that it can serve
    // Two that need one port exclude each other; requests wait meanwhile.
    const alone = old !== null && (old.spec.fixedPort || plan.spec.fixedPort);
    if (alone) {
      this.#serving = null;
      this.#reroute();
      await this.#retire(old);
    }
    const candidate = this.#deploy(plan, replicas);
    try {
      await candidate.ready(replicas, signal);
    } catch (error) {
      await candidate.remove();
      this.#rollouts.delete(candidate.id);
      if (!(error instanceof RolloutFailed)) throw error;
      if (what === 'update') ledger.fail(plan.revision, error.message);
      ledger.event(`${what}-failed`, `The ${what} failed, and what ran before stays: ${error.message}`, {
        data: { revision: plan.revision },
      });
      if (alone) {
        this.#serving = this.#deploy(before, old.wanted);
        this.#reroute();
      }
      throw new Refusal('rollout_failed', `${error.message}; what ran before stays`);
    }
    this.#serving = candidate;
    this.#spec = plan.spec;
    this.#revision = plan.revision;
    this.#active = false; // until it is noted
    this.#noteActive();
    ledger.event(what === 'update' ? 'updated' : 'restarted', 'The new replicas serve', {
      data: { revision: plan.revision, commit: candidate.resolvedCommit, before: before.revision },
    });
    this.#reroute();
    this.#wake();
    if (old !== null && !alone) this.#retireLater(old);
    await traffic.applied();
  }

  /** A change that the replicas do not notice is in force at once. */
  async #adopt({ spec, revision }: Plan): Promise<void> {
    const { ledger, traffic } = this.#deps;
    this.#spec = spec;
    this.#revision = revision;
    ledger.activate(revision, this.resolvedCommit);
    ledger.event('updated', 'The change is in force; the replicas stay', { data: { revision } });
    const serving = this.#serving;
    if (serving !== null) {
      const replicas = Math.max(spec.minReplicas, Math.min(spec.maxReplicas, serving.wanted));
      if (replicas !== serving.wanted) this.scaleTo(replicas);
    }
    this.#reroute();
    await traffic.applied();
  }

  #deploy({ spec, revision }: Plan, replicas: number): Rollout {
    const { driver, deployment, settings } = this.#deps;
    const rollout: Rollout = new Rollout(
      driver,
      // The last commit stands in for a repository that does not answer, not for another one.
      deployment(spec, replicas, isDeepStrictEqual(spec.git, this.#spec.git) ? this.#lastCommit : null),
      revision,
      settings().readyTimeout,
      (why) => this.#failed(rollout, why),
    );
    this.#rollouts.set(rollout.id, rollout);
    return rollout;
  }

  /** Writes down that the revision is in force, and which commit of it. */
  #noteActive(): void {
    const serving = this.#serving;
    if (serving === null || this.#cancelled.signal.aborted) return;
    const { resolvedCommit: commit } = serving;
    const ready = serving.wanted === 0 || serving.origins.length > 0;
    if (!this.#active && ready) {
      this.#active = true;
      this.#deps.ledger.activate(this.#revision, commit);
    } else if (commit !== null && commit !== this.#lastCommit) {
      this.#deps.ledger.setCommit(this.#revision, commit);
    }
    if (commit !== null) this.#lastCommit = commit;
  }

  #retireLater(rollout: Rollout): void {
    this.#retire(rollout).catch((err: unknown) =>
      this.#deps.log.error({ err, deployment: rollout.id }, 'Replicas could not be ended'),
    );
  }

  /** Ends a deployment that gets no more requests, once what is in progress there has ended. */
  async #retire(rollout: Rollout): Promise<void> {
    await this.#deps.traffic.drained(rollout.everyOrigin, this.#deps.settings().drain);
    await rollout.remove();
    this.#rollouts.delete(rollout.id);
  }

  /** Requests may go elsewhere, or by other rules. */
  #reroute(): void {
    this.#origins = null;
    this.#deps.traffic.changed();
  }

  #wake(): void {
    for (const look of [...this.#awaiting]) look();
  }

  #inOrder<T>(task: () => Promise<T>): Promise<T> {
    const done = this.#work.catch(() => undefined).then(task);
    this.#work = done;
    done.catch(() => undefined);
    return done;
  }
}

/** Whether two specs differ only in what the gateway does with requests, and how many replicas there are. */
function onlyRouting(before: ServiceSpec, after: ServiceSpec): boolean {
  const { minReplicas, maxReplicas, stripPrefix, access, public: isPublic } = after;
  const routed = { ...before, minReplicas, maxReplicas, stripPrefix, access, public: isPublic };
  return isDeepStrictEqual(routed, after);
}
