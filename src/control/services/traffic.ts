import { setTimeout as delay } from 'node:timers/promises';
import type { Route } from '../../contracts/settings.ts';

/** Pauses between two looks at what is still in progress, in ms: doubled from the first to the last. */
const LOOK = { first: 20, last: 500 };

/** The workers, as far as services need them. */
export interface DataPlane {
  /** Replaces the routes of all services. A `load` asked afterwards reflects them. */
  publish(routes: readonly Route[]): void;
  /**
   * By origin: requests in progress, and how many were begun so far. Of a worker that does not tell within `patience` ms,
   * by default a second, what it told before counts.
   */
  load(
    patience?: number,
  ): Promise<ReadonlyMap<string, { readonly outstanding: number; readonly started: number }>>;
  /** By route: requests that wait for an upstream. */
  waiting(): ReadonlyMap<string, number>;
}

/** Which replicas get requests: what workers know of it, and when they are done with those that get no more. */
export class Traffic {
  readonly #plane: DataPlane;
  readonly #routes: () => readonly Route[];
  #dirty = false;

  /** `routes` tells all that should be in force. */
  constructor(plane: DataPlane, routes: () => readonly Route[]) {
    this.#plane = plane;
    this.#routes = routes;
  }

  /** Some route differs. Many changes at once are one message. */
  changed(): void {
    if (this.#dirty) return;
    this.#dirty = true;
    setImmediate(() => this.flush());
  }

  /** Publishes now what has changed. */
  flush(): void {
    if (!this.#dirty) return;
    this.#dirty = false;
    this.#plane.publish(this.#routes());
  }

  /** Resolves once the workers go by all that has changed so far: before somebody is told that it is in force. */
  async applied(): Promise<void> {
    this.flush();
    await this.#plane.load();
  }

  /** Resolves once nothing is in progress on these withdrawn origins, or after `patience` ms. */
  async drained(origins: readonly string[], patience: number): Promise<void> {
    const deadline = performance.now() + patience;
    this.flush();
    for (let pause = LOOK.first; origins.length > 0; pause = Math.min(pause * 2, LOOK.last)) {
      // What a busy worker told before says nothing of these origins.
      const load = await this.#plane.load(Math.max(deadline - performance.now(), 0));
      if (origins.every((origin) => (load.get(origin)?.outstanding ?? 0) === 0)) return;
      if (performance.now() >= deadline) return;
      await delay(pause);
    }
  }
}
