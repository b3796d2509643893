import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Configuration } from 'openid-client';
import type { RealmSettings } from '../contracts/settings.ts';
import type { RealmMetadata } from './discovery.ts';
import { RealmFault, reasonOf } from './fault.ts';
import type { RealmAnswer, RealmHttp } from './http.ts';
import { backstop, withDeadline } from './timer.ts';

/** Entries of each cache, and characters of claims kept in all. */
const MAX_ENTRIES = 10_000;
const MAX_SIZE = 32 * 1024 * 1024;

/** Questions to the realm at a time. Beyond it tokens are refused unasked, so that a flood cannot pile up here. */
const MAX_IN_FLIGHT = 512;

type Claims = Record<string, unknown>;

export interface Introspector {
  /**
   * RFC 7662. Resolves to what the realm says of an active token, or to null for any other. Who asks has still to
   * check `iss`, `exp` and the rest, as with a signed token. Rejects with RealmFault when the realm cannot tell.
   */
  introspect(token: string): Promise<Claims | null>;
  /** Forgets every answer, because the realm has ended a session. */
  forget(): void;
}

export interface IntrospectorDeps {
  readonly http: RealmHttp;
  readonly metadata: () => RealmMetadata;
  readonly now: () => number;
  readonly stopping: AbortSignal;
}

/** @returns null where the realm's configuration has no client to ask with. */
export function createIntrospector(settings: RealmSettings, deps: IntrospectorDeps): Introspector | null {
  if (settings.introspection === null) return null;
  const { clientId, clientSecret, cache: lifetime } = settings.introspection;
  const { timeout } = settings.jwks;
  const { http, metadata, now, stopping } = deps;

  // A timer inside lru-cache would otherwise hold `now` back.
  const clock = { perf: { now }, ttlResolution: 0 };
  const active = new LRUCache<string, Claims>({ max: MAX_ENTRIES, maxSize: MAX_SIZE, ...clock });
  // Apart from the active ones, so that made-up tokens push out nothing but each other.
  const inactive = new LRUCache<string, true>({ max: MAX_ENTRIES, ...clock });
  const inFlight = new Map<string, Promise<Claims | null>>();
  let generation = 0;
  let built: { from: RealmMetadata; configuration: Configuration } | null = null;

  async function configure(from: RealmMetadata): Promise<Configuration> {
    if (built?.from === from) return built.configuration;
    const client = await import('openid-client');
    const configuration = new client.Configuration(
      { issuer: from.issuer ?? settings.url, introspection_endpoint: from.introspectionEndpoint },
      clientId,
      undefined,
      // In the body by choice: servers disagree about how a client id is encoded in Basic (RFC 6749 section 2.3.1).
      from.basicOnly ? client.ClientSecretBasic(clientSecret) : client.ClientSecretPost(clientSecret),
    );
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- deprecated only to be noticed; the operator chose http
    if (from.introspectionEndpoint.startsWith('http:')) client.allowInsecureRequests(configuration);
    configuration.timeout = backstop(timeout);
    configuration[client.customFetch] = async (url, { headers, body: form }) => {
      const body = (form as URLSearchParams).toString();
      const answer = await withDeadline(
        timeout,
        new RealmFault(`no answer within ${timeout} ms`),
        (signal) => http.request(url, { method: 'POST', headers, body, signal }),
        stopping,
      );
      return asResponse(answer);
    };
    built = { from, configuration };
    return configuration;
  }

  async function ask(token: string, key: string): Promise<Claims | null> {
    const asked = generation;
    const configuration = await configure(metadata());
    const { tokenIntrospection } = await import('openid-client');
    let claims: Claims;
    try {
      claims = { ...(await tokenIntrospection(configuration, token)) };
    } catch (error) {
      throw new RealmFault(`introspection: ${reasonOf(error)}`);
    }
    const answer = claims['active'] === true ? claims : null;
    // An answer from before a logout says nothing about the time after it.
    if (asked === generation) keep(key, answer);
    return answer;
  }

  function keep(key: string, claims: Claims | null): void {
    const expiry = claims?.['exp'];
    const rest = typeof expiry === 'number' ? expiry * 1000 + settings.clockSkew - now() : lifetime;
    const ttl = Math.floor(Math.min(lifetime, rest));
    // lru-cache takes a lifetime of 0 for an endless one.
    if (!(ttl > 0)) return;
    if (claims === null) inactive.set(key, true, { ttl });
    else active.set(key, claims, { ttl, size: JSON.stringify(claims).length });
  }

  return {
    introspect(token) {
      const key = createHash('sha256').update(token).digest('base64');
      const known = active.get(key) ?? (inactive.has(key) ? null : undefined);
      if (known !== undefined) return Promise.resolve(known);
      const waiting = inFlight.get(key);
      if (waiting !== undefined) return waiting;
      if (inFlight.size >= MAX_IN_FLIGHT) {
        return Promise.reject(new RealmFault('introspection: too many tokens at once'));
      }
      const answer = ask(token, key).finally(() => {
        if (inFlight.get(key) === answer) inFlight.delete(key);
      });
      inFlight.set(key, answer);
      return answer;
    },
    forget() {
      generation += 1;
      active.clear();
      inFlight.clear();
    },
  };
}

/** As openid-client takes it. */
function asResponse({ status, contentType, body }: RealmAnswer): Response {
  const empty = status === 204 || status === 205;
  return new Response(empty ? null : body, { status, headers: { 'content-type': contentType } });
}
