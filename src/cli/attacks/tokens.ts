import { createHmac, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { type Attack, hostHeader, type Site } from './attack.ts';

type Json = Readonly<Record<string, unknown>>;
type Signer = (signed: string) => Buffer;

/** Over the 16 KiB that a token may have here, under the 32 KiB of a header section. */
const LONG_TOKEN = 20 * 1024;

const INVALID = ['401 token_invalid'];
const MISSING = ['401 token_missing'];

/** Tokens that nobody issued, made on the spot, and credentials in other places than the one that counts. */
export function tokenAttacks(site: Site): Attack[] {
  return [...credentials(site), ...forgeries(site), ...withPublicKeys(site), ...changed(site)];
}

function credentials(site: Site): Attack[] {
  const good = site.token ?? 'eyJhbGciOiJub25lIn0.e30.x';
  const get = `GET ${site.path} HTTP/1.1\r\n${hostHeader(site)}`;
  const attack = (name: string, bytes: string, expected: readonly string[], advisory: string | null = null): Attack => ({
    kind: 'token', name, advisory, bytes, expected, closes: false,
  }); // prettier-ignore
  const authorization = (name: string, value: string, expected: readonly string[] = INVALID) =>
    attack(name, `${get}Authorization: ${value}\r\n\r\n`, expected);
  return [
    attack('no token', `${get}\r\n`, MISSING),
    attack(
      'a token in the query',
      `GET ${site.path}?access_token=${good} HTTP/1.1\r\n${hostHeader(site)}\r\n`,
      MISSING,
    ),
    attack('a token in a cookie', `${get}Cookie: access_token=${good}\r\n\r\n`, MISSING),
    authorization('a password', 'Basic YWRtaW46YWRtaW4=', MISSING),
    authorization('another scheme', `DPoP ${good}`, MISSING),
    authorization('an empty token', 'Bearer '),
    authorization('a tab before the token', `Bearer\t${good}`),
    authorization('no space before the token', `Bearer${good}`),
    authorization('two tokens', `Bearer ${good} ${good}`),
    attack('a list of tokens', `${get}Authorization: Bearer x, Bearer ${good}\r\n\r\n`, INVALID, 'CVE-2026-31838'),
    authorization('an encrypted token', 'Bearer eyJhbGciOiJkaXIifQ..x.y.z'),
    authorization('a token of 20 KiB', `Bearer ${'a'.repeat(LONG_TOKEN)}`, [...INVALID, '431 headers_too_large']),
    attack(
      'a token in a subprotocol that is no base64url',
      `${get}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n` +
        'Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.=\r\n\r\n',
      INVALID,
    ),
  ]; // prettier-ignore
}

/** Signed with a key of our own, if at all: each claims what a gateway that checks less would believe. */
function forgeries(site: Site): Attack[] {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const own: Signer = (signed) => sign('sha256', Buffer.from(signed), privateKey);
  const empty: Signer = (signed) => createHmac('sha256', '').update(signed).digest();
  const claims = claimsFor(site);
  const rs256 = { alg: 'RS256', typ: 'JWT', kid: kidOf(site) };
  const now = Math.floor(Date.now() / 1000);
  return [
    forged(site, 'alg none', null, unsigned({ alg: 'none', typ: 'JWT' }, claims, '')),
    forged(site, 'alg NoNe', null, unsigned({ alg: 'NoNe', typ: 'JWT' }, claims, 'AA')),
    forged(site, 'no alg', null, compact({ typ: 'JWT', kid: rs256.kid }, claims, own)),
    forged(site, 'HS256 with an empty secret', null, compact({ ...rs256, alg: 'HS256' }, claims, empty)),
    forged(site, 'HS256 with the key of a file', null, compact({ alg: 'HS256', kid: '../../../dev/null' }, claims, empty)),
    forged(site, 'a key of the attacker', null, compact(rs256, claims, own)),
    forged(site, 'an unknown key id', null, compact({ ...rs256, kid: 'attack-test' }, claims, own)),
    forged(site, 'a key in the header', null, compact({ ...rs256, jwk: publicKey.export({ format: 'jwk' }) }, claims, own)),
    forged(site, 'a key set named by the header', null, compact({ ...rs256, jku: 'http://127.0.0.1:9/keys' }, claims, own)),
    forged(site, 'a certificate named by the header', null, compact({ ...rs256, x5u: 'http://127.0.0.1:9/cert' }, claims, own)),
    forged(site, 'an ECDSA signature of zeros', 'CVE-2022-21449', compact({ ...rs256, alg: 'ES256' }, claims, () => Buffer.alloc(64))),
    forged(site, 'a critical extension', 'CVE-2026-35042', compact({ ...rs256, crit: ['x'], x: true }, claims, own)),
    forged(site, 'an unencoded payload', 'CVE-2026-35042', compact({ ...rs256, crit: ['b64'], b64: false }, claims, own)),
    forged(site, 'a foreign issuer', 'CVE-2021-21378', compact(rs256, { ...claims, iss: 'https://issuer.example' }, own)),
    forged(site, 'a list of issuers', 'CVE-2025-30144', compact(rs256, { ...claims, iss: [claims['iss'], 'https://issuer.example'] }, own)),
    forged(site, 'no issuer', 'CVE-2021-21378', compact(rs256, { ...claims, iss: undefined }, own)),
    forged(site, 'an expired token', null, compact(rs256, { ...claims, exp: now - 3600 }, own), ['401 token_expired', ...INVALID]),
    forged(site, 'a token that never expires', null, compact(rs256, { ...claims, exp: undefined }, own)),
    forged(site, 'a token of the future', null, compact(rs256, { ...claims, nbf: now + 3600 }, own)),
    forged(site, 'a refresh token', null, compact(rs256, { ...claims, typ: 'Refresh' }, own)),
    forged(site, 'an ID token', null, compact(rs256, { ...claims, typ: 'ID' }, own)),
    forged(site, 'a logout token', null, compact({ ...rs256, typ: 'logout+jwt' }, claims, own)),
  ]; // prettier-ignore
}

/** The realm's public key is known to everybody, and so no secret to sign with. */
function withPublicKeys(site: Site): Attack[] {
  const [jwk] = site.realm.keys;
  const key = jwk === undefined ? null : keyOf(jwk);
  if (key === null) return [];
  const secrets = [
    ['as PEM', key.export({ type: 'spki', format: 'pem' })],
    ['as DER', key.export({ type: 'spki', format: 'der' })],
    ['as JWK', JSON.stringify(jwk)],
  ] as const;
  return secrets.map(([form, secret]) => {
    const mac: Signer = (signed) => createHmac('sha256', secret).update(signed).digest();
    const token = compact({ alg: 'HS256', typ: 'JWT', kid: kidOf(site) }, claimsFor(site), mac);
    return forged(site, `HS256 with the public key ${form}`, 'CVE-2026-34950', token);
  });
}

/** What a good token becomes in the hands of its bearer. */
function changed(site: Site): Attack[] {
  const parts = site.token?.split('.') ?? [];
  const [header = '', payload = '', signature = ''] = parts;
  if (parts.length !== 3) return [];
  const more = encode({ ...claimsFor(site), realm_access: { roles: ['admin'] }, sub: 'admin' });
  const flipped = (signature.startsWith('A') ? 'B' : 'A') + signature.slice(1);
  return [
    forged(site, 'the token with other claims', null, `${header}.${more}.${signature}`),
    forged(site, 'the token with another signature', null, `${header}.${payload}.${flipped}`),
    forged(site, 'the token without its signature', null, `${header}.${payload}.`),
    forged(site, 'the token as alg none', null, `${encode({ alg: 'none', typ: 'JWT' })}.${payload}.`),
    forged(site, 'the token in a second spelling', null, `${site.token!}=`),
    forged(site, 'the token with a part more', null, `${site.token!}.x`),
  ];
}

function forged(
  site: Site,
  name: string,
  advisory: string | null,
  token: string,
  expected: readonly string[] = INVALID,
): Attack {
  const bytes = `GET ${site.path} HTTP/1.1\r\n${hostHeader(site)}Authorization: Bearer ${token}\r\n\r\n`;
  return { kind: 'token', name, advisory, bytes, expected, closes: false };
}

/** Those of the good token, so that nothing but the forgery is wrong; without one, what Keycloak would write. */
function claimsFor({ token, realm }: Site): Json {
  const now = Math.floor(Date.now() / 1000);
  const made = { iss: realm.issuer, sub: 'attack-test', aud: 'account', azp: 'istio', typ: 'Bearer', iat: now, exp: now + 300 };
  try {
    return token === null ? made : decodeJwt(token);
  } catch {
    return made;
  }
} // prettier-ignore

function kidOf({ token, realm }: Site): string | undefined {
  try {
    if (token !== null) return decodeProtectedHeader(token).kid;
  } catch {
    // The token is opaque.
  }
  const kid = realm.keys[0]?.['kid'];
  return typeof kid === 'string' ? kid : undefined;
}

function keyOf(jwk: Json): KeyObject | null {
  try {
    return createPublicKey({ key: { ...jwk }, format: 'jwk' });
  } catch {
    return null;
  }
}

function compact(header: Json, claims: Json, signer: Signer): string {
  const signed = `${encode(header)}.${encode(claims)}`;
  return `${signed}.${signer(signed).toString('base64url')}`;
}

function unsigned(header: Json, claims: Json, signature: string): string {
  return `${encode(header)}.${encode(claims)}.${signature}`;
}

function encode(value: Json): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
