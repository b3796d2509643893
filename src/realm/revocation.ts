import { LRUCache } from 'lru-cache';
import type { Revocation } from '../contracts/snapshot.ts';
import type { RealmSettings } from '../contracts/settings.ts';
import { reasonOf, RealmFault, type RealmLog } from './fault.ts';
import type { KeyKeeper } from './key-keeper.ts';
import { realmFile } from './key-store.ts';
import { LOGOUT_TOKEN_AGE, UNKNOWN_KEY, verifyLogoutToken } from './logout-token.ts';
import { createStateFile } from './state-file.ts';

/**
 * How long an ended session is remembered, in ms. Keycloak gives an access token minutes, and never longer than the
 * session may last, which is 10 hours unless somebody changed it.
 */
export const REMEMBERED_FOR = 24 * 60 * 60 * 1000;

/** Far more logouts than a realm signs while one of their tokens is fresh. */
const MAX_SEEN = 100_000;

export interface Revocations {
  /** Takes what the disk remembers. */
  load(): Promise<void>;
  list(): readonly Revocation[];
  /**
   * Takes a logout token. Resolves to true once the session's end is published and lies on the disk, to false when
   * the token is not valid, was seen before, or the realm's configuration takes none. Rejects when it is valid and
   * could not be written: the session's tokens are refused all the same, and the sender may try again.
   */
  logout(token: string): Promise<boolean>;
  stop(): Promise<void>;
}

export interface RevocationsDeps {
  readonly dataDir: string;
  readonly keys: Pick<KeyKeeper, 'keys' | 'issuers' | 'refresh'>;
  readonly log: RealmLog;
  readonly now: () => number;
  readonly changed: () => void;
}

export function createRevocations(settings: RealmSettings, deps: RevocationsDeps): Revocations {
  const { keys, log, now, changed } = deps;
  const realm = settings.name;
  const entries = new Map<string, Revocation>();
  const seen = new LRUCache<string, true>({
    max: MAX_SEEN,
    ttl: LOGOUT_TOKEN_AGE * 1000 + 2 * settings.clockSkew,
    ttlResolution: 0,
    perf: { now },
  });
  // Kept by the realm's name alone: an ended session stays ended when the realm's URL or issuers change.
  const file = createStateFile(realmFile(deps.dataDir, realm, 'revocations'), () => ({
    version: 1,
    revocations: list(),
  }));

  function list(): readonly Revocation[] {
    const at = now();
    for (const [key, { forgetAt }] of entries) if (forgetAt <= at) entries.delete(key);
    return [...entries.values()];
  }

  function add(revocation: Revocation): void {
    const key = revocation.sid === null ? `sub:${revocation.sub ?? ''}` : `sid:${revocation.sid}`;
    const known = entries.get(key);
    // A late logout token must not bring back what a newer one has ended.
    const before = Math.max(revocation.before, known?.before ?? 0);
    const forgetAt = Math.max(revocation.forgetAt, known?.forgetAt ?? 0);
    entries.set(key, { ...revocation, before, forgetAt });
  }

  async function verify(token: string): ReturnType<typeof verifyLogoutToken> {
    return verifyLogoutToken(token, settings, keys.keys().jwks, keys.issuers(), now());
  }

  return {
    async load() {
      try {
        for (const revocation of storedRevocations(await file.read())) add(revocation);
      } catch (error) {
        log.error(
          { realm, reason: reasonOf(error) },
          'The ended sessions on disk are not readable and are ignored',
        );
      }
    },
    list,
    async logout(token) {
      if (!settings.revocation.backchannelLogout) return false;
      let logout = await verify(token);
      if (logout === UNKNOWN_KEY) {
        await keys.refresh();
        logout = await verify(token);
      }
      if (logout === null || logout === UNKNOWN_KEY || seen.has(logout.jti)) return false;
      seen.set(logout.jti, true);
      const { sid, sub, jti, issuedAt } = logout;
      // The nodes of a realm differ by a moment, and no token of an ended session is worth the doubt. Of a user,
      // though, who signs in again at once, the new tokens must count.
      const before = sid === null ? issuedAt : issuedAt + settings.clockSkew;
      add({ sid, sub, before, forgetAt: now() + REMEMBERED_FOR });
      changed();
      try {
        await file.write();
      } catch (error) {
        seen.delete(jti);
        throw new RealmFault(`an ended session could not be written to disk: ${reasonOf(error)}`);
      }
      return true;
    },
    stop: () => file.settled(),
  };
}

function storedRevocations(stored: unknown): Revocation[] {
  if (stored === null) return [];
  const { version, revocations } = stored as { version?: unknown; revocations?: unknown };
  if (version !== 1 || !Array.isArray(revocations) || !revocations.every(isRevocation)) {
    throw new RealmFault('not a file of ended sessions');
  }
  return revocations;
}

function isRevocation(value: unknown): value is Revocation {
  if (typeof value !== 'object' || value === null) return false;
  const { sid, sub, before, forgetAt } = value as Record<string, unknown>;
  const named = (typeof sid === 'string' && sub === null) || (sid === null && typeof sub === 'string');
  return named && typeof before === 'number' && typeof forgetAt === 'number';
}
