/** An exchange that broke instead of being answered. */
export interface Breakage {
  /** Port of this side's end of the connection; null = there never was one. */
  readonly localPort: number | null;
  /** When that connection was opened; this and the following in ms, monotonic. */
  readonly connectedAt: number;
  readonly startedAt: number;
  readonly brokeAt: number;
}

interface Kill {
  readonly at: number;
  /** Of the connections that the worker held. */
  readonly ports: ReadonlySet<number>;
}

/**
 * A request that was under way on a killed worker is lost; that is the only excuse. How long after the kill it may
 * have been sent, since its connection still looked alive from here, in ms.
 */
const UNNOTICED = 1_000;

/** How long after the kill the loss may show, in ms. */
const SHOWS_WITHIN = 5_000;

/** How long before the kill a connection may have been opened that was not yet seen to be the worker's, in ms. */
const NEW = 1_000;

/** Remembers which connections died with which worker. */
export class Losses {
  readonly #kills: Kill[] = [];

  /** A worker that held these connections is about to be killed. */
  killing(ports: ReadonlySet<number>, at = performance.now()): void {
    this.#kills.push({ at, ports });
  }

  /** Whether the exchange was under way on a worker that was killed. */
  excuses({ localPort, connectedAt, startedAt, brokeAt }: Breakage): boolean {
    if (localPort === null) return false;
    return this.#kills.some(({ at, ports }) => {
      const then = startedAt <= at + UNNOTICED && brokeAt >= at && brokeAt <= at + SHOWS_WITHIN;
      return then && (ports.has(localPort) || connectedAt >= at - NEW);
    });
  }
}
