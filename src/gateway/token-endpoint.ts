import { Refusal } from '../errors.ts';
import type { Exchange } from './exchange.ts';
import type { Gateway, PassthroughRealm } from './gateway.ts';
import type { Incoming } from './incoming.ts';
import { addressBucket, takeLimits } from './passthrough-limits.ts';
import { readBody } from './read-body.ts';

/** Largest token request, in bytes. */
const FORM_BYTES = 64 * 1024;

/** In UTF-8 only: in another charset the realm might read another grant than was checked here. */
const FORM = /^application\/x-www-form-urlencoded(?:\s*;\s*charset="?utf-8"?)?\s*$/i;

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
  if (exchange.method === 'OPTIONS') return null; // a preflight, which the realm answers by its clients' web origins
  if (exchange.method !== 'POST') throw new Refusal('method_not_allowed', 'Tokens are asked for with POST');
  if (!FORM.test(head.contentType ?? '') || hasCoding(head.passed)) {
    throw new Refusal(
      'unsupported_media_type',
      'Send application/x-www-form-urlencoded without a content coding',
    );
  }
  if (target.query !== '') throw new OAuthRefusal('invalid_request', 'Parameters belong into the body');
  const body = await readBody(gateway, incoming, FORM_BYTES);
  const form = new URLSearchParams(body.toString('utf8'));
  const grant = single(form, 'grant_type');
  const username = single(form, 'username');
  single(form, 'client_id');
  if (grant === null) throw new OAuthRefusal('invalid_request', 'Missing form parameter: grant_type');
  const { name, passthrough } = realm.snapshot.settings;
  if (!passthrough.grants.includes(grant)) {
    throw new OAuthRefusal('unauthorized_client', 'This grant is not offered here');
  }
  const buckets = [addressBucket(name, passthrough, view.address)];
  if (grant === 'password' && username !== null) {
    const user = username.trim().toLowerCase().slice(0, 256);
    buckets.push({ key: `realm:${name}:user:${user}`, ...passthrough.limit.perUser });
  }
  await takeLimits(gateway, buckets);
  return body;
}

/** A parameter that may stand once (RFC 6749 section 3.2). */
function single(form: URLSearchParams, name: string): string | null {
  const values = form.getAll(name);
  if (values.length > 1) throw new OAuthRefusal('invalid_request', `duplicated parameter: ${name}`);
  return values[0] ?? null;
}

function hasCoding(headers: readonly string[]): boolean {
  for (let i = 0; i < headers.length; i += 2)
    if (headers[i]!.toLowerCase() === 'content-encoding') return true;
  return false;
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
