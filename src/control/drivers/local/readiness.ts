import { setTimeout as delay } from 'node:timers/promises';
import { accepts, isHealthy } from './probe.ts';

/** Pauses between two looks at a port that does not accept yet, in ms: from the first to the longest. */
const LOOK = { first: 20, longest: 1_000, growth: 1.3 };

/** Between two checks of a ready replica that has a health path, in ms. */
const CHECK_EVERY = 5_000;

/** Failed checks in a row. */
const MOST_FAILURES = 2;

export interface Watched {
  readonly port: number;
  /** null = ready is what accepts connections. */
  readonly path: string | null;
  /** Whether it is the run itself that listens; asked before it counts as ready. */
  readonly isOwn: () => Promise<boolean>;
  /** Told of each change. */
  readonly tell: (ready: boolean) => void;
}

/** Watches whether a run may get requests. Without a health path, one that is ready costs nothing. */
export class Readiness {
  readonly #watched: Watched;
  readonly #stop = new AbortController();
  #ready = false;
  #lost: (() => void) | null = null;

  constructor(watched: Watched) {
    this.#watched = watched;
    void this.#watch();
  }

  stop(): void {
    this.#stop.abort();
    this.#lost?.();
  }

  /** Looks now, and tells when it is no longer ready. */
  async suspect(): Promise<void> {
    if (this.#ready && !(await this.#good())) this.#lost?.();
  }

  async #watch(): Promise<void> {
    while (!this.#stopped()) {
      await this.#untilGood();
      if (this.#stopped()) return;
      const { promise, resolve } = Promise.withResolvers<undefined>();
      this.#lost = () => {
        this.#lost = null;
        this.#ready = false;
        if (!this.#stopped()) this.#watched.tell(false);
        resolve(undefined);
      };
      this.#ready = true;
      this.#watched.tell(true);
      if (this.#watched.path !== null) void this.#check();
      await promise;
    }
  }

  async #untilGood(): Promise<void> {
    let pause = LOOK.first;
    const { isOwn } = this.#watched;
    while (!this.#stopped() && !((await this.#good()) && (await isOwn()))) {
      await this.#pause(pause);
      pause = Math.min(pause * LOOK.growth, LOOK.longest);
    }
  }

  async #check(): Promise<void> {
    const lost = this.#lost;
    for (let failures = 0; failures < MOST_FAILURES;) {
      await this.#pause(CHECK_EVERY);
      if (this.#lost !== lost || this.#stopped()) return; // somebody else has noticed
      failures = (await this.#good()) ? 0 : failures + 1;
    }
    if (this.#lost === lost) lost?.();
  }

  async #good(): Promise<boolean> {
    const { port, path } = this.#watched;
    return path === null ? accepts(port) : isHealthy(port, path);
  }

  async #pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#stop.signal }).catch(() => undefined);
  }

  #stopped(): boolean {
    return this.#stop.signal.aborted;
  }
}
