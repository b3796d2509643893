import { Refusal } from '../errors.ts';

/** Runs at most `concurrency` pieces of work at a time, in the order they came, and lets at most `backlog` wait. */
export class WorkQueue {
  readonly #concurrency: number;
  readonly #backlog: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(concurrency: number, backlog: number) {
    this.#concurrency = concurrency;
    this.#backlog = backlog;
  }

  /** Rejects with `overloaded` at once, without starting the work, when the backlog is full. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#concurrency) {
      if (this.#waiting.length >= this.#backlog) {
        throw new Refusal('overloaded', 'too many tokens are being checked', { retryAfter: 1 });
      }
      // Whoever wakes this one hands its own place over, so that nothing that comes later can slip in between.
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else {
      this.#running++;
    }
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }
}
