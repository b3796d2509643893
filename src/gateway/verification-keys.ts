import { importJWK } from 'jose';
import type { CryptoKey } from 'jose';
import type { PublicJwk } from '../contracts/snapshot.ts';
import { SignatureVerifier } from './signature-verifier.ts';

interface KeyType {
  readonly kty: string;
  readonly crv?: string;
  /** The name that a JWK gives the algorithm, where it is not the token's own. */
  readonly alias?: string;
}

const RSA: KeyType = { kty: 'RSA' };

/** JWS algorithms that can be checked with a public key, and the one type of key that fits each (RFC 7518, 8037). */
const KEY_TYPES: ReadonlyMap<string, KeyType> = new Map([
  ['RS256', RSA],
  ['RS384', RSA],
  ['RS512', RSA],
  ['PS256', RSA],
  ['PS384', RSA],
  ['PS512', RSA],
  ['ES256', { kty: 'EC', crv: 'P-256' }],
  ['ES384', { kty: 'EC', crv: 'P-384' }],
  ['ES512', { kty: 'EC', crv: 'P-521' }],
  ['EdDSA', { kty: 'OKP', crv: 'Ed25519', alias: 'Ed25519' }],
  ['Ed25519', { kty: 'OKP', crv: 'Ed25519', alias: 'EdDSA' }],
]);

/** Whatever a configuration says, no other algorithm is ever used: not `none`, and nothing symmetric. */
export const KNOWN_ALGORITHMS: ReadonlySet<string> = new Set(KEY_TYPES.keys());

/** One key of a realm. The object stays the same for as long as the realm publishes the same JWK. */
export class VerificationKey {
  readonly kid: string | null;
  readonly #jwk: PublicJwk;
  readonly #verifiers = new Map<string, SignatureVerifier | null | Promise<SignatureVerifier | null>>();

  constructor(jwk: PublicJwk) {
    this.kid = jwk.kid ?? null;
    this.#jwk = jwk;
  }

  /** Whether tokens of this algorithm may be signed with this key: its type, its curve, and its `alg` if it has one. */
  fits(alg: string): boolean {
    const type = KEY_TYPES.get(alg);
    return (
      type !== undefined &&
      this.#jwk.kty === type.kty &&
      (type.crv === undefined || this.#jwk.crv === type.crv) &&
      (this.#jwk.alg === undefined || this.#jwk.alg === alg || this.#jwk.alg === type.alias)
    );
  }

  /**
   * For an algorithm that it `fits`, at once from the second time on; null when the JWK holds no key, or RSA of less
   * than 2048 bits (RFC 7518 section 3.3).
   */
  verifierFor(alg: string): SignatureVerifier | null | Promise<SignatureVerifier | null> {
    const known = this.#verifiers.get(alg);
    if (known !== undefined) return known;
    const importing = makeVerifier(this.#jwk, alg).then((verifier) => {
      this.#verifiers.set(alg, verifier);
      return verifier;
    });
    this.#verifiers.set(alg, importing);
    return importing;
  }
}

async function makeVerifier(jwk: PublicJwk, alg: string): Promise<SignatureVerifier | null> {
  const { kty, crv, n, e, x, y } = jwk;
  try {
    // Only the public members: whatever else a realm publishes has no say in how its key is used.
    const members = Object.entries({ kty, crv, n, e, x, y }).filter(([, value]) => value !== undefined);
    const key = (await importJWK(Object.fromEntries(members), alg)) as CryptoKey;
    const { modulusLength } = key.algorithm as { modulusLength?: number };
    return modulusLength !== undefined && modulusLength < 2048 ? null : new SignatureVerifier(key, alg);
  } catch {
    return null;
  }
}

export type KeySearch =
  | { readonly found: VerificationKey }
  /** `unknown`: no key has that id, a newer set might. `unfit`: the set answers, and the answer is no. */
  | { readonly found: null; readonly why: 'unknown' | 'unfit' | 'unnamed' };

/** A realm's keys at one moment. */
export class KeySet {
  readonly #keys: ReadonlyMap<string, VerificationKey>;
  readonly #live: ReadonlySet<VerificationKey>;

  /** Takes the key objects of `previous` over where the JWK is the same, so that what they verified stays known. */
  constructor(jwks: readonly PublicJwk[], previous: KeySet | null) {
    const known = previous === null ? null : previous.#keys;
    const keys = new Map<string, VerificationKey>();
    for (const jwk of jwks) {
      const { kty, kid, alg, crv, n, e, x, y } = jwk;
      const content = JSON.stringify([kty, kid, alg, crv, n, e, x, y]);
      keys.set(content, known?.get(content) ?? new VerificationKey(jwk));
    }
    this.#keys = keys;
    this.#live = new Set(keys.values());
  }

  get size(): number {
    return this.#live.size;
  }

  has(key: VerificationKey): boolean {
    return this.#live.has(key);
  }

  /**
   * The key that a token names. A token without `kid` is checked only when exactly one key fits its algorithm:
   * trying several would let the token choose.
   */
  find(alg: string, kid: string | null): KeySearch {
    let named = false;
    const fitting: VerificationKey[] = [];
    for (const key of this.#live) {
      if (kid !== null && key.kid !== kid) continue;
      named = true;
      if (key.fits(alg)) fitting.push(key);
    }
    const [found] = fitting;
    if (found !== undefined && (kid !== null || fitting.length === 1)) return { found };
    if (kid === null) return { found: null, why: 'unnamed' };
    return { found: null, why: named ? 'unfit' : 'unknown' };
  }
}
