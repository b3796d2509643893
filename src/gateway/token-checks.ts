import type { JsonObject } from './compact-jwt.ts';
import { expiredToken, invalidToken, type TokenRefusal } from './token-refusal.ts';
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
 * comes from the realm's own set and from nowhere else.
 */
export function checkHeader(header: JsonObject): CheckedHeader | TokenRefusal {
  const { alg, kid, typ } = header;
  // No extension is understood, so any `crit` makes the token invalid (RFC 7515 section 4.1.11), and so does
  // `b64`, which changes what was signed (RFC 7797).
  if (Object.hasOwn(header, 'crit'))
    return invalidToken('token', 'critical header parameters are not accepted');
  if (Object.hasOwn(header, 'b64')) return invalidToken('token', 'an unencoded payload is not accepted');
  if (typ !== undefined && !(typeof typ === 'string' && HEADER_TYPES.has(typ.toLowerCase()))) {
    return invalidToken('token', 'the header type is not accepted');
  }
  if (typeof alg !== 'string' || !KNOWN_ALGORITHMS.has(alg))
    return invalidToken('token', 'the algorithm is not accepted');
  if (kid !== undefined && typeof kid !== 'string')
    return invalidToken('token', 'the key id is not a string');
  return { alg, kid: kid ?? null };
}

const HEADER_TYPES: ReadonlySet<string> = new Set(['jwt', 'at+jwt', 'application/at+jwt']);

/** `iss`, which may be nothing but a string (RFC 7519 section 4.1.1). */
export function issuerOf(claims: JsonObject): string | TokenRefusal {
  const { iss } = claims;
  return typeof iss === 'string' ? iss : invalidToken('issuer', 'the issuer is not a string');
}

/**
 * Every check of the claims but the issuer's; `now` in ms since the epoch. They are the same for a JWT and for
 * what introspection says of a token. Null = all of them hold.
 */
export function checkClaims(claims: JsonObject, rules: ClaimRules, now: number): TokenRefusal | null {
  const untimely = checkTimes(claims, rules.clockSkew, now);
  if (untimely !== null) return untimely;
  // Keycloak marks its tokens: ID, Refresh, Offline, Logout, DPoP, ... Only an access token is a credential here.
  if (claims['typ'] !== undefined && claims['typ'] !== 'Bearer') {
    return invalidToken('type', 'the token is not an access token');
  }
  const stranger = checkClients(claims, rules.clients);
  if (stranger !== null) return stranger;
  const { sub } = claims;
  if (sub !== undefined && (typeof sub !== 'string' || sub === ''))
    return invalidToken('subject', 'the subject is not a name');
  return null;
}

function checkTimes(claims: JsonObject, skew: number, now: number): TokenRefusal | null {
  const { exp, nbf, iat } = claims;
  if (!isInstant(exp)) return invalidToken('time', 'the expiry is missing or not a number');
  if (nbf !== undefined && !isInstant(nbf)) return invalidToken('time', 'nbf is not a number');
  if (iat !== undefined && !isInstant(iat)) return invalidToken('time', 'iat is not a number');
  if (exp * 1000 + skew <= now) return expiredToken();
  if (nbf !== undefined && nbf * 1000 - skew > now) return invalidToken('time', 'the token is not valid yet');
  if (iat !== undefined && iat * 1000 - skew > now)
    return invalidToken('time', 'the token was issued in the future');
  return null;
}

/** JSON's 1e999 is Infinity, and a token that never expires is none. */
function isInstant(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value * 1000);
}

function checkClients(claims: JsonObject, accepted: readonly string[] | null): TokenRefusal | null {
  // RFC 9068 tokens and introspection answers (RFC 7662) name the client in `client_id`.
  const { azp = claims['client_id'], aud } = claims;
  if (azp !== undefined && typeof azp !== 'string')
    return invalidToken('client', 'the client is not a string');
  if (aud !== undefined && typeof aud !== 'string' && !isStringArray(aud)) {
    return invalidToken('client', 'the audience is neither a string nor a list of strings');
  }
  if (accepted === null || (azp !== undefined && accepted.includes(azp))) return null;
  const audience = typeof aud === 'string' ? [aud] : (aud ?? []);
  return audience.some((member) => accepted.includes(member))
    ? null
    : invalidToken('client', 'the client is not accepted');
}

function isStringArray(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((member) => typeof member === 'string');
}
