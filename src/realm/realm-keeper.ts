import type { RealmSnapshot } from '../contracts/snapshot.ts';
import type { RealmSettings } from '../contracts/settings.ts';
import { RealmFault, type RealmLog } from './fault.ts';
import { createRealmHttp } from './http.ts';
import { createIntrospector } from './introspection.ts';
import { createKeyKeeper } from './key-keeper.ts';
import { createRevocations } from './revocation.ts';

/** One Keycloak realm, kept by the primary process for all workers. */
export interface RealmKeeper {
  /**
   * Publishes what the disk remembers, then resolves once the first fetch of the keys has ended, well or not: after
   * `jwks.timeout` at the latest. Never rejects.
   */
  start(): Promise<void>;
  snapshot(): RealmSnapshot;
  /**
   * For an unknown `kid`: resolves once the fetch that this causes or joins has ended and its result is published,
   * or at once during the cool-down. Never rejects.
   */
  refreshKeys(): Promise<void>;
  /** RFC 7662: the claims of an active token, or null. Rejects when the realm cannot tell, or has no such client. */
  introspect(token: string): Promise<Record<string, unknown> | null>;
  /** Resolves to true once the session's end is published and on disk; false = not valid. Rejects when the disk fails. */
  backchannelLogout(logoutToken: string): Promise<boolean>;
  status(): RealmStatus;
  /** Gives up what is under way and publishes nothing more. Resolves once the disk has everything. */
  stop(): Promise<void>;
}

/** For the admin API and the metrics. Times are in ms since the epoch. */
export interface RealmStatus {
  readonly name: string;
  readonly issuers: readonly string[];
  /** The keys usable now. */
  readonly keys: readonly {
    readonly kid: string | null;
    readonly alg: string | null;
    readonly kty: string;
  }[];
  /** null = never. */
  readonly fetchedAt: number | null;
  /** Why the last fetch failed, in a few words that repeat nothing received; null after a good one. */
  readonly lastError: string | null;
  /** Fetches of keys that failed, so far. */
  readonly fetchFailures: number;
  /** null while a fetch is under way. */
  readonly nextRefresh: number | null;
  /** How many ended sessions are remembered. */
  readonly revocations: number;
}

export interface RealmKeeperDeps {
  /** Its folder `realms` is made when something is to be kept. */
  readonly dataDir: string;
  /** What clients see, for `X-Forwarded-*` towards the realm; null = none are sent. */
  readonly publicUrl: string | null;
  /** Called with every change, and once by `start` before anything was fetched. */
  readonly publish: (snapshot: RealmSnapshot) => void;
  readonly log: RealmLog;
  /** Milliseconds since the epoch; `Date.now` by default. */
  readonly now?: () => number;
}

export function createRealmKeeper(settings: RealmSettings, deps: RealmKeeperDeps): RealmKeeper {
  const { dataDir, log, publish, now = Date.now } = deps;
  const { introspection: secret, ...published } = settings;
  const stopping = new AbortController();
  const http = {
    keys: createRealmHttp(deps.publicUrl, false),
    introspection: createRealmHttp(deps.publicUrl, true),
  };

  const changed = (): void => {
    if (!stopping.signal.aborted) publish(snapshot());
  };
  const keys = createKeyKeeper(settings, { dataDir, http: http.keys, log, now, changed });
  const revocations = createRevocations(settings, { dataDir, keys, log, now, changed });
  const introspector = createIntrospector(settings, {
    http: http.introspection,
    metadata: () => keys.metadata(),
    now,
    stopping: stopping.signal,
  });

  function snapshot(): RealmSnapshot {
    return {
      settings: published,
      introspectionCache: secret?.cache ?? null,
      issuers: keys.issuers(),
      keys: keys.keys(),
      revocations: revocations.list(),
    };
  }

  return {
    async start() {
      await revocations.load();
      await keys.start();
    },
    snapshot,
    refreshKeys: () => keys.refresh(),
    async introspect(token) {
      if (introspector === null) throw new RealmFault('introspection: not configured');
      return introspector.introspect(token);
    },
    async backchannelLogout(logoutToken) {
      const done = await revocations.logout(logoutToken);
      if (done) introspector?.forget();
      return done;
    },
    status() {
      const { jwks, fetchedAt } = keys.keys();
      return {
        name: settings.name,
        issuers: keys.issuers(),
        keys: jwks.map(({ kid = null, alg = null, kty }) => ({ kid, alg, kty })),
        fetchedAt,
        ...keys.status(),
        revocations: revocations.list().length,
      };
    },
    async stop() {
      stopping.abort(new RealmFault('stopped'));
      await Promise.all([keys.stop(), revocations.stop()]);
      http.keys.close();
      http.introspection.close();
    },
  };
}
