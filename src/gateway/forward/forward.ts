import type { Permit } from '../authorize.ts';
import { forwardedLines } from '../client-view.ts';
import type { Gateway, Service } from '../gateway.ts';
import type { Incoming } from '../incoming.ts';
import { upstreamPath } from '../match-route.ts';
import { hasNoBody } from './body-length.ts';
import { Hold } from './hold.ts';
import { identityLines } from './identity-headers.ts';
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
    headers: incoming.head.passed,
    lines: serviceLines(incoming, permit),
    body,
    retryable: hasNoBody(body) && SAFE.has(exchange.method),
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

/** What a service sees beside the client's fields that may pass: the lines that only the gateway writes. */
function serviceLines({ exchange, head, view, body }: Incoming, { route, principal }: Permit): string {
  let lines = forwardedLines(head, view, exchange.requestId);
  if (route.stripPrefix && route.endpoint !== null && route.endpoint !== '/') {
    lines += `X-Forwarded-Prefix: ${route.endpoint}\r\n`;
  }
  if (principal !== null) lines += identityLines(principal);
  if (route.forwardToken && head.authorization !== null) lines += `Authorization: ${head.authorization}\r\n`;
  if (head.takesTrailers) lines += 'TE: trailers\r\n';
  if (head.expectsContinue && body !== 'none') lines += 'Expect: 100-continue\r\n';
  return lines;
}

/** All of the header fields that a service sees, flat. */
export function serviceHeaders(incoming: Incoming, permit: Permit): string[] {
  const headers = [...incoming.head.passed];
  for (const [, name, value] of serviceLines(incoming, permit).matchAll(/(.*?): (.*)\r\n/g)) {
    headers.push(name!, value!);
  }
  return headers;
}
