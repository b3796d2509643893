/**
 * The configuration after checking and decoding: every default filled in, durations in milliseconds, sizes in
 * bytes, URLs normalised without a trailing slash. `src/config` produces it; everything else only reads it.
 */
export interface Settings {
  readonly dataDir: string;
  readonly gateway: GatewaySettings;
  readonly admin: AdminSettings;
  readonly realms: readonly RealmSettings[];
  readonly routes: readonly Route[];
  readonly embeddedRealm: EmbeddedRealmSettings | null;
  readonly services: ServicesSettings;
  /** A service for a first try: `serve` makes a git repository from the directory, and the service from that. */
  readonly example: { readonly directory: string; readonly name: string; readonly endpoint: string } | null;
}

/** A TCP address to bind. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

export interface GatewaySettings {
  readonly listen: ListenAddress;
  /** Origin that clients see, such as `https://services.example.com`; null = what the request says. */
  readonly publicUrl: string | null;
  /** Number of worker processes, already resolved from `auto`. */
  readonly workers: number;
  /** CIDR blocks whose `X-Forwarded-*` are believed. */
  readonly trustedProxies: readonly string[];
  /** The text of the PEM files. A worker that starts later needs what is in force, and not what the files are by then. */
  readonly tls: Tls | null;
  readonly limits: GatewayLimits;
  readonly timeouts: GatewayTimeouts;
  readonly accessLog: boolean;
}

export interface Tls {
  readonly cert: string;
  readonly key: string;
}

export interface GatewayLimits {
  readonly headerBytes: number;
  readonly tokenBytes: number;
  /** null = unlimited. */
  readonly bodyBytes: number | null;
  readonly connections: number;
}

/** Milliseconds. */
export interface GatewayTimeouts {
  readonly header: number;
  readonly connect: number;
  /** From the request's last byte to the answer's first. */
  readonly response: number;
  /** No byte either way. */
  readonly idle: number;
  readonly drain: number;
}

export interface AdminSettings {
  readonly listen: ListenAddress;
  readonly realm: string;
  readonly roles: { readonly admin: string; readonly developer: string; readonly viewer: string };
}

export interface RealmSettings {
  readonly name: string;
  /** How the gateway reaches the realm: `http://keycloak:8080/auth/realms/demo`. */
  readonly url: string;
  /** Accepted `iss`; null = the discovery document's issuer. */
  readonly issuers: readonly string[] | null;
  /** Accepted `azp`, or member of `aud`; null = any client of the realm. */
  readonly clients: readonly string[] | null;
  /** JWS algorithm names; never `none`, never `HS*`. */
  readonly algorithms: readonly string[];
  /** Milliseconds. */
  readonly clockSkew: number;
  /** Milliseconds. */
  readonly jwks: {
    readonly refresh: number;
    readonly cooldown: number;
    readonly staleFor: number;
    readonly timeout: number;
  };
  readonly introspection: {
    readonly clientId: string;
    readonly clientSecret: string;
    /** Milliseconds. */
    readonly cache: number;
  } | null;
  readonly revocation: { readonly backchannelLogout: boolean };
  readonly passthrough: PassthroughSettings;
}

export type PassthroughEndpoint =
  'token' | 'certs' | 'openid-configuration' | 'auth' | 'logout' | 'userinfo' | 'device' | 'resources';

export interface PassthroughSettings {
  readonly endpoints: readonly PassthroughEndpoint[];
  readonly grants: readonly string[];
  readonly limit: { readonly perUser: Rate; readonly perAddress: Rate };
}

/** `count` events per `window` milliseconds. */
export interface Rate {
  readonly count: number;
  readonly window: number;
}

/** One published endpoint. Exactly one of `endpoint` and `host` is set. */
export interface Route {
  readonly name: string;
  /** Canonical path prefix of whole segments, `/` or without a trailing slash. */
  readonly endpoint: string | null;
  /** Lower-case host name without port. */
  readonly host: string | null;
  /** Origins such as `http://10.96.0.12:8787`. */
  readonly upstream: readonly string[];
  readonly stripPrefix: boolean;
  readonly realm: string;
  /** Every non-empty list must match, one member each; all empty = any valid token. */
  readonly access: {
    /** `realm:NAME` or `client:CLIENT/NAME`. */
    readonly roles: readonly string[];
    readonly scopes: readonly string[];
    readonly clients: readonly string[];
  };
  readonly public: boolean;
  readonly forwardToken: boolean;
  readonly cors: { readonly origins: readonly string[] } | null;
  readonly limit: {
    readonly rate: Rate | null;
    readonly perIdentity: boolean;
    readonly concurrency: number | null;
  } | null;
  readonly health: { readonly path: string; /** Milliseconds. */ readonly interval: number } | null;
  /** Milliseconds that a request may wait for an upstream to become ready; 0 = not at all, as for static routes. */
  readonly holdFor: number;
}

export interface EmbeddedRealmSettings {
  /** A loopback address, always. */
  readonly listen: ListenAddress;
  readonly name: string;
  readonly users: readonly {
    readonly username: string;
    readonly password: string;
    readonly roles: readonly string[];
  }[];
}

export interface ServicesSettings {
  readonly driver: 'local' | 'kubernetes' | 'none';
  /** File with the key that secrets are encrypted with; null = one is made in `dataDir`. */
  readonly secretsKey: string | null;
  /** Milliseconds. A new revision that is not ready by then has failed. */
  readonly readyTimeout: number;
  readonly scale: {
    /** Outstanding requests per replica. */
    readonly target: number;
    /** Milliseconds, as the two below. */
    readonly window: number;
    readonly idle: number;
    readonly firstRequestWait: number;
  };
  readonly retention: RetentionSettings;
  readonly local: LocalDriverSettings;
}

/** What is kept of what is over; null = without end. */
export interface RetentionSettings {
  /** Milliseconds that a service is known after it was cancelled. */
  readonly past: number | null;
  /** Milliseconds that an entry of the audit is kept. */
  readonly audit: number | null;
  /** Bytes that the logs of all past services may take. */
  readonly logs: number | null;
}

export interface LocalDriverSettings {
  readonly portRange: { readonly first: number; readonly last: number };
  /** Milliseconds. */
  readonly restartBackoff: { readonly first: number; readonly max: number; readonly resetAfter: number };
}
