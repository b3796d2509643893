import { createPublicKey, type KeyObject } from 'node:crypto';
import type { PublicJwk } from '../contracts/snapshot.ts';
import { RealmFault } from './fault.ts';

/** Keys taken from one set at most; a realm has a handful. */
export const MAX_KEYS = 100;

const MIN_RSA_BITS = 2048;
/** A longer modulus makes each verification so slow that it would be a means of attack. */
const MAX_RSA_BITS = 16384;
const KID_LIMIT = 1024;

const RSA_ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];
const EC_ALGORITHMS: Readonly<Record<string, string>> = {
  'P-256': 'ES256',
  'P-384': 'ES384',
  'P-521': 'ES512',
};
const OKP_ALGORITHMS = ['EdDSA', 'Ed25519'];

/** Members with private or symmetric material (RFC 7518 section 6). A key published with them is a key lost. */
const SECRET_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];

export interface UsableKeys {
  readonly keys: readonly PublicJwk[];
  /** One short reason for each key that was left out. */
  readonly skipped: readonly string[];
}

/**
 * The keys of a JWK set (RFC 7517 section 5) that a signature can be checked with: RSA from 2048 bits, EC on P-256,
 * P-384 or P-521, and Ed25519. Each key is judged alone, so that Keycloak's encryption key next to the signing keys,
 * or a type of the future, costs nothing. What comes out carries public members only, in canonical form.
 *
 * Throws RealmFault where `set` is not a JWK set at all.
 */
export function usableKeys(set: unknown): UsableKeys {
  const members = typeof set === 'object' && set !== null && 'keys' in set ? set.keys : undefined;
  if (!Array.isArray(members)) throw new RealmFault('key set: the answer is not a JWK set');
  const keys: PublicJwk[] = [];
  const skipped: string[] = [];
  for (const member of members as unknown[]) {
    if (keys.length === MAX_KEYS) {
      skipped.push(`more than ${MAX_KEYS} keys`);
      break;
    }
    try {
      keys.push(usableKey(member));
    } catch (error) {
      skipped.push(error instanceof RealmFault ? error.message : 'malformed');
    }
  }
  return { keys, skipped };
}

function usableKey(member: unknown): PublicJwk {
  if (typeof member !== 'object' || member === null) throw new RealmFault('malformed');
  const jwk = member as Record<string, unknown>;
  const { kid, alg, use, key_ops: operations } = jwk;
  if (use !== undefined && use !== 'sig') throw new RealmFault('not for signatures');
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) {
    throw new RealmFault('not for signatures');
  }
  if (SECRET_MEMBERS.some((name) => Object.hasOwn(jwk, name))) throw new RealmFault('has private material');
  if (kid !== undefined && (typeof kid !== 'string' || kid === '' || kid.length > KID_LIMIT)) {
    throw new RealmFault('malformed');
  }
  const { material, algorithms } = publicMaterial(jwk);
  if (alg !== undefined && !(typeof alg === 'string' && algorithms.includes(alg))) {
    throw new RealmFault('its algorithm does not fit');
  }
  return { ...material, ...(kid === undefined ? {} : { kid }), ...(alg === undefined ? {} : { alg }) };
}

function publicMaterial(jwk: Record<string, unknown>): {
  material: PublicJwk;
  algorithms: readonly string[];
} {
  switch (jwk['kty']) {
    case 'RSA': {
      const key = importKey(jwk, ['n', 'e']);
      const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {};
      if (modulusLength < MIN_RSA_BITS) throw new RealmFault(`RSA key under ${MIN_RSA_BITS} bits`);
      if (modulusLength > MAX_RSA_BITS) throw new RealmFault(`RSA key over ${MAX_RSA_BITS} bits`);
      // With an exponent of 1 everyone can sign; an even one belongs to no key.
      if (publicExponent < 3n || publicExponent % 2n === 0n) throw new RealmFault('unsound RSA exponent');
      const { n, e } = key.export({ format: 'jwk' });
      return { material: { kty: 'RSA', n: n!, e: e! }, algorithms: RSA_ALGORITHMS };
    }
    case 'EC': {
      const algorithm = EC_ALGORITHMS[String(jwk['crv'])];
      if (algorithm === undefined) throw new RealmFault('unknown curve');
      const { crv, x, y } = importKey(jwk, ['crv', 'x', 'y']).export({ format: 'jwk' });
      return { material: { kty: 'EC', crv: crv!, x: x!, y: y! }, algorithms: [algorithm] };
    }
    case 'OKP': {
      if (jwk['crv'] !== 'Ed25519') throw new RealmFault('unknown curve');
      const { crv, x } = importKey(jwk, ['crv', 'x']).export({ format: 'jwk' });
      return { material: { kty: 'OKP', crv: crv!, x: x! }, algorithms: OKP_ALGORITHMS };
    }
    default:
      throw new RealmFault('unknown key type');
  }
}

/** Only what is named goes in. The import also proves a point to lie on its curve. */
function importKey(jwk: Record<string, unknown>, names: readonly string[]): KeyObject {
  const key: Record<string, string> = { kty: jwk['kty'] as string };
  for (const name of names) {
    const value = jwk[name];
    if (typeof value !== 'string' || !/^[A-Za-z0-9_-]+$/.test(value)) throw new RealmFault('malformed');
    key[name] = value;
  }
  return createPublicKey({ key, format: 'jwk' });
}
