import type { JsonObject } from './compact-jwt.ts';
import { expiredToken, invalidToken } from './token-refusal.ts';
import { KNOWN_ALGORITHMS } from './verification-keys.ts';

/** What a realm's configuration demands of a token's claims. Times in milliseconds. */
export interface ClaimRules {
  readonly issuers: readonly string[];
  readonly clients: readonly string[] | null;
  readonly clockSkew: number;
}

export interface CheckedHeader {
  readonly alg: string;
  readonly kid: string | null;
}

/**
 * The header's checks that need no realm. `jku`, `x5u`, `jwk` and `x5c` are not looked at, here or later: a key
 * comes from the realm's own set and from nowhere else. Throws `token_invalid`.
 */
export function checkHeader(header: JsonObject): CheckedHeader {
  const { alg, kid, typ } = header;
  // No extension is understood, so any `crit` makes the token invalid (RFC 7515 section 4.1.11), and so does
  // `b64`, which changes what was signed (RFC 7797).
  if (Object.hasOwn(header, 'crit'))
    throw invalidToken('token', 'critical header parameters are not accepted');
  if (Object.hasOwn(header, 'b64')) throw invalidToken('token', 'an unencoded payload is not accepted');
  if (typ !== undefined && !(typeof typ === 'string' && HEADER_TYPES.has(typ.toLowerCase()))) {
    throw invalidToken('token', 'the header type is not accepted');
  }
  if (typeof alg !== 'string' || !KNOWN_ALGORITHMS.has(alg))
    throw invalidToken('token', 'the algorithm is not accepted');
  if (kid !== undefined && typeof kid !== 'string') throw invalidToken('token', 'the key id is not a string');
  return { alg, kid: kid ?? null };
}

const HEADER_TYPES: ReadonlySet<string> = new Set(['jwt', 'at+jwt', 'application/at+jwt']);

/** `iss`, which may be nothing but a string (RFC 7519 section 4.1.1). Throws `token_invalid`. */
export function issuerOf(claims: JsonObject): string {
  const { iss } = claims;
  if (typeof iss !== 'string') throw invalidToken('issuer', 'the issuer is not a string');
  return iss;
}

/**
 * Every check of the claims but the issuer's; `now` in ms since the epoch. They are the same for a JWT and for
 * what introspection says of a token. Throws `token_invalid` or `token_expired`.
 */
export function checkClaims(claims: JsonObject, rules: ClaimRules, now: number): void {
  checkTimes(claims, rules.clockSkew, now);
  // Keycloak marks its tokens: ID, Refresh, Offline, Logout, DPoP, ... Only an access token is a credential here.
  if (claims['typ'] !== undefined && claims['typ'] !== 'Bearer') {
    throw invalidToken('type', 'the token is not an access token');
  }
  checkClients(claims, rules.clients);
  const { sub } = claims;
  if (sub !== undefined && (typeof sub !== 'string' || sub === ''))
    throw invalidToken('subject', 'the subject is not a name');
}

function checkTimes(claims: JsonObject, skew: number, now: number): void {
  const { exp, nbf, iat } = claims;
  if (!isInstant(exp)) throw invalidToken('time', 'the expiry is missing or not a number');
  if (nbf !== undefined && !isInstant(nbf)) throw invalidToken('time', 'nbf is not a number');
  if (iat !== undefined && !isInstant(iat)) throw invalidToken('time', 'iat is not a number');
  if (exp * 1000 + skew <= now) throw expiredToken();
  if (nbf !== undefined && nbf * 1000 - skew > now) throw invalidToken('time', 'the token is not valid yet');
  if (iat !== undefined && iat * 1000 - skew > now)
    throw invalidToken('time', 'the token was issued in the future');
}

/** JSON's 1e999 is Infinity, and a token that never expires is none. */
function isInstant(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value * 1000);
}

function checkClients(claims: JsonObject, accepted: readonly string[] | null): void {
  // RFC 9068 tokens and introspection answers (RFC 7662) name the client in `client_id`.
  const { azp = claims['client_id'], aud } = claims;
  if (azp !== undefined && typeof azp !== 'string')
    throw invalidToken('client', 'the client is not a string');
  if (aud !== undefined && typeof aud !== 'string' && !isStringArray(aud)) {
    throw invalidToken('client', 'the audience is neither a string nor a list of strings');
  }
  if (accepted === null) return;
  if (azp !== undefined && accepted.includes(azp)) return;
  const audience = typeof aud === 'string' ? [aud] : (aud ?? []);
  if (!audience.some((member) => accepted.includes(member)))
    throw invalidToken('client', 'the client is not accepted');
}

function isStringArray(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((member) => typeof member === 'string');
}
