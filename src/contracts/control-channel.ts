/**
 * What a worker asks of the primary. Every call is off the hot path: it is made only where the snapshot cannot
 * know the answer. A call rejects when the primary does not answer in time.
 */
export interface ControlChannel {
  /** Resolves once the realm's keys were fetched, or at once during the cool-down; newer keys are published first. */
  refreshKeys(realm: string): Promise<void>;
  /** RFC 7662. Resolves to the claims of an active token, or null. */
  introspect(realm: string, token: string): Promise<Record<string, unknown> | null>;
  /** Counts one event in each bucket across all workers, or in none of them when one is full. */
  takeRate(buckets: readonly RateBucket[]): Promise<RateVerdict>;
  /** Takes a place under a concurrency limit across all workers; false = none free. */
  enter(key: string, limit: number): Promise<boolean>;
  /** Gives the place back. */
  leave(key: string): void;
  /**
   * Resolves to true once the service route of this name has a ready upstream, which is published first; to false
   * when there is none after the route's `holdFor`, or no such route. `refused`: an origin that just took no
   * connection, which the primary then looks at before it believes in it again; null = the route has no upstream.
   * The request counts as waiting in the primary until this settles. It rejects once `signal` aborts.
   */
  awaitUpstream(route: string, refused: string | null, signal: AbortSignal): Promise<boolean>;
  /** Hands a logout token (OpenID Connect Back-Channel Logout 1.0) to the realm's keeper; false = not valid. */
  backchannelLogout(realm: string, logoutToken: string): Promise<boolean>;
}

export interface RateBucket {
  readonly key: string;
  readonly count: number;
  /** Milliseconds. */
  readonly window: number;
}

export type RateVerdict =
  { readonly ok: true } | { readonly ok: false; /** Milliseconds. */ readonly retryAfter: number };
