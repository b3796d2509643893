import type { PassthroughEndpoint } from '../contracts/settings.ts';
import { Refusal } from '../errors.ts';
import { passthroughTarget, resourcesTarget } from '../realm/endpoints.ts';
import { receiveLogout } from './back-channel-logout.ts';
import { forwardedLines } from './client-view.ts';
import { hasNoBody } from './forward/body-length.ts';
import { Relay } from './forward/relay.ts';
import type { Gateway, PassthroughRealm } from './gateway.ts';
import type { Incoming } from './incoming.ts';
import { limitByAddress } from './passthrough-limits.ts';
import { admitTokenRequest } from './token-endpoint.ts';

const PREFIX = '/auth/';
const REALM = /^\/auth\/realms\/([^/]+)(\/.*)$/;

/** Path of a realm's own under which it tells of ended sessions; see `back-channel-logout.ts`. */
const BACK_CHANNEL_LOGOUT = '/backchannel-logout';

/** Paths that belong to the realm and are never routed to a service. */
export function isRealmPath(path: string): boolean {
  return path.startsWith(PREFIX);
}

/** Answers a path under `/auth/`: the endpoints that are configured go to the realm, everything else is 404. */
export function passThrough(gateway: Gateway, incoming: Incoming): void {
  const { target, exchange, record } = incoming;
  const destination = findDestination(gateway, target.path);
  if (destination === null) throw new Refusal('no_such_service', 'Nothing is published under this path');
  const { realm, endpoint, path } = destination;
  record.route = `realm:${realm.snapshot.settings.name}`;
  record.metrics = realm.metrics;
  record.realm = realm.snapshot.settings.name;
  const answer =
    endpoint === 'backchannel-logout'
      ? receiveLogout(gateway, incoming, realm)
      : endpoint === 'token'
        ? admitTokenRequest(gateway, incoming, realm).then((body) => {
            if (!exchange.settled) relayToRealm(gateway, incoming, realm, path, body);
          })
        : admitOther(gateway, incoming, realm, endpoint).then(() => {
            if (!exchange.settled) relayToRealm(gateway, incoming, realm, path, null);
          });
  answer.catch((error: unknown) => gateway.refuse(exchange, record, error));
}

/** Where a path under `/auth/` leads. */
export interface Destination {
  readonly realm: PassthroughRealm;
  readonly endpoint: PassthroughEndpoint | 'backchannel-logout';
  /** Path at the realm. */
  readonly path: string;
}

/** null = the path is not published. */
export function findDestination(gateway: Gateway, path: string): Destination | null {
  const match = REALM.exec(path);
  if (match === null) return findResources(gateway, path);
  const [, name = '', rest = ''] = match;
  const realm = gateway.realms.get(name);
  if (realm === undefined) return null;
  const { revocation, passthrough } = realm.snapshot.settings;
  if (rest === BACK_CHANNEL_LOGOUT) {
    return revocation.backchannelLogout ? { realm, endpoint: 'backchannel-logout', path: '' } : null;
  }
  const endpoint = passthroughTarget(rest);
  if (endpoint === null || !passthrough.endpoints.includes(endpoint)) return null;
  return { realm, endpoint, path: realm.path + rest };
}

/** Theme files lie beside the realms, so the first realm that publishes them stands for its Keycloak. */
function findResources(gateway: Gateway, path: string): Destination | null {
  for (const realm of gateway.realms.values()) {
    const { settings } = realm.snapshot;
    if (!settings.passthrough.endpoints.includes('resources')) continue;
    const url = resourcesTarget(path, settings.url);
    if (url !== null) return { realm, endpoint: 'resources', path: new URL(url).pathname };
  }
  return null;
}

const READ_ONLY: ReadonlySet<PassthroughEndpoint> = new Set(['certs', 'openid-configuration', 'resources']);

/** Throws `method_not_allowed` for a change of what is only a document. */
export function checkMethod(endpoint: PassthroughEndpoint, method: string): void {
  if (READ_ONLY.has(endpoint) && method !== 'GET' && method !== 'HEAD' && method !== 'OPTIONS') {
    throw new Refusal('method_not_allowed', 'This document can only be read', {
      allow: 'GET, HEAD, OPTIONS',
    });
  }
}

/** The endpoints beside the token endpoint: documents are read only, and forms are limited by address like tokens. */
async function admitOther(
  gateway: Gateway,
  { exchange, view }: Incoming,
  realm: PassthroughRealm,
  endpoint: PassthroughEndpoint,
): Promise<void> {
  const { method } = exchange;
  checkMethod(endpoint, method);
  if (method !== 'POST' || (endpoint !== 'auth' && endpoint !== 'device')) return;
  await limitByAddress(gateway, realm, view.address);
}

function relayToRealm(
  gateway: Gateway,
  incoming: Incoming,
  realm: PassthroughRealm,
  path: string,
  body: Buffer | null,
): void {
  const { exchange, head, target, view, record } = incoming;
  // The realm derives the issuer from these, so what clients see comes before what this client says.
  const origin = gateway.publicOrigin ?? view;
  const seen = { ...view, host: origin.host, proto: origin.proto };
  let lines = forwardedLines(head, seen, exchange.requestId);
  lines += `X-Forwarded-Port: ${portOf(seen.host, seen.proto)}\r\n`;
  if (head.authorization !== null) lines += `Authorization: ${head.authorization}\r\n`;
  if (body === null && head.expectsContinue && incoming.body !== 'none') lines += 'Expect: 100-continue\r\n';
  const safe = exchange.method === 'GET' || exchange.method === 'HEAD';
  const relay = new Relay(gateway, exchange, record, {
    group: realm.group,
    hold: null,
    request: {
      method: exchange.method,
      target: path + target.query,
      headers: head.passed,
      lines,
      body: body === null ? incoming.body : body.length,
      retryable: safe && body === null && hasNoBody(incoming.body),
    },
    body,
    notAfter: Infinity,
    added: [],
    edgeCors: false,
  });
  record.relay = relay;
  relay.start();
}

function portOf(host: string, proto: 'http' | 'https'): string {
  return /:([0-9]+)$/.exec(host)?.[1] ?? (proto === 'https' ? '443' : '80');
}
