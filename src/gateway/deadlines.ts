/** Something in progress that has to be looked at as time passes. */
export interface Watched {
  /** `now` in ms since the epoch, accurate to one tick. */
  check(now: number): void;
}

/** Milliseconds between two looks: the accuracy of every time-out in the data path. */
const TICK = 100;

/**
 * One timer for all requests of a worker. A timer of its own for each of a request's time-outs would cost more than
 * the rest of the bookkeeping; here a request is one entry in a set, and its progress one assignment.
 */
export class Deadlines {
  /** ms since the epoch at the last tick. */
  now = Date.now();
  readonly #watched = new Set<Watched>();
  readonly #timer = setInterval(() => this.#tick(), TICK);

  watch(item: Watched): void {
    this.#watched.add(item);
  }

  forget(item: Watched): void {
    this.#watched.delete(item);
  }

  get size(): number {
    return this.#watched.size;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    this.now = Date.now();
    for (const item of this.#watched) item.check(this.now);
  }
}
