import type { PublicJwk } from '../contracts/snapshot.ts';
import type { RealmSettings } from '../contracts/settings.ts';

/** A verified logout token. */
export interface Logout {
  /** The session that ended, or null when every session of `sub` did. One of the two is set. */
  readonly sid: string | null;
  readonly sub: string | null;
  readonly jti: string;
  /** `iat` in ms since the epoch. */
  readonly issuedAt: number;
}

/** The signature names a key that is not known, which newer keys might change. */
export const UNKNOWN_KEY = Symbol('unknown key');

/** How long after its `iat` a logout token is taken, in seconds: what the specification advises for its `exp`. */
export const LOGOUT_TOKEN_AGE = 120;

const TOKEN_LIMIT = 16 * 1024;
const NAME_LIMIT = 1024;
const EVENT = 'http://schemas.openid.net/event/backchannel-logout';

/**
 * Verifies a logout token (OpenID Connect Back-Channel Logout 1.0 section 2.6) against the realm's keys and
 * accepted issuers. Its audience must be one of `settings.clients`; where any client of the realm is accepted, any
 * audience is, because only the realm can have signed it.
 *
 * @returns null when it is not valid
 */
export async function verifyLogoutToken(
  token: string,
  settings: RealmSettings,
  jwks: readonly PublicJwk[],
  issuers: readonly string[],
  now: number,
): Promise<Logout | typeof UNKNOWN_KEY | null> {
  // A logout is rare: who never sees one need not load this.
  const { createLocalJWKSet, errors, jwtVerify } = await import('jose');
  if (token.length > TOKEN_LIMIT || issuers.length === 0) return null;
  let verified;
  try {
    verified = await jwtVerify(token, createLocalJWKSet({ keys: [...jwks] }), {
      algorithms: [...settings.algorithms],
      issuer: [...issuers],
      maxTokenAge: LOGOUT_TOKEN_AGE,
      clockTolerance: settings.clockSkew / 1000,
      currentDate: new Date(now),
    });
  } catch (error) {
    return error instanceof errors.JWKSNoMatchingKey ? UNKNOWN_KEY : null;
  }
  const { payload, protectedHeader } = verified;
  const { typ } = protectedHeader;
  if (typ !== undefined && !/^(?:application\/)?(?:logout\+jwt|jwt)$/i.test(typ)) return null;
  // Keycloak's own mark: whatever else it signs says something else here.
  if (payload['typ'] !== undefined && payload['typ'] !== 'Logout') return null;
  // An ID token, which may have one, must never pass for a logout token.
  if (payload['nonce'] !== undefined) return null;
  if (!isLogoutEvent(payload['events']) || !isAccepted(payload.aud, settings.clients)) return null;
  const { sid = null, sub = null, jti } = payload;
  if (!isName(jti) || !(sid === null || isName(sid)) || !(sub === null || isName(sub))) return null;
  if (sid === null && sub === null) return null;
  // With a session named, only that one has ended (section 2.7).
  return { sid, sub: sid === null ? sub : null, jti, issuedAt: payload.iat! * 1000 };
}

function isLogoutEvent(events: unknown): boolean {
  if (typeof events !== 'object' || events === null || !Object.hasOwn(events, EVENT)) return false;
  const event = (events as Record<string, unknown>)[EVENT];
  return typeof event === 'object' && event !== null && !Array.isArray(event);
}

function isAccepted(audience: unknown, clients: readonly string[] | null): boolean {
  const members: unknown[] = Array.isArray(audience) ? audience : [audience];
  return members.some((member) => isName(member) && (clients === null || clients.includes(member)));
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= NAME_LIMIT;
}
