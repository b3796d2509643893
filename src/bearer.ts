import { ERRORS, Refusal } from './errors.ts';

const MALFORMED = 'the Authorization header does not have the form Bearer TOKEN';
export const TOO_LONG = 'the token is too long';

/**
 * The credential of an `Authorization` header's value (RFC 6750 section 2.1). Only its place and its length are
 * checked here; `isB64Token` checks its characters, which a token that is already known does not need.
 *
 * Throws `token_missing` for a well-formed credential of another scheme, which RFC 6750 section 3.1 counts as none,
 * and `token_invalid` for anything else that is not a bearer token of at most `tokenBytes` bytes.
 */
export function readBearer(authorization: string, tokenBytes: number): string {
  if (authorization.charCodeAt(6) !== SPACE || authorization.slice(0, 6).toLowerCase() !== 'bearer') {
    throw isOtherScheme(authorization)
      ? new Refusal('token_missing', 'only the Bearer scheme is accepted')
      : new Refusal('token_invalid', MALFORMED);
  }
  let start = 7;
  while (authorization.charCodeAt(start) === SPACE) start++;
  if (start >= authorization.length) throw new Refusal('token_invalid', MALFORMED);
  if (authorization.length - start > tokenBytes) throw new Refusal('token_invalid', TOO_LONG);
  return authorization.slice(start);
}

const SPACE = 0x20;

/** `auth-scheme 1*SP credentials` (RFC 9110 section 11.4) of a scheme that is not Bearer. */
function isOtherScheme(authorization: string): boolean {
  const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) +[^ ]/.exec(authorization);
  return match !== null && match[1]?.toLowerCase() !== 'bearer';
}

/** `b64token` of RFC 6750 section 2.1. */
export function isB64Token(token: string): boolean {
  return /^[A-Za-z0-9\-._~+/]+=*$/.test(token);
}

/**
 * Value of `WWW-Authenticate` for a refusal (RFC 6750 section 3); null = it calls for none. `realm` is the one whose
 * tokens would have been accepted.
 */
export function challengeOf(refusal: Refusal, realm: string): string | null {
  const { code } = refusal;
  if (code === 'token_missing') return `Bearer realm="${realm}"`;
  if (ERRORS[code].status === 401) {
    return `Bearer realm="${realm}", error="invalid_token", error_description="${quotable(refusal.message)}"`;
  }
  if (code !== 'access_denied') return null;
  const scope = refusal.scope === undefined ? '' : `, scope="${quotable(refusal.scope)}"`;
  return `Bearer realm="${realm}", error="insufficient_scope", error_description="${quotable(refusal.message)}"${scope}`;
}

/** RFC 6750 section 3: no `"` and no `\` inside of these values. */
function quotable(text: string): string {
  return text.replace(/["\\]/g, "'").replace(/[^\x20-\x7e]/g, '?');
}
