import type { Refusal } from '../errors.ts';
import type { RouteMetrics } from '../telemetry/metrics.ts';
import type { Exchange, ExchangeOwner } from './exchange.ts';

/** How far the upstream came with a request. */
export interface RelayReport {
  /** performance.now() at the response's head; 0 = none yet. */
  readonly headAt: number;
  /** The address that was asked last. */
  readonly origin: string | null;
}

/** What a request's end is told to. */
export interface RecordKeeper {
  settled(exchange: Exchange, record: RequestRecord): void;
  refuse(exchange: Exchange, record: RequestRecord, error: unknown): void;
}

/** What is known of a request by the time that it is answered, for the access log and the metrics. */
export class RequestRecord implements ExchangeOwner {
  /** Name in the log: the route's, or `realm:NAME`; null = none matched. */
  route: string | null = null;
  metrics: RouteMetrics;
  /** The realm named in a challenge; null = the default one. */
  realm: string | null = null;
  relay: RelayReport | null = null;
  host = '';
  path = '';
  user: string | null = null;
  clientAddress: string;
  userAgent: string | null = null;
  /** CORS fields for whatever is answered, flat. */
  cors: readonly string[] = [];
  readonly #keeper: RecordKeeper;
  readonly #exchange: Exchange;

  constructor(keeper: RecordKeeper, exchange: Exchange, metrics: RouteMetrics) {
    this.#keeper = keeper;
    this.#exchange = exchange;
    this.metrics = metrics;
    this.clientAddress = exchange.peer;
  }

  settled(): void {
    this.#keeper.settled(this.#exchange, this);
  }

  broken(refusal: Refusal): void {
    this.#keeper.refuse(this.#exchange, this, refusal);
  }
}
