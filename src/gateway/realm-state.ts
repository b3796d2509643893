import type { Principal } from '../contracts/principal.ts';
import type { RealmSnapshot, Revocation } from '../contracts/snapshot.ts';
import type { ClaimRules } from './token-checks.ts';
import { KeySet } from './verification-keys.ts';

/** The configuration by which a realm's tokens are judged. The same object for as long as nothing in it changes. */
export interface RealmRules extends ClaimRules {
  readonly algorithms: ReadonlySet<string>;
  /** Milliseconds; null = the realm does not introspect. */
  readonly introspectionCache: number | null;
}

/** A realm as a worker knows it at one moment. */
export interface RealmState {
  readonly name: string;
  readonly rules: RealmRules;
  readonly keys: KeySet;
  readonly revocations: Revocations;
  /** Ms since the epoch. */
  readonly cooldownUntil: number;
  /** The content of `rules`, to see whether a newer snapshot changes any of it. */
  readonly fingerprint: string;
}

/** Takes over from `previous` what the snapshot did not change, so that tokens verified by it stay known. */
export function compileRealm(snapshot: RealmSnapshot, previous: RealmState | null): RealmState {
  const { issuers, introspectionCache } = snapshot;
  const { name, clients, algorithms, clockSkew } = snapshot.settings;
  const fingerprint = JSON.stringify([issuers, clients, algorithms, clockSkew, introspectionCache]);
  return {
    name,
    rules:
      previous?.fingerprint === fingerprint
        ? previous.rules
        : { issuers, clients, clockSkew, algorithms: new Set(algorithms), introspectionCache },
    keys: new KeySet(snapshot.keys.jwks, previous?.keys ?? null),
    revocations: new Revocations(snapshot.revocations),
    cooldownUntil: snapshot.keys.cooldownUntil,
    fingerprint,
  };
}

/**
 * Ended sessions. An entry with a `sid` ends that session and no other of its subject; one without ends them all
 * (OpenID Connect Back-Channel Logout 1.0, section 2.4).
 */
export class Revocations {
  readonly #sessions = new Map<string, number>();
  readonly #subjects = new Map<string, number>();
  readonly #none: boolean;

  constructor(revocations: readonly Revocation[]) {
    this.#none = revocations.length === 0;
    for (const { sid, sub, before } of revocations) {
      if (sid !== null) keepLatest(this.#sessions, sid, before);
      else if (sub !== null) keepLatest(this.#subjects, sub, before);
    }
  }

  /** Whether the token was issued up to the instant at which its session ended. */
  cover(principal: Principal): boolean {
    if (this.#none) return false; // the usual case: neither name need be hashed
    const { sessionId, subject, issuedAt } = principal;
    const session = sessionId === null ? undefined : this.#sessions.get(sessionId);
    if (session !== undefined && issuedAt <= session) return true;
    const all = this.#subjects.get(subject);
    return all !== undefined && issuedAt <= all;
  }
}

function keepLatest(instants: Map<string, number>, name: string, instant: number): void {
  instants.set(name, Math.max(instant, instants.get(name) ?? 0));
}
