import type { GatewaySettings, RealmSettings, Route } from './settings.ts';

/**
 * Everything a worker needs to answer requests, as plain JSON data. The primary publishes it, workers compile it
 * and replace what they had in one assignment. It travels in sections, so that a key refresh does not resend
 * ten thousand routes.
 */
export interface Snapshot {
  readonly gateway: GatewaySettings;
  /** Static routes. One of them wins over a service with the same endpoint. */
  readonly routes: readonly Route[];
  /** Routes of the service registry; `upstream` lists the ready replicas and may be empty. */
  readonly services: readonly Route[];
  readonly realms: readonly RealmSnapshot[];
  /** Origins that the health checks found not answering. */
  readonly unhealthy: readonly string[];
}

/** A realm as its keepers in the primary know it at one moment. */
export interface RealmSnapshot {
  readonly settings: Omit<RealmSettings, 'introspection'>;
  /** How long an introspected token may be kept, in ms; null = the realm does not introspect. */
  readonly introspectionCache: number | null;
  /** Accepted issuers; empty until the discovery document could be read once and none are configured. */
  readonly issuers: readonly string[];
  readonly keys: RealmKeys;
  readonly revocations: readonly Revocation[];
}

export interface RealmKeys {
  /** Public signing keys only. Empty = no usable keys (never fetched, or stale for too long). */
  readonly jwks: readonly PublicJwk[];
  /** When the set was last fetched, in ms since the epoch; null = never. */
  readonly fetchedAt: number | null;
  /** Until when an unknown `kid` starts no further fetch, in ms since the epoch. */
  readonly cooldownUntil: number;
}

/** A public JWK (RFC 7517) that a signature can be checked with: `kty` RSA, EC or OKP; `use` absent or `sig`. */
export interface PublicJwk {
  readonly kty: string;
  readonly kid?: string;
  readonly alg?: string;
  readonly crv?: string;
  readonly n?: string;
  readonly e?: string;
  readonly x?: string;
  readonly y?: string;
}

/** A session (or every session of a subject) that the realm ended: tokens issued up to `before` are refused. */
export interface Revocation {
  readonly sid: string | null;
  readonly sub: string | null;
  /** Milliseconds since the epoch. */
  readonly before: number;
  /** When the entry may be forgotten, since no token of that session can be alive. Milliseconds since the epoch. */
  readonly forgetAt: number;
}
