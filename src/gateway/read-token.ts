import { TOO_LONG } from '../bearer.ts';
import { Refusal } from '../errors.ts';

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
