import { Refusal } from '../errors.ts';
import type { Gateway, PassthroughRealm } from './gateway.ts';
import type { Incoming } from './incoming.ts';
import { limitByAddress } from './passthrough-limits.ts';
import { readBody } from './read-body.ts';

/** Largest logout request, in bytes. */
const LOGOUT_BYTES = 64 * 1024;

/**
 * Takes a logout token from the realm (OpenID Connect Back-Channel Logout 1.0 section 2.5) at
 * `/auth/realms/{realm}/backchannel-logout`, the URL to enter at the client in Keycloak. Answers 200 once the
 * session's tokens are refused by every worker, 400 for a token that is not good.
 */
export async function receiveLogout(
  gateway: Gateway,
  incoming: Incoming,
  realm: PassthroughRealm,
): Promise<void> {
  const { exchange, head, view } = incoming;
  if (exchange.method !== 'POST') throw new Refusal('method_not_allowed', 'Logout tokens are sent with POST');
  if (!/^application\/x-www-form-urlencoded(?:\s*;.*)?$/i.test(head.contentType ?? '')) {
    throw new Refusal('unsupported_media_type', 'Send application/x-www-form-urlencoded');
  }
  await limitByAddress(gateway, realm, view.address);
  const form = new URLSearchParams((await readBody(gateway, incoming, LOGOUT_BYTES)).toString('utf8'));
  const tokens = form.getAll('logout_token');
  const accepted =
    tokens.length === 1 &&
    (await gateway.control.backchannelLogout(realm.snapshot.settings.name, tokens[0]!));
  if (exchange.settled) return;
  const body = Buffer.from(accepted ? '' : JSON.stringify({ error: 'invalid_request' }));
  const headers = ['Cache-Control', 'no-store', 'Content-Length', String(body.length)];
  if (!accepted) headers.push('Content-Type', 'application/json');
  exchange.sendHead(accepted ? 200 : 400, accepted ? 'OK' : 'Bad Request', headers);
  exchange.end(body, []);
}
