import { Refusal } from '../errors.ts';

/**
 * Runs short pieces of work on the event loop's own thread: at once while the present turn of the loop has time left
 * for them, else in one of the next turns, in the order they came. So a burst costs no hand-over to other threads, and
 * what else the loop has to do waits for it no longer than a turn's share.
 */
export class TurnQueue {
  readonly #share: number;
  readonly #backlog: number;
  readonly #waiting: (() => void)[] = [];
  /** Milliseconds left of this turn's share. */
  #left: number;
  #turning = false;

  /** `share`: milliseconds of each turn, overdrawn by one piece of work at most. `backlog`: pieces that may wait. */
  constructor(share: number, backlog: number) {
    this.#share = this.#left = share;
    this.#backlog = backlog;
  }

  /** Throws what `work` throws; rejects with `overloaded`, without starting the work, when the backlog is full. */
  run<T>(work: () => T | Promise<T>): T | Promise<T> {
    if (this.#left > 0 && this.#waiting.length === 0) return this.#spend(work);
    if (this.#waiting.length >= this.#backlog) return Promise.reject(overloaded());
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#waiting.push(() => {
      try {
        resolve(work());
      } catch (error) {
        reject(error);
      }
    });
    return promise;
  }

  #spend<T>(work: () => T): T {
    if (!this.#turning) {
      this.#turning = true;
      setImmediate(() => this.#turn());
    }
    const start = performance.now();
    try {
      return work();
    } finally {
      this.#left -= performance.now() - start;
    }
  }

  /** Begins the share of the next turn, with what waits. */
  #turn(): void {
    this.#turning = false;
    this.#left = this.#share;
    while (this.#left > 0) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#spend(next);
    }
  }
}

function overloaded(): Refusal {
  return new Refusal('overloaded', 'too many tokens are being checked', { retryAfter: 1 });
}
