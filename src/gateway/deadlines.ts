/** Something in progress that has to be looked at as time passes. */
export interface Watched {
  /** The keeper's own: where this stands in its list; -1 = it does not. */
  watchedAt: number;
  /** `now` in ms since the epoch, accurate to one tick. */
  check(now: number): void;
}

/** Milliseconds between two looks: the accuracy of every time-out in the data path. */
const TICK = 100;

/**
 * One timer for all requests of a worker. A timer of its own for each of a request's time-outs would cost more than
 * the rest of the bookkeeping; here a request is one entry in a list, and its progress one assignment.
 */
export class Deadlines {
  /** ms since the epoch at the last tick. */
  now = Date.now();
  // Not a Set: V8 links a Set's outgrown table to the next one, and by such a chain dead requests outlived their
  // scavenges, which then took a fifth of all time.
  readonly #watched: Watched[] = [];
  readonly #timer: NodeJS.Timeout;

  /** `every`: milliseconds between two looks. */
  constructor(every = TICK) {
    this.#timer = setInterval(() => this.#tick(), every);
  }

  watch(item: Watched): void {
    if (item.watchedAt !== -1) return;
    item.watchedAt = this.#watched.length;
    this.#watched.push(item);
  }

  forget(item: Watched): void {
    const at = item.watchedAt;
    if (at === -1) return;
    item.watchedAt = -1;
    const last = this.#watched.pop()!;
    if (last === item) return;
    this.#watched[at] = last;
    last.watchedAt = at;
  }

  get size(): number {
    return this.#watched.length;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    this.now = Date.now();
    // From the end: a check may forget its own item, whose place the last one takes, which was looked at already.
    for (let i = this.#watched.length - 1; i >= 0; i--) this.#watched[i]?.check(this.now);
  }
}
