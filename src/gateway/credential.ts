import { readBearer } from '../bearer.ts';
import { Refusal } from '../errors.ts';
import { readWebSocketToken } from './read-token.ts';
import type { RequestHead } from './request-head.ts';

export interface Credential {
  /** null = the request shows none. */
  readonly token: string | null;
  /** Value for `Sec-WebSocket-Protocol` to the upstream, without the token; null = no such field. */
  readonly subprotocols: string | null;
}

const NONE: Credential = { token: null, subprotocols: null };

/**
 * The bearer token of a request, from `Authorization` or, on a WebSocket handshake, from a subprotocol. Throws
 * `token_invalid` for what is no token, and `malformed_request` for two of them (RFC 6750 section 2). A well-formed
 * credential of another scheme counts as none: it may be meant for the service behind a public route.
 */
export function readCredential(head: RequestHead, handshake: boolean, tokenBytes: number): Credential {
  const bearer = head.authorization === null ? null : readAuthorization(head.authorization, tokenBytes);
  if (!handshake || head.webSocketProtocols === null) {
    return bearer === null ? NONE : { token: bearer, subprotocols: null };
  }
  const offered = readWebSocketToken(head.webSocketProtocols, tokenBytes);
  if (offered === null) return { token: bearer, subprotocols: head.webSocketProtocols };
  if (bearer !== null) throw new Refusal('malformed_request', 'The request has two tokens');
  return { token: offered.token, subprotocols: offered.remaining };
}

function readAuthorization(authorization: string, tokenBytes: number): string | null {
  try {
    return readBearer(authorization, tokenBytes);
  } catch (error) {
    if (error instanceof Refusal && error.code === 'token_missing') return null;
    throw error;
  }
}
