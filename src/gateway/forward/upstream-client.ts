import { Exchange } from './upstream-exchange.ts';
import { OriginPool } from './origin-pool.ts';
import type {
  UpstreamClient,
  UpstreamClientOptions,
  UpstreamEvents,
  UpstreamExchange,
  UpstreamRequest,
} from './upstream-types.ts';

/** Milliseconds between two looks at the connect and idle deadlines, at most. */
const LONGEST_SWEEP = 250;
const SHORTEST_SWEEP = 10;

/** An HTTP/1.1 client (RFC 9112) that keeps connections per origin. See `UpstreamClient`. */
export function createUpstreamClient(options: UpstreamClientOptions): UpstreamClient {
  return new Client(options);
}

class Client implements UpstreamClient {
  readonly #options: UpstreamClientOptions;
  readonly #sweepEvery: number;
  readonly #pools = new Map<string, OriginPool>();
  /** Of origins that were withdrawn, until their last connection is closed. */
  readonly #withdrawn = new Set<OriginPool>();
  /** Runs while there are connections: one timer for all of their deadlines. */
  #sweeper: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(options: UpstreamClientOptions) {
    this.#options = options;
    const shortest = Math.min(options.connectTimeout, options.idleTimeout);
    this.#sweepEvery = Math.max(SHORTEST_SWEEP, Math.min(LONGEST_SWEEP, shortest / 4));
  }

  request(origin: string, request: UpstreamRequest, events: UpstreamEvents): UpstreamExchange {
    const exchange = new Exchange(this.#pools.get(origin) ?? this.#addPool(origin), request, events);
    exchange.begin();
    return exchange;
  }

  connections(): { readonly active: number; readonly idle: number } {
    let open = 0;
    let idle = 0;
    for (const pool of [...this.#pools.values(), ...this.#withdrawn]) {
      open += pool.open;
      idle += pool.idle;
    }
    return { active: open - idle, idle };
  }

  withdraw(origin: string): void {
    const pool = this.#pools.get(origin);
    if (pool === undefined) return;
    pool.close();
    this.#pools.delete(origin);
    if (pool.open > 0) this.#withdrawn.add(pool);
  }

  close(): void {
    this.#closed = true;
    for (const pool of this.#pools.values()) pool.close();
  }

  #addPool(origin: string): OriginPool {
    const pool = new OriginPool(origin, this.#options);
    if (this.#closed) pool.close();
    this.#pools.set(origin, pool);
    this.#sweeper ??= setInterval(() => this.#sweep(), this.#sweepEvery).unref();
    return pool;
  }

  #sweep(): void {
    const now = performance.now();
    for (const [origin, pool] of this.#pools) {
      pool.sweep(now);
      if (pool.open === 0) this.#pools.delete(origin);
    }
    for (const pool of this.#withdrawn) {
      pool.sweep(now);
      if (pool.open === 0) this.#withdrawn.delete(pool);
    }
    if (this.#pools.size + this.#withdrawn.size > 0 || this.#sweeper === null) return;
    clearInterval(this.#sweeper);
    this.#sweeper = null;
  }
}
