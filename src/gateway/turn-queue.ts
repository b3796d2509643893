import { Refusal } from '../errors.ts';

/** For so many turns after other work there is a crowd: it may have come one turn late. */
const CROWDED_TURNS = 16;

/** In a crowd: what part of the time since the turn before is for this work. */
const CROWDED_PART = 1 / 8;

/** Milliseconds that are enough for one piece of work to begin. */
const ONE_PIECE = 0.001;

/**
 * Runs short pieces of work on the event loop's own thread: at once while the present turn of the loop has time left
 * for them, else in one of the next turns, in the order they came. So a burst costs no hand-over to other threads, and
 * what else the loop has to do waits for it no longer than a turn's share.
 */
export class TurnQueue {
  readonly #share: number;
  readonly #backlog: number;
  readonly #now: () => number;
  readonly #waiting: (() => void)[] = [];
  /** Milliseconds left of this turn's share. */
  #left: number;
  #turning = false;
  #turnedAt = -Infinity;
  /** For how many more turns there is a crowd. */
  #crowded = 0;

  /**
   * `share`: milliseconds of each turn, overdrawn by one piece of work at most. `backlog`: pieces that may wait. `now`:
   * milliseconds of any clock.
   */
  constructor(share: number, backlog: number, now = (): number => performance.now()) {
    this.#share = this.#left = share;
    this.#backlog = backlog;
    this.#now = now;
  }

  /** Other work was done in this turn, and more of it shall wait for little: the next shares are small ones. */
  giveWay(): void {
    this.#crowded = CROWDED_TURNS;
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
    const start = this.#now();
    try {
      return work();
    } finally {
      this.#left -= this.#now() - start;
    }
  }

  /** Begins the share of the next turn, with what waits. */
  #turn(): void {
    const now = this.#now();
    const crowdedShare = Math.max(ONE_PIECE, (now - this.#turnedAt) * CROWDED_PART);
    this.#left = this.#crowded > 0 ? Math.min(this.#share, crowdedShare) : this.#share;
    this.#turnedAt = now;
    this.#turning = false;
    if (this.#crowded > 0) this.#crowded--;
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
