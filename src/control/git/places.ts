interface Waiter {
  readonly weight: number;
  readonly start: () => void;
}

/**
 * A number of places that work takes and gives back, first come first served. Work that needs a thing for itself
 * takes all of them, so that it runs with no other.
 */
export class Places {
  readonly capacity: number;
  #free: number;
  readonly #queue: Waiter[] = [];

  constructor(capacity: number) {
    this.capacity = capacity;
    this.#free = capacity;
  }

  /** Whether nobody works or waits. */
  get idle(): boolean {
    return this.#free === this.capacity && this.#queue.length === 0;
  }

  /** Runs `work` once `weight` places are free. Rejects with the signal's reason while it still waits. */
  async use<T>(weight: number, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    await this.#enter(weight, signal);
    try {
      return await work();
    } finally {
      this.#free += weight;
      this.#admit();
    }
  }

  async #enter(weight: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    const waiter: Waiter = { weight, start: () => resolve(undefined) };
    const onAbort = (): void => {
      const index = this.#queue.indexOf(waiter);
      if (index === -1) return;
      this.#queue.splice(index, 1);
      reject(signal.reason as Error);
      this.#admit();
    };
    signal.addEventListener('abort', onAbort, { once: true });
    this.#queue.push(waiter);
    this.#admit();
    await promise.finally(() => signal.removeEventListener('abort', onAbort));
  }

  #admit(): void {
    for (let next = this.#queue[0]; next !== undefined && next.weight <= this.#free; next = this.#queue[0]) {
      this.#queue.shift();
      this.#free -= next.weight;
      next.start();
    }
  }
}
