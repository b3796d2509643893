import type { Deployment, DeployedReplica, Driver, DriverEvent } from '../../contracts/driver.ts';
import type { ServiceSpec } from '../../contracts/service.ts';

/** Ends in a row, without being ready in between, after which a deployment counts as failed. */
const MOST_EXITS = 3;

/** Why a deployment did not become ready, in words for people. */
export class RolloutFailed extends Error {
  override readonly name = 'RolloutFailed';
}

/**
 * One deployment of a service as the registry follows it: how many replicas are wanted, which of them may get requests,
 * and whether it has failed. A failed deployment is still being tried, and becomes whole again once it is ready.
 */
export class Rollout {
  readonly id: string;
  readonly spec: ServiceSpec;
  readonly revision: number;
  readonly #driver: Driver;
  readonly #readyTimeout: number;
  #readyTimer: NodeJS.Timeout | undefined;
  readonly #settling = new Set<() => void>();
  readonly #failed: (why: string) => void;
  /** How many replicas the driver was told to run. */
  #running: number;
  #wanted: number;
  #exits = 0;
  #everReady = false;
  #failure: string | null = null;
  /** Why a replica ended last. */
  #lastEnd: string | null = null;

  /**
   * Begins to run it. `readyTimeout`: ms after which it has failed unless it was ready. `failed` is told when it counts
   * as failed from now on.
   */
  constructor(
    driver: Driver,
    deployment: Deployment,
    revision: number,
    readyTimeout: number,
    failed: (why: string) => void,
  ) {
    this.id = deployment.id;
    this.spec = deployment.spec;
    this.revision = revision;
    this.#driver = driver;
    this.#readyTimeout = readyTimeout;
    this.#failed = failed;
    this.#running = this.#wanted = deployment.replicas;
    if (this.#wanted > 0) this.#expectReady();
    driver.deploy(deployment);
  }

  get replicas(): readonly DeployedReplica[] {
    return this.#driver.state(this.id)?.replicas ?? [];
  }

  get resolvedCommit(): string | null {
    return this.#driver.state(this.id)?.resolvedCommit ?? null;
  }

  /** How many replicas should get requests. */
  get wanted(): number {
    return this.#wanted;
  }

  /** Replicas that the driver runs beyond the wanted ones: they finish what is in progress. */
  get surplus(): boolean {
    return this.#running > this.#wanted;
  }

  /** Why it has failed; null = it has not. */
  get failure(): string | null {
    return this.#failure;
  }

  /** It was ready at some time. */
  get everReady(): boolean {
    return this.#everReady;
  }

  /** Where requests may go: the ready ones of the wanted replicas, or where none of these is, any that is. */
  get origins(): readonly string[] {
    const { replicas } = this;
    const wanted = readyOrigins(replicas.slice(0, this.#wanted));
    return wanted.length > 0 || this.#wanted === 0 ? wanted : readyOrigins(replicas);
  }

  /** Every address that may still have requests in progress. */
  get everyOrigin(): readonly string[] {
    return this.replicas.flatMap(({ origin }) => (origin === null ? [] : [origin]));
  }

  /** More replicas begin at once. Fewer get no new requests; `dropSurplus` ends them once they are drained. */
  want(replicas: number): void {
    const before = this.#wanted;
    this.#wanted = replicas;
    if (replicas === 0)
      this.#forgive(); // the next request tries it anew
    else if (before === 0) this.#expectReady();
    if (replicas > this.#running) {
      this.#running = replicas;
      this.#driver.scale(this.id, replicas);
    }
  }

  /** Ends the replicas beyond the wanted ones, youngest first. */
  dropSurplus(): void {
    if (!this.surplus) return;
    this.#running = this.#wanted;
    this.#driver.scale(this.id, this.#wanted);
  }

  /** The driver has something new. */
  changed(): void {
    if (this.origins.length > 0) {
      this.#everReady = true;
      this.#forgive();
    }
    this.#tell();
  }

  happened(event: DriverEvent): void {
    if (event.kind !== 'exited' && event.kind !== 'prepare-failed') return;
    this.#exits++;
    this.#lastEnd = event.cause ?? event.message;
    if (this.#exits >= MOST_EXITS) this.#fail(this.#lastEnd);
  }

  /**
   * Resolves once so many replicas are ready. Rejects with `RolloutFailed`, also when only some of them are in time, or
   * with the signal's reason.
   */
  async ready(count: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    const look = (): void => {
      if (signal.aborted) reject(signal.reason as Error);
      else if (this.origins.length >= count) resolve(undefined);
      else if (this.#failure !== null) reject(new RolloutFailed(this.#failure));
    };
    const tooLate = setTimeout(() => {
      const ready = this.origins.length;
      reject(
        new RolloutFailed(
          `${ready} of ${count} replicas ${ready === 1 ? 'was' : 'were'} ready ${this.#late()}`,
        ),
      );
    }, this.#readyTimeout);
    this.#settling.add(look);
    signal.addEventListener('abort', look);
    look();
    try {
      await promise;
    } finally {
      clearTimeout(tooLate);
      this.#settling.delete(look);
      signal.removeEventListener('abort', look);
    }
  }

  /** Ends it with everything that it started. */
  async remove(): Promise<void> {
    clearTimeout(this.#readyTimer);
    await this.#driver.remove(this.id);
  }

  #expectReady(): void {
    clearTimeout(this.#readyTimer);
    this.#readyTimer = setTimeout(() => this.#fail(`it was not ready ${this.#late()}`), this.#readyTimeout);
  }

  /** How long it was waited, and for what. */
  #late(): string {
    const { health } = this.spec;
    const missing =
      health === null
        ? 'nothing accepted connections on the port that the variable PORT names'
        : `GET ${health.path} on the port that the variable PORT names was not answered with 200 to 399`;
    return `within ${this.#readyTimeout / 1000} s: ${this.#lastEnd ?? missing}`;
  }

  #forgive(): void {
    clearTimeout(this.#readyTimer);
    this.#exits = 0;
    this.#failure = null;
  }

  #fail(why: string): void {
    const before = this.#failure;
    this.#failure = why;
    this.#tell();
    if (before === null) this.#failed(why);
  }

  #tell(): void {
    for (const look of [...this.#settling]) look();
  }
}

function readyOrigins(replicas: readonly DeployedReplica[]): string[] {
  return replicas.flatMap(({ state, origin }) => (state === 'ready' && origin !== null ? [origin] : []));
}
