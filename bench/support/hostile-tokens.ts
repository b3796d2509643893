import { randomBytes, randomInt } from 'node:crypto';
import { keycloakClaims, newSigningKey, sign, type SigningKey } from './tokens.ts';

/** What strangers send instead of a good token; every kind has to be answered with 401. */
export const HOSTILE_KINDS = ['random', 'malformed', 'expired', 'foreign', 'forged'] as const;
export type HostileKind = (typeof HOSTILE_KINDS)[number];

/** `count` distinct tokens of that kind, of a good one's size where they have one. */
export async function hostileTokens(
  kind: HostileKind,
  key: SigningKey,
  issuer: string,
  count: number,
): Promise<string[]> {
  const numbers = Array.from({ length: count }, (_, i) => i);
  switch (kind) {
    case 'random':
      return numbers.map(() => [60, 700, 256].map((size) => base64url(randomBytes(size))).join('.'));
    case 'malformed':
      return Promise.all(numbers.map((i) => malformed(i, key, issuer)));
    case 'expired':
      return Promise.all(numbers.map((i) => sign(key, { ...keycloakClaims(issuer, i), ...expired() })));
    case 'foreign': {
      const stranger = await newSigningKey(key.algorithm, key.kid);
      return Promise.all(
        numbers.map((i) => sign(stranger, keycloakClaims('https://stranger.example/realms/demo', i))),
      );
    }
    case 'forged':
      return Promise.all(numbers.map((i) => forged(i, key, issuer)));
  }
}

/** Well-formed in everything, with the signature that the same key made for somebody else. */
export async function forged(number: number, key: SigningKey, issuer: string): Promise<string> {
  const [mine, other] = await Promise.all([
    sign(key, keycloakClaims(issuer, number)),
    sign(key, keycloakClaims(issuer, number + 1)),
  ]);
  return `${mine.slice(0, mine.lastIndexOf('.'))}${other.slice(other.lastIndexOf('.'))}`;
}

async function malformed(number: number, key: SigningKey, issuer: string): Promise<string> {
  const good = await sign(key, keycloakClaims(issuer, number));
  const [header = '', payload = '', signature = ''] = good.split('.');
  const none = base64url(JSON.stringify({ alg: 'none', typ: 'JWT' }));
  const symmetric = base64url(JSON.stringify({ alg: 'HS256', typ: 'JWT', kid: key.kid }));
  const forms = [
    `${header}.${payload}`,
    `${good}.${signature}`,
    `${header}.${payload.slice(0, -7)}.${signature}`,
    `${header.slice(0, -3)}.${payload}.${signature}`,
    `${none}.${payload}.`,
    `${symmetric}.${payload}.${signature}`,
    `${header}..${signature}`,
    header + payload + signature,
  ];
  return forms[number % forms.length]!;
}

/** Longer ago than any clock skew. */
function expired(): { exp: number; iat: number } {
  const exp = Math.floor(Date.now() / 1000) - 3_600 - randomInt(3_600);
  return { exp, iat: exp - 300 };
}

function base64url(bytes: Buffer | string): string {
  return Buffer.from(bytes).toString('base64url');
}
