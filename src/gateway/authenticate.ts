import { isB64Token } from '../bearer.ts';
import type { ControlChannel } from '../contracts/control-channel.ts';
import type { Principal } from '../contracts/principal.ts';
import type { RealmSnapshot } from '../contracts/snapshot.ts';
import { Refusal } from '../errors.ts';
import { principalFromClaims } from '../realm/claims.ts';
import { ByText } from './by-text.ts';
import { CheckCounts, type CheckTotals } from './check-counts.ts';
import { checkMemberNames, isJwtShaped, readPart, splitJwt } from './compact-jwt.ts';
import type { JsonObject, JwtJson, JwtParts } from './compact-jwt.ts';
import { Introspection } from './introspect.ts';
import { KnownHeaders } from './known-headers.ts';
import { compileRealm } from './realm-state.ts';
import type { RealmState } from './realm-state.ts';
import { SignatureChecks } from './signature-checks.ts';
import { TokenCache } from './token-cache.ts';
import type { VerifiedToken } from './token-cache.ts';
import { checkClaims, checkHeader, issuerOf } from './token-checks.ts';
import type { CheckedHeader } from './token-checks.ts';
import { invalidToken, refusalOf, type TokenCheck, TokenRefusal, type Verdict } from './token-refusal.ts';
import type { SignatureVerifier } from './signature-verifier.ts';
import type { VerificationKey } from './verification-keys.ts';

export interface AuthenticatorOptions {
  readonly control: Pick<ControlChannel, 'refreshKeys' | 'introspect'>;
  /** Bound of the verified-token cache. */
  readonly cacheBytes: number;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** Checks by result since the start, and the verified-token cache as it is now. */
export interface TokenStats extends CheckTotals {
  readonly entries: number;
  readonly bytes: number;
}

const NOT_ACTIVE = 'the token is not active';

/**
 * Decides whether a bearer token is good, and who it speaks for. It knows the realms from the last `apply`; the
 * primary is asked only about a key id that the snapshot lacks, and for introspection.
 */
export class Authenticator {
  readonly #control: AuthenticatorOptions['control'];
  readonly #now: () => number;
  readonly #cache: TokenCache;
  readonly #headers = new KnownHeaders();
  readonly #signatures = new SignatureChecks();
  readonly #introspection: Introspection;
  /** By token. */
  readonly #inProgress = new ByText<Pending>();
  readonly #refreshing = new Map<string, Promise<void>>();
  readonly #counts = new CheckCounts();
  #realms: ReadonlyMap<string, RealmState> = new Map();
  #revision = 0;

  constructor(options: AuthenticatorOptions) {
    this.#control = options.control;
    this.#now = options.now ?? Date.now;
    this.#cache = new TokenCache(options.cacheBytes);
    this.#introspection = new Introspection(options.control, this.#now);
  }

