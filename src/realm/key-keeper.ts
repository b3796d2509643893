import type { PublicJwk, RealmKeys } from '../contracts/snapshot.ts';
import type { RealmSettings } from '../contracts/settings.ts';
import { discover, keycloakMetadata, type RealmMetadata } from './discovery.ts';
import { RealmFault, reasonOf, type RealmLog } from './fault.ts';
import { jsonOf, type RealmHttp } from './http.ts';
import { usableKeys } from './jwks.ts';
import { createKeyStore } from './key-store.ts';
import { createAlarm, withDeadline } from './timer.ts';

/** First wait before a realm that never answered is asked again; it doubles up to the cool-down. Milliseconds. */
const FIRST_RETRY = 1000;

export interface KeyKeeper {
  /** Takes the keys on disk, announces them, and resolves once the first fetch has ended, well or not. */
  start(): Promise<void>;
  /** Somebody met an unknown `kid`. Resolves when the fetch that this caused or joined has ended, or at once. */
  refresh(): Promise<void>;
  keys(): RealmKeys;
  issuers(): readonly string[];
  metadata(): RealmMetadata;
  status(): KeyStatus;
  stop(): Promise<void>;
}

export interface KeyStatus {
  /** Why the last fetch failed; null after a good one. */
  readonly lastError: string | null;
  /** Fetches that failed, so far. */
  readonly fetchFailures: number;
  /** When the next fetch is due by itself, in ms since the epoch; null while one is under way, or after `stop`. */
  readonly nextRefresh: number | null;
}

export interface KeyKeeperDeps {
  readonly dataDir: string;
  readonly http: RealmHttp;
  readonly log: RealmLog;
  readonly now: () => number;
  /** Called after every change of what `keys` and `issuers` return. */
  readonly changed: () => void;
}

/**
 * Keeps one realm's signing keys current, off the request path.
 *
 * - A fetch is due every `jwks.refresh` (less up to a tenth, so that gateways started together drift apart), and at
 *   half of `jwks.staleFor` where that is sooner: a realm that answers never lets its keys go stale. After a failed
 *   one the next is due a little over a cool-down later, or after `refresh` where that is sooner.
 * - One fetch at a time. An unknown `kid` joins the one under way; otherwise it starts one, unless the last fetch
 *   that an unknown `kid` started began less than `jwks.cooldown` ago. Fetches on schedule do not count: keys may
 *   rotate right after one of them, or while its answer is on its way, and the first token with the new key must
 *   not be refused. So where the one joined was on schedule and brought nothing new, another one follows.
 * - A realm that has never answered, in this run or (as the disk knows) an earlier one, is asked again after 1 s,
 *   doubling up to the cool-down. An unknown `kid` adds nothing to that.
 * - A good answer replaces the whole set. An answer without any usable key counts as a failed fetch: no realm means
 *   to have none, and dropping the last good ones would refuse everybody.
 * - Keys are usable until `jwks.staleFor` after the fetch that brought them.
 */
