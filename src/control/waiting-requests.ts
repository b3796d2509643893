/**
 * The requests that wait in workers until their service has a replica: how many for each route, and the way to let
 * go of them when the client leaves or the worker dies.
 */
export class WaitingRequests {
  readonly #byWorker = new Map<number, Map<number, AbortController>>();
  readonly #counts = new Map<string, number>();

  /** By route; a route that nobody waits for is absent. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  /** Counts one request for as long as `answer` takes. Its signal aborts when nobody waits for it any more. */
  async wait(
    workerId: number,
    id: number,
    route: string,
    answer: (signal: AbortSignal) => Promise<boolean>,
  ): Promise<boolean> {
    const controller = new AbortController();
    const ofWorker = this.#byWorker.get(workerId) ?? new Map<number, AbortController>();
    this.#byWorker.set(workerId, ofWorker);
    ofWorker.set(id, controller);
    this.#add(route, 1);
    const { promise, resolve } = Promise.withResolvers<boolean>();
    controller.signal.addEventListener('abort', () => resolve(false), { once: true });
    try {
      return await Promise.race([answer(controller.signal), promise]);
    } finally {
      this.#add(route, -1);
      ofWorker.delete(id);
      if (ofWorker.size === 0) this.#byWorker.delete(workerId);
    }
  }

  withdraw(workerId: number, id: number): void {
    this.#byWorker.get(workerId)?.get(id)?.abort();
  }

  /** The worker is gone, and its clients with it. */
  withdrawAll(workerId: number): void {
    for (const controller of [...(this.#byWorker.get(workerId)?.values() ?? [])]) controller.abort();
  }

  #add(route: string, change: number): void {
    const count = (this.#counts.get(route) ?? 0) + change;
    if (count === 0) this.#counts.delete(route);
    else this.#counts.set(route, count);
  }
}
