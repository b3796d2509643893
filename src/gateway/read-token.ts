import { Refusal } from '../errors.ts';

const MALFORMED = 'the Authorization header does not have the form Bearer TOKEN';
const TOO_LONG = 'the token is too long';

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

export interface WebSocketToken {
  readonly token: string;
  /** The other subprotocols, as a list for the upstream; null = there is none, and the header goes. */
  readonly remaining: string | null;
}

const SUBPROTOCOL = 'base64url.bearer.authorization.k8s.io.';

/**
 * The token in the value of `Sec-WebSocket-Protocol`, in the form that Kubernetes gave it: a browser cannot set
 * `Authorization` on a handshake, but it can offer the subprotocol `base64url.bearer.authorization.k8s.io.X`,
 * where X is the token in base64url without padding. Null when no such subprotocol is offered.
 *
 * Throws `token_invalid` for two of them, a wrong encoding, or more than `tokenBytes` bytes.
 */
export function readWebSocketToken(protocols: string, tokenBytes: number): WebSocketToken | null {
  if (!protocols.includes(SUBPROTOCOL)) return null;
  const remaining: string[] = [];
  let encoded: string | null = null;
  for (const element of protocols.split(',')) {
    const protocol = element.trim();
    if (!protocol.startsWith(SUBPROTOCOL)) {
      if (protocol !== '') remaining.push(protocol);
    } else if (encoded === null) {
      encoded = protocol.slice(SUBPROTOCOL.length);
    } else {
      throw new Refusal('token_invalid', 'two subprotocols carry a token');
    }
  }
  if (encoded === null) return null;
  const bytes = Buffer.from(encoded, 'base64url');
  if (bytes.length === 0 || bytes.toString('base64url') !== encoded) {
    throw new Refusal('token_invalid', 'the token in the subprotocol is not base64url');
  }
  if (bytes.length > tokenBytes) throw new Refusal('token_invalid', TOO_LONG);
  return {
    token: bytes.toString('latin1'),
    remaining: remaining.length === 0 ? null : remaining.join(', '),
  };
}