export function createKeyKeeper(settings: RealmSettings, deps: KeyKeeperDeps): KeyKeeper {
  const { http, log, now, changed } = deps;
  const { refresh, cooldown, staleFor, timeout } = settings.jwks;
  const realm = settings.name;

  let set: { keys: readonly PublicJwk[]; fetchedAt: number } | null = null;
  let metadata = keycloakMetadata(settings.url);
  let attempt: { readonly scheduled: boolean; readonly done: Promise<void> } | null = null;
  let unknownKidAt: number | null = null;
  let cooldownUntil = 0;
  let failures = 0;
  let lastError: string | null = null;
  let fetchFailures = 0;
  let nextRefresh: number | null = null;

  const due = createAlarm();
  const stale = createAlarm();
  const stopping = new AbortController();
  const store = createKeyStore(settings, deps.dataDir, () =>
    set === null ? null : { ...set, issuer: metadata.issuer },
  );

  function issuers(): readonly string[] {
    return settings.issuers ?? (metadata.issuer === null ? [] : [metadata.issuer]);
  }

  function adopt(keys: readonly PublicJwk[], fetchedAt: number): void {
    set = { keys, fetchedAt };
    watchAge(fetchedAt + staleFor);
  }

  function watchAge(end: number): void {
    stale.set(end - now(), () => {
      // A timer can ring a moment before the clock shows the time it was set for.
      if (now() < end) {
        watchAge(end);
        return;
      }
      log.error({ realm }, 'The keys are too old to be used any longer');
      changed();
    });
  }

  function coolingDown(): boolean {
    if (unknownKidAt === null) return false;
    const age = now() - unknownKidAt;
    // A negative age means that the clock was set back. That must not lengthen the wait.
    return age >= 0 && age < cooldown;
  }

  /** @returns when the next fetch is due, in ms since the epoch */
  function scheduleNext(startedAt: number): number {
    let delay: number;
    if (failures === 0) delay = Math.min(refresh, staleFor / 2) * (1 - 0.1 * Math.random());
    else if (set === null) delay = Math.min(FIRST_RETRY * 2 ** (failures - 1), cooldown);
    // Over a cool-down: where unknown kids keep asking anyway, the schedule adds nothing.
    else delay = Math.max(startedAt + Math.min(refresh, cooldown * (1.1 + 0.2 * Math.random())) - now(), 0);
    due.set(delay, () => void fetchOnce(true));
    return (nextRefresh = now() + delay);
  }

  function fetchOnce(scheduled: boolean): Promise<void> {
    attempt ??= {
      scheduled,
      done: run(scheduled).finally(() => {
        attempt = null;
      }),
    };
    return attempt.done;
  }

  /** Resolves to whether the fetch on schedule that it waited for tells nothing of a key that was made meanwhile. */
  async function endOfScheduled(fetch: Promise<void>): Promise<boolean> {
    const known = new Set(set?.keys.map(({ kid }) => kid));
    await fetch;
    return failures === 0 && set !== null && set.keys.every(({ kid }) => known.has(kid));
  }

  async function run(scheduled: boolean): Promise<void> {
    const startedAt = now();
    due.clear();
    nextRefresh = null;
    if (!scheduled) unknownKidAt = startedAt;
    try {
      const late = new RealmFault(`no answer within ${timeout} ms`);
      const keys = await withDeadline(
        timeout,
        late,
        (signal) => fetchKeys(scheduled || issuers().length === 0, signal),
        stopping.signal,
      );
      if (stopping.signal.aborted) return;
      adopt(keys, now());
      if (failures > 0) log.info({ realm }, 'The realm answers again');
      failures = 0;
      lastError = null;
    } catch (error) {
      if (stopping.signal.aborted) return;
      failures += 1;
      fetchFailures += 1;
      lastError = reasonOf(error);
      log.warn({ realm, reason: lastError, failures }, 'The keys could not be fetched');
    }
    const next = scheduleNext(startedAt);
    // Told only now: during the fetch, who meets an unknown kid shall join it.
    if (set === null) cooldownUntil = next;
    else cooldownUntil = unknownKidAt === null ? 0 : unknownKidAt + cooldown;
    changed();
    if (failures === 0) {
      store.save().catch((error: unknown) => {
        log.warn({ realm, reason: reasonOf(error) }, 'The keys could not be kept on disk');
      });
    }
  }

  /** Both documents at once: a Keycloak has its keys where they are expected, and a start waits only once. */
  async function fetchKeys(withDiscovery: boolean, signal: AbortSignal): Promise<readonly PublicJwk[]> {
    const expected = metadata.jwksUri;
    const [discovered, fetched] = await Promise.allSettled([
      withDiscovery ? discover(settings, http, signal) : metadata,
      fetchJwks(expected, signal),
    ]);
    if (discovered.status === 'fulfilled') metadata = discovered.value;
    // Without an issuer the keys would be of no use. Otherwise the document brings nothing that cannot wait.
    else if (issuers().length === 0) throw discovered.reason;
    else {
      log.warn({ realm, reason: reasonOf(discovered.reason) }, 'The discovery document could not be read');
    }
    if (metadata.jwksUri !== expected) return fetchJwks(metadata.jwksUri, signal);
    if (fetched.status === 'rejected') throw fetched.reason;
    return fetched.value;
  }

  async function fetchJwks(uri: string, signal: AbortSignal): Promise<readonly PublicJwk[]> {
    const headers = { accept: 'application/json, application/jwk-set+json' };
    const answer = await http.request(uri, { method: 'GET', headers, body: null, signal });
    const { keys, skipped } = usableKeys(jsonOf(answer, 'key set'));
    if (skipped.length > 0) log.debug({ realm, skipped }, 'Keys that no signature can be checked with');
    if (keys.length === 0) throw new RealmFault('key set: the answer has no usable key');
    return keys;
  }

  async function load(): Promise<void> {
    try {
      const stored = await store.load();
      if (stored === null || stored.keys.length === 0) return;
      // A time to come would keep the keys alive for longer than they may be.
      const fetchedAt = Math.min(stored.fetchedAt, now());
      if (fetchedAt + staleFor <= now()) return;
      metadata = { ...metadata, issuer: stored.issuer };
      adopt(stored.keys, fetchedAt);
    } catch (error) {
      log.warn({ realm, reason: reasonOf(error) }, 'The keys on disk are not readable and are ignored');
    }
  }

  return {
    async start() {
      await load();
      changed();
      await fetchOnce(true);
    },
    async refresh() {
      // A fetch on schedule may have been answered a moment before the realm had the key.
      if (attempt?.scheduled === true && !(await endOfScheduled(attempt.done))) return;
      if (attempt !== null) return attempt.done;
      if (set === null || coolingDown() || stopping.signal.aborted) return;
      return fetchOnce(false);
    },
    keys() {
      const usable = set !== null && now() < set.fetchedAt + staleFor;
      return { jwks: usable ? set!.keys : [], fetchedAt: set?.fetchedAt ?? null, cooldownUntil };
    },
    issuers,
    metadata: () => metadata,
    status: () => ({ lastError, fetchFailures, nextRefresh }),
    async stop() {
      stopping.abort(new RealmFault('stopped'));
      due.clear();
      stale.clear();
      nextRefresh = null;
      await attempt?.done;
      await store.settled();
    },
  };
}
