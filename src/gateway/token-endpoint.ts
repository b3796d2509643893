import { Refusal } from '../errors.ts';
import type { Exchange } from './exchange.ts';
import { hasNoBody } from './forward/body-length.ts';
import type { Gateway, PassthroughRealm } from './gateway.ts';
import type { Incoming } from './incoming.ts';
import { addressBucket, takeLimits } from './passthrough-limits.ts';
import { readForm } from './read-form.ts';

/** Largest token request, in bytes. */
const FORM_BYTES = 64 * 1024;

/** Answered in OAuth's own form, which token clients understand (RFC 6749 section 5.2). */
class OAuthRefusal extends Error {
  readonly error: string;

  constructor(error: string, description: string) {
    super(description);
    this.error = error;
  }
}

/**
 * Checks a request to the token endpoint before the realm sees it: a form of known size with one grant, which is
 * among the configured ones, and within the limits by user and by address.
 *
 * @returns the body as it came, or null when the request was answered here
 */
export async function admitTokenRequest(
  gateway: Gateway,
  incoming: Incoming,
  realm: PassthroughRealm,
): Promise<Buffer | null> {
  try {
    return await check(gateway, incoming, realm);
  } catch (error) {
    if (!(error instanceof OAuthRefusal)) throw error;
    answer(incoming.exchange, error);
    return null;
  }
}

async function check(gateway: Gateway, incoming: Incoming, realm: PassthroughRealm): Promise<Buffer | null> {
  const { exchange, head, target, view } = incoming;
  if (isTokenPreflight(exchange.method, incoming.body)) return null;
  if (target.query !== '') throw invalid('Parameters belong into the body');
  const { body, parameters } = await readForm(gateway, incoming, FORM_BYTES);
  if (parameters === null) throw invalid('The form is not well-formed UTF-8 in URL encoding');
  const grant = single(parameters, 'grant_type');
  const username = single(parameters, 'username');
  const client = single(parameters, 'client_id');
  const assertion = single(parameters, 'client_assertion');
  if (grant === null) throw missing('grant_type');
  const { name, passthrough } = realm.snapshot.settings;
  if (!passthrough.grants.includes(grant)) {
    throw new OAuthRefusal('unauthorized_client', 'This grant is not offered here');
  }
  // A client may also name itself in Authorization or in an assertion (RFC 6749 section 2.3, RFC 7521 section 4.2).
  if (client === null && assertion === null && head.authorization === null) throw missing('client_id');
  const buckets = [addressBucket(name, passthrough, view.address)];
  if (grant === 'password') {
    if (username === null) throw missing('username');
    buckets.push({ key: `realm:${name}:user:${userKey(username)}`, ...passthrough.limit.perUser });
  }
  await takeLimits(gateway, buckets);
  return body;
}

/**
 * Whether this is a preflight, which the realm answers by its clients' web origins, and not a token request. Throws
 * `method_not_allowed` for what is neither, and `malformed_request` for a form that would get past the checks so.
 */
export function isTokenPreflight(method: string, body: Incoming['body']): boolean {
  if (method === 'OPTIONS') {
    if (!hasNoBody(body)) throw new Refusal('malformed_request', 'A preflight has no body');
    return true;
  }
  if (method === 'POST') return false;
  throw new Refusal('method_not_allowed', 'Tokens are asked for with POST', { allow: 'POST, OPTIONS' });
}

/** A parameter that may stand once; one without a value counts as absent (RFC 6749 section 3.2). */
function single(form: URLSearchParams, name: string): string | null {
  const values = form.getAll(name);
  if (values.length > 1) throw invalid(`Duplicated form parameter: ${name}`);
  const [value = ''] = values;
  return value === '' ? null : value;
}

/** Spellings that a realm may take for the same user share a limit. */
function userKey(username: string): string {
  return username.normalize('NFKC').trim().toLowerCase().slice(0, 256);
}

function invalid(description: string): OAuthRefusal {
  return new OAuthRefusal('invalid_request', description);
}

function missing(name: string): OAuthRefusal {
  return invalid(`Missing form parameter: ${name}`);
}

function answer(exchange: Exchange, { error, message }: OAuthRefusal): void {
  if (exchange.settled) return;
  const body = Buffer.from(JSON.stringify({ error, error_description: message }));
  exchange.sendHead(400, 'Bad Request', [
    'Content-Type',
    'application/json',
    'Cache-Control',
    'no-store',
    'Content-Length',
    String(body.length),
  ]);
  exchange.end(body, []);
}
