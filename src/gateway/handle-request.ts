import type { Principal } from '../contracts/principal.ts';
import { Refusal } from '../errors.ts';
import { authorize } from './authorize.ts';
import { canonicalTarget } from './canonical-path.ts';
import { viewClient } from './client-view.ts';
import { readCredential } from './credential.ts';
import { answerPreflight, corsHeaders, isPreflight } from './cors.ts';
import type { Exchange } from './exchange.ts';
import { forward } from './forward/forward.ts';
import { upgrade } from './forward/upgrade.ts';
import type { Gateway, Service } from './gateway.ts';
import type { Incoming } from './incoming.ts';
import { isRealmPath, passThrough } from './passthrough.ts';
import { readHead } from './request-head.ts';
import type { RequestRecord } from './request-record.ts';
import { takeRouteLimits } from './route-limits.ts';
import type { Verdict } from './token-refusal.ts';

/**
 * The whole life of a request, from its header section to the upstream. The order is part of the contract: what is
 * malformed is 400 for everyone, then everything outside `/auth/` and the public routes is 401 without a valid
 * token, whether or not it exists.
 */
export function handleRequest(gateway: Gateway, exchange: Exchange): void {
  const record = gateway.begin(exchange);
  try {
    const incoming = receive(gateway, exchange, record);
    const { head, target, view } = incoming;
    if (isRealmPath(target.path)) {
      passThrough(gateway, incoming);
      return;
    }
    const service = gateway.match(view.hostname, target.path);
    if (service !== null) noteService(record, service, incoming);
    if (service !== null && isPreflight(service.route, exchange.method, head)) {
      answerPreflight(exchange, service.route, head);
      return;
    }
    const credential = readCredential(head, exchange.handshake !== null, gateway.settings.limits.tokenBytes);
    const verdict =
      credential.token === null
        ? null
        : gateway.authenticator.authenticate(credential.token, service?.route.realm ?? null);
    const proceed = (known: Verdict | null) => {
      if (known instanceof Refusal) gateway.refuse(exchange, record, known);
      else admit(gateway, incoming, service, known, credential.subprotocols);
    };
    if (!(verdict instanceof Promise)) proceed(verdict);
    else verdict.then(proceed).catch((error: unknown) => gateway.refuse(exchange, record, error));
  } catch (error) {
    gateway.refuse(exchange, record, error);
  }
}

/** Reads the head and the target: the one understanding of the request that every later step shares. */
function receive(gateway: Gateway, exchange: Exchange, record: RequestRecord): Incoming {
  const head = readHead(exchange.rawHeaders, exchange.httpVersion === '1.0', exchange.authority);
  const body = exchange.understood(head);
  const view = viewClient(gateway, exchange, head);
  record.clientAddress = view.address;
  record.host = view.host;
  record.userAgent = head.userAgent;
  const target = canonicalTarget(exchange.target, head.host);
  record.path = target.path;
  if (gateway.draining) exchange.closeConnection();
  return { exchange, record, head, target, view, body };
}

function noteService(record: RequestRecord, service: Service, { head }: Incoming): void {
  record.route = service.route.name;
  record.metrics = service.metrics;
  record.realm = service.route.realm;
  record.cors = corsHeaders(service.route, head);
}

/** What follows once it is known who calls. */
function admit(
  gateway: Gateway,
  incoming: Incoming,
  service: Service | null,
  principal: Principal | null,
  subprotocols: string | null,
): void {
  const { exchange, record } = incoming;
  if (exchange.settled) return; // the client went away while its token was checked
  if (principal !== null) record.user = principal.username ?? principal.subject;
  if (service === null) {
    throw principal === null
      ? new Refusal('token_missing', 'Send a token as Authorization: Bearer')
      : new Refusal('no_such_service', 'No service has this endpoint');
  }
  const permit = authorize(service.route, principal);
  const proceed = () => {
    if (exchange.handshake === null) forward(gateway, incoming, service, permit);
    else upgrade(gateway, incoming, service, permit, exchange.handshake, subprotocols);
  };
  if (service.route.limit === null) proceed();
  else {
    takeRouteLimits(gateway, incoming, service.route.limit, permit)
      .then(() => {
        if (!exchange.settled) proceed();
      })
      .catch((error: unknown) => gateway.refuse(exchange, record, error));
  }
}