  /** Takes new realms, keys and revocations. Tokens that are no longer good by them are refused from here on. */
  apply(realms: readonly RealmSnapshot[]): void {
    const states = new Map<string, RealmState>();
    for (const snapshot of realms) {
      const { name } = snapshot.settings;
      states.set(name, compileRealm(snapshot, this.#realms.get(name) ?? null));
    }
    this.#realms = states;
    this.#revision++;
  }

  /**
   * Who the token speaks for: at once when it is known, else after its checks. `realm` is the one that the route
   * demands; null = any, chosen by the token's `iss` (the first configured one that accepts it).
   *
   * A refusal is `token_invalid`, `token_expired`, `token_revoked`, `keys_unavailable` or `overloaded`. It is returned,
   * and so it is by every step that a stranger can make fail: V8 looks up the place of a throw, and node keeps a book of
   * promises that reject. That was 1 us of the 15 that a bad token costs, and 6 of a forged one's 60.
   */
  authenticate(token: string, realm: string | null): Verdict | Promise<Verdict> {
    const known = this.#known(token, realm);
    if (known !== null) {
      this.#counts.hit();
      this.#signatures.giveWay();
      return known;
    }
    const pending = this.#inProgress.get(token);
    if (pending?.realm === realm) return this.#counts.outcomeOf(pending.check);
    try {
      const verdict = this.#check(token, { realm, keep: true });
      if (verdict instanceof Promise) return this.#awaitOnce(token, realm, verdict);
      return this.#counts.ended(verdict);
    } catch (error) {
      this.#counts.broken();
      throw error;
    }
  }

  /** As `authenticate`, for a token that no request brought: it is not remembered and counts nowhere. */
  async examine(token: string, realm: string | null): Promise<Principal> {
    const verdict = this.#known(token, realm) ?? (await this.#check(token, { realm, keep: false }));
    if (verdict instanceof Refusal) throw verdict;
    return verdict;
  }

  stats(): TokenStats {
    return { ...this.#counts.totals(), entries: this.#cache.size, bytes: this.#cache.bytes };
  }

  /** Who a remembered token speaks for; null = it is not remembered, or no longer good. */
  #known(token: string, realm: string | null): Principal | null {
    const entry = this.#cache.get(token);
    if (entry === undefined || (realm !== null && realm !== entry.principal.realm)) return null;
    if (this.#now() < entry.validUntil && (entry.revision === this.#revision || this.#isStillGood(entry))) {
      return entry.principal;
    }
    this.#cache.delete(entry);
    return null;
  }

  /** Requests that bring the same new token at the same time share one check. */
  #awaitOnce(token: string, realm: string | null, check: Promise<Verdict>): Promise<Verdict> {
    const pending: Pending = { realm, check };
    this.#inProgress.set(token, pending);
    const forget = () => this.#inProgress.delete(token, pending);
    check.then(forget, forget);
    return this.#counts.outcomeOf(check);
  }

  #check(token: string, options: CheckOptions): Verdict | Promise<Verdict> {
    if (!isJwtShaped(token)) {
      if (!isB64Token(token)) return invalidToken('token', 'the token has characters that no token has');
      return this.#checkOpaque(token, options);
    }
    const parts = splitJwt(token);
    const known = this.#headers.get(parts.header);
    const read = known === undefined ? readPart(parts.header, 'header') : null;
    if (read instanceof TokenRefusal) return read;
    const payload = readPart(parts.payload, 'payload');
    if (payload instanceof TokenRefusal) return payload;
    const header = known ?? checkHeader(read!.object);
    if (header instanceof TokenRefusal) return header;
    return this.#checkJwt({ token, parts, header, read, payload, options, refreshed: false });
  }

  /** Everything that costs little comes before the signature. */
  #checkJwt(jwt: UncheckedJwt): Verdict | Promise<Verdict> {
    const { header } = jwt;
    const claims = jwt.payload.object;
    const revision = this.#revision;
    const issuer = issuerOf(claims);
    if (issuer instanceof TokenRefusal) return issuer;
    const realm = this.#realmFor(issuer, jwt.options.realm);
    if (realm instanceof TokenRefusal) return realm;
    if (!realm.rules.algorithms.has(header.alg))
      return invalidToken('algorithm', 'the algorithm is not accepted');
    const refused = checkClaims(claims, realm.rules, this.#now());
    if (refused !== null) return refused;
    const key = this.#keyFor(header, realm, jwt.refreshed);
    if (key instanceof TokenRefusal) return key;
    if (key === null) return this.#checkRefreshed(jwt, realm);
    return this.#checkSignature({ jwt, realm, key, revision });
  }

  async #checkRefreshed(jwt: UncheckedJwt, realm: RealmState): Promise<Verdict> {
    await this.#refreshKeys(realm);
    return this.#checkJwt({ ...jwt, refreshed: true });
  }

