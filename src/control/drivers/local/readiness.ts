import { setTimeout as delay } from 'node:timers/promises';
import { accepts, isHealthy } from './probe.ts';

/** Pauses between two looks at a port that does not accept yet, in ms: from the first to the longest. */
const LOOK = { first: 20, longest: 1_000, growth: 1.3 };

/** Between two checks of a ready replica that has a health path, in ms. */
const CHECK_EVERY = 5_000;

/** Failed checks in a row. */
const MOST_FAILURES = 2;

/** Watches whether a run may get requests. Without a health path, one that is ready costs nothing. */
export class Readiness {
  readonly #port: number;
  readonly #path: string | null;
  readonly #tell: (ready: boolean) => void;
  readonly #stop = new AbortController();
  #ready = false;
  #lost: (() => void) | null = null;

  /** `path`: null = ready is what accepts connections. `tell` is told of each change. */
  constructor(port: number, path: string | null, tell: (ready: boolean) => void) {
    this.#port = port;
    this.#path = path;
    this.#tell = tell;
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
        if (!this.#stopped()) this.#tell(false);
        resolve(undefined);
      };
      this.#ready = true;
      this.#tell(true);
      if (this.#path !== null) void this.#check();
      await promise;
    }
  }

  async #untilGood(): Promise<void> {
    let pause = LOOK.first;
    while (!this.#stopped() && !(await this.#good())) {
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
    if (this.#path === null) return accepts(this.#port);
    return isHealthy(this.#port, this.#path);
  }

  async #pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#stop.signal }).catch(() => undefined);
  }

  #stopped(): boolean {
    return this.#stop.signal.aborted;
  }
}
