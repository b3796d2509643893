import type { RouteMetrics } from '../telemetry/metrics.ts';

/** How far the upstream came with a request. */
export interface RelayReport {
  /** performance.now() at the response's head; 0 = none yet. */
  readonly headAt: number;
  /** The address that was asked last. */
  readonly origin: string | null;
}

/** What is known of a request by the time that it is answered, for the access log and the metrics. */
export interface RequestRecord {
  /** Name in the log: the route's, or `realm:NAME`; null = none matched. */
  route: string | null;
  metrics: RouteMetrics;
  /** The realm named in a challenge; null = the default one. */
  realm: string | null;
  relay: RelayReport | null;
  host: string;
  path: string;
  user: string | null;
  clientAddress: string;
  userAgent: string | null;
  /** CORS fields for whatever is answered, flat. */
  cors: readonly string[];
}