  #checkSignature(judged: JudgedJwt): Verdict | Promise<Verdict> {
    const { token, parts, header } = judged.jwt;
    const check = (verifier: SignatureVerifier | null): Verdict | Promise<Verdict> => {
      if (verifier === null) return invalidToken('signature', 'the key cannot be used');
      return this.#signatures.check(verifier, token, parts, (fault) => this.#afterSignature(judged, fault));
    };
    const verifier = judged.key.verifierFor(header.alg);
    return verifier instanceof Promise ? verifier.then(check) : check(verifier);
  }

  #afterSignature(judged: JudgedJwt, fault: TokenRefusal | null): Verdict | Promise<Verdict> {
    if (fault !== null) return fault;
    const { token, parts, header, read, payload } = judged.jwt;
    if (read !== null) {
      const ambiguous = checkMemberNames(read, 'header');
      if (ambiguous !== null) return ambiguous;
      this.#headers.add(parts.header, header);
    }
    const ambiguous = checkMemberNames(payload, 'payload');
    if (ambiguous !== null) return ambiguous;
    if (payload.object['sub'] !== undefined)
      return this.#acceptJwt(judged, { claims: payload.object, keepFor: Infinity });
    return this.#completeClaims(token, payload.object, judged.realm).then((completed) =>
      this.#acceptJwt(judged, completed),
    );
  }

  /** A change of the realm while the token was checked starts it again. */
  #acceptJwt({ jwt, realm, key, revision }: JudgedJwt, verified: VerifiedClaims): Verdict | Promise<Verdict> {
    const { keep } = jwt.options;
    return this.#accept(jwt.token, { ...verified, realm, key, revision, keep }) ?? this.#checkJwt(jwt);
  }

  #realmFor(issuer: string, demanded: string | null): RealmState | TokenRefusal {
    const candidates = this.#candidates(demanded);
    if (candidates instanceof TokenRefusal) return candidates;
    const accepting = candidates.find((realm) => realm.rules.issuers.includes(issuer));
    if (accepting !== undefined) return accepting;
    // A realm that never answered may yet turn out to be the issuer.
    const unknown = candidates.find((realm) => realm.rules.issuers.length === 0);
    if (unknown !== undefined) return this.#keysUnavailable(unknown, 'issuer');
    return invalidToken('issuer', 'the issuer is not accepted');
  }

  #candidates(demanded: string | null): readonly RealmState[] | TokenRefusal {
    if (demanded === null) return [...this.#realms.values()];
    const realm = this.#realms.get(demanded);
    if (realm !== undefined) return [realm];
    return new TokenRefusal('issuer', 'keys_unavailable', 'the realm is not known yet', 1);
  }

  /** Null = nobody here knows that key id, and a fetch may bring it. */
  #keyFor(
    header: CheckedHeader,
    realm: RealmState,
    refreshed: boolean,
  ): VerificationKey | TokenRefusal | null {
    if (realm.keys.size === 0) return this.#keysUnavailable(realm, 'signature');
    const search = realm.keys.find(header.alg, header.kid);
    if (search.found !== null) return search.found;
    if (search.why === 'unfit') return invalidToken('signature', 'the algorithm does not fit the key');
    if (search.why === 'unnamed') return invalidToken('signature', 'the token does not name its key');
    const mayAsk = this.#now() >= realm.cooldownUntil || this.#refreshing.has(realm.name);
    if (refreshed || !mayAsk) return invalidToken('signature', 'the key is not known');
    return null;
  }

  /** One call for all tokens that wait for this realm. */
  async #refreshKeys(realm: RealmState): Promise<void> {
    try {
      let refresh = this.#refreshing.get(realm.name);
      if (refresh === undefined) {
        refresh = this.#control.refreshKeys(realm.name).finally(() => this.#refreshing.delete(realm.name));
        this.#refreshing.set(realm.name, refresh);
      }
      await refresh;
    } catch {
      // The token may be good for all that is known: a fault of ours must not look like one of the token's.
      throw this.#keysUnavailable(realm, 'signature');
    }
  }

  /** Keycloak's lightweight tokens carry neither `sub` nor roles: the realm says the rest. */
  async #completeClaims(token: string, claims: JsonObject, realm: RealmState): Promise<VerifiedClaims> {
    const keepFor = realm.rules.introspectionCache;
    if (keepFor === null) throw invalidToken('introspection', 'the subject is missing');
    const completed = await this.#introspection.claimsOf(token, realm, claims);
    if (completed === null) throw invalidToken('introspection', NOT_ACTIVE);
    return { claims: completed, keepFor };
  }

  #checkOpaque(token: string, options: CheckOptions): TokenRefusal | Promise<Verdict> {
    const candidates = this.#candidates(options.realm);
    if (candidates instanceof TokenRefusal) return candidates;
    const asked = candidates.filter((realm) => realm.rules.introspectionCache !== null);
    if (asked.length === 0) return invalidToken('token', 'the token is not a signed JWT');
    return this.#introspect(token, asked, options);
  }

  /** Asks the realms in turn, until one knows the token. */
  async #introspect(token: string, realms: readonly RealmState[], options: CheckOptions): Promise<Verdict> {
    let refusal: Refusal | null = null;
    for (const realm of realms) {
      const verdict = await this.#introspectAt(realm, token, options).catch(refusalOf);
      if (verdict === null) continue;
      if (!(verdict instanceof Refusal)) return verdict;
      // While one realm gives no answer, the others cannot say that the token is bad.
      if (refusal === null || verdict.status === 503) refusal = verdict;
    }
    return refusal ?? invalidToken('introspection', NOT_ACTIVE);
  }

  /** Null = the realm does not know the token. */
  async #introspectAt(realm: RealmState, token: string, options: CheckOptions): Promise<Verdict | null> {
    const revision = this.#revision;
    const claims = await this.#introspection.claimsOf(token, realm, {});
    if (claims === null) return null;
    const keepFor = realm.rules.introspectionCache ?? 0;
    const verified = { claims, realm, key: null, revision, keepFor, keep: options.keep };
    return this.#accept(token, verified) ?? this.#checkOpaque(token, options);
  }

  /**
   * Makes the principal and remembers the token where it is to be kept. Null when the realm changed while it was
   * checked and the result no longer holds.
   */
  #accept(token: string, verified: Verified): Verdict | null {
    const { claims, realm, key, revision, keepFor, keep } = verified;
    const principal = principalFromClaims(realm.name, claims, realm.rules.clockSkew);
    const now = this.#now();
    const validUntil = Math.min(principal.notAfter, now + keepFor);
    const entry: VerifiedToken = { token, principal, validUntil, key, rules: realm.rules, revision };
    if (this.#realms.get(realm.name)?.revocations.cover(principal) === true) {
      return new TokenRefusal('session', 'token_revoked', 'the session has ended');
    }
    if (revision !== this.#revision && !this.#isStillGood(entry)) return null;
    if (keep && now < validUntil) this.#cache.set(entry);
    return principal;
  }

  /** Whether a token that was good before the last `apply` is good after it. */
  #isStillGood(entry: VerifiedToken): boolean {
    const realm = this.#realms.get(entry.principal.realm);
    if (realm === undefined || realm.rules !== entry.rules) return false;
    if (entry.key !== null && !realm.keys.has(entry.key)) return false;
    if (realm.revocations.cover(entry.principal)) return false;
    entry.revision = this.#revision;
    return true;
  }

  #keysUnavailable(realm: RealmState, check: TokenCheck): TokenRefusal {
    const seconds = Math.max(1, Math.ceil((realm.cooldownUntil - this.#now()) / 1000));
    return new TokenRefusal(check, 'keys_unavailable', 'the keys of the realm are not available', seconds);
  }
}

interface CheckOptions {
  /** The realm that is demanded; null = any. */
  readonly realm: string | null;
  /** Whether a good token is remembered. */
  readonly keep: boolean;
}

/** A check under way. */
interface Pending {
  readonly realm: string | null;
  readonly check: Promise<Verdict>;
}

interface UncheckedJwt {
  readonly token: string;
  readonly parts: JwtParts;
  readonly header: CheckedHeader;
  /** Its header as it was read; null = one that is known. */
  readonly read: JwtJson | null;
  readonly payload: JwtJson;
  readonly options: CheckOptions;
  /** The keys were already fetched anew for it. */
  readonly refreshed: boolean;
}

/** Good but for its signature and what follows. */
interface JudgedJwt {
  readonly jwt: UncheckedJwt;
  readonly realm: RealmState;
  readonly key: VerificationKey;
  /** The revision that the checks started from. */
  readonly revision: number;
}

interface VerifiedClaims {
  readonly claims: JsonObject;
  /** Milliseconds. */
  readonly keepFor: number;
}

interface Verified extends VerifiedClaims {
  readonly realm: RealmState;
  readonly key: VerificationKey | null;
  /** The revision that the checks started from. */
  readonly revision: number;
  readonly keep: boolean;
}
