import { randomUUID } from 'node:crypto';
import { exportJWK, exportSPKI, generateKeyPair, SignJWT } from 'jose';
import type { CryptoKey, JWK, JWTPayload } from 'jose';

/** Algorithms that a case can be run with. */
export const ALGORITHMS = ['RS256', 'ES256', 'EdDSA'] as const;
export type Algorithm = (typeof ALGORITHMS)[number];

/** A key pair of the bench's own, made anew for every run. */
export interface SigningKey {
  readonly kid: string;
  readonly algorithm: Algorithm;
  readonly privateKey: CryptoKey;
  /** With `kid`, `alg` and `use`, as a realm publishes it. */
  readonly jwk: JWK;
  /** SPKI in PEM, for programs that read no JWK. */
  readonly pem: string;
}

export async function newSigningKey(algorithm: Algorithm, kid: string = randomUUID()): Promise<SigningKey> {
  const { publicKey, privateKey } = await generateKeyPair(algorithm, { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid, alg: algorithm, use: 'sig' };
  return { kid, algorithm, privateKey, jwk, pem: await exportSPKI(publicKey) };
}

/**
 * The claims of an access token as Keycloak 26 writes them for a user of a small company: with RS256 such a token
 * has some 1.2 KB. Valid for a day.
 */
export function keycloakClaims(issuer: string, number: number): JWTPayload {
  const now = Math.floor(Date.now() / 1000);
  const username = `user-${number}`;
  return {
    exp: now + 86_400,
    iat: now,
    jti: randomUUID(),
    iss: issuer,
    aud: 'account',
    sub: randomUUID(),
    typ: 'Bearer',
    azp: 'istio',
    sid: randomUUID(),
    acr: '1',
    'allowed-origins': ['https://services.example.com'],
    realm_access: { roles: ['offline_access', 'uma_authorization', 'default-roles-demo'] },
    resource_access: { account: { roles: ['manage-account', 'manage-account-links', 'view-profile'] } },
    scope: 'openid profile email',
    email_verified: true,
    name: `User Number ${number}`,
    preferred_username: username,
    given_name: 'User',
    family_name: `Number ${number}`,
    email: `${username}@example.com`,
  };
}

export async function sign(key: SigningKey, claims: JWTPayload): Promise<string> {
  return new SignJWT(claims)
    .setProtectedHeader({ alg: key.algorithm, typ: 'JWT', kid: key.kid })
    .sign(key.privateKey);
}

/** How many signatures are in progress at a time: enough for every thread of the pool. */
const AT_ONCE = 64;

/** `count` distinct good tokens, of users numbered from `first` on. */
export async function signMany(key: SigningKey, issuer: string, count: number, first = 0): Promise<string[]> {
  const tokens: string[] = [];
  while (tokens.length < count) {
    const size = Math.min(AT_ONCE, count - tokens.length);
    const from = first + tokens.length;
    const batch = Array.from({ length: size }, (_, i) => sign(key, keycloakClaims(issuer, from + i)));
    tokens.push(...(await Promise.all(batch)));
  }
  return tokens;
}
