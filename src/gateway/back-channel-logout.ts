import { Refusal } from '../errors.ts';
import type { Gateway, PassthroughRealm } from './gateway.ts';
import type { Incoming } from './incoming.ts';
import { readForm } from './read-form.ts';
import { WorkQueue } from './work-queue.ts';

/** Largest logout request, in bytes: twice the longest token. */
const LOGOUT_BYTES = 32 * 1024;

/**
 * A realm may end a thousand sessions within a second, and none of its messages may be lost to a limit by address.
 * Instead few are in the primary's hands at a time, so that a flood of forged ones cannot keep it from its work.
 */
const CONCURRENCY = 4;
const BACKLOG = 1024;

const waiting = new WeakMap<Gateway, WorkQueue>();

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
  const { exchange } = incoming;
  if (exchange.method !== 'POST')
    throw new Refusal('method_not_allowed', 'Logout tokens are sent with POST', { allow: 'POST' });
  const { parameters } = await readForm(gateway, incoming, LOGOUT_BYTES);
  const tokens = parameters?.getAll('logout_token') ?? [];
  const accepted =
    tokens.length === 1 &&
    (await queueOf(gateway).run(() =>
      gateway.control.backchannelLogout(realm.snapshot.settings.name, tokens[0]!),
    ));
  if (exchange.settled) return;
  const body = Buffer.from(accepted ? '' : REFUSED);
  const headers = ['Cache-Control', 'no-store', 'Content-Length', String(body.length)];
  if (!accepted) headers.push('Content-Type', 'application/json');
  exchange.sendHead(accepted ? 200 : 400, accepted ? 'OK' : 'Bad Request', headers);
  exchange.end(body, []);
}

/** Section 2.8. */
const REFUSED = JSON.stringify({
  error: 'invalid_request',
  error_description: 'The logout token is missing or not valid',
});

function queueOf(gateway: Gateway): WorkQueue {
  let queue = waiting.get(gateway);
  if (queue === undefined) waiting.set(gateway, (queue = new WorkQueue(CONCURRENCY, BACKLOG)));
  return queue;
}
