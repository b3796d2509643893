import type { Permit } from '../authorize.ts';
import { addForwarded } from '../client-view.ts';
import type { Gateway, Service } from '../gateway.ts';
import type { Incoming } from '../incoming.ts';
import { upstreamPath } from '../match-route.ts';
import { Hold } from './hold.ts';
import { identityHeaders } from './identity-headers.ts';
import { Relay } from './relay.ts';
import type { UpstreamRequest } from './upstream-types.ts';

/** Methods that RFC 9110 section 9.2.1 calls safe: sending them twice asks for nothing twice. */
const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

/** Hands a permitted request to its service. */
export function forward(gateway: Gateway, incoming: Incoming, service: Service, permit: Permit): void {
  const { exchange, target, record, body } = incoming;
  const { route, principal } = permit;
  const request: UpstreamRequest = {
    method: exchange.method,
    target: upstreamPath(route, target.path) + target.query,
    headers: serviceHeaders(incoming, permit),
    body,
    retryable: body === 'none' && SAFE.has(exchange.method),
  };
  const relay = new Relay(gateway, exchange, record, {
    group: service.group,
    hold: route.holdFor === 0 ? null : new Hold(gateway, incoming, permit, service.group),
    request,
    body: null,
    notAfter: principal === null ? Infinity : principal.notAfter,
    added: record.cors,
    edgeCors: route.cors !== null,
  });
  record.relay = relay;
  relay.start();
}

/** The header fields that a service sees, flat: the client's that may pass, then those that only the gateway sets. */
export function serviceHeaders(
  { exchange, head, view, body }: Incoming,
  { route, principal }: Permit,
): string[] {
  const headers = head.passed;
  addForwarded(headers, head, view, exchange.requestId);
  if (route.stripPrefix && route.endpoint !== null && route.endpoint !== '/') {
    headers.push('X-Forwarded-Prefix', route.endpoint);
  }
  if (principal !== null) for (const item of identityHeaders(principal)) headers.push(item);
  if (route.forwardToken && head.authorization !== null) headers.push('Authorization', head.authorization);
  if (head.takesTrailers) headers.push('TE', 'trailers');
  if (head.expectsContinue && body !== 'none') headers.push('Expect', '100-continue');
  return headers;
}
