import { isTraceparent, newTraceparent } from '../telemetry/trace-context.ts';
import type { Exchange } from './exchange.ts';
import type { Gateway } from './gateway.ts';
import type { RequestHead } from './request-head.ts';

/** Where a request came from and how the client addressed it, by the connection and the proxies that are trusted. */
export interface ClientView {
  readonly address: string;
  /** For `X-Forwarded-For`: `address`, the trusted proxies behind it, and the connection's peer. */
  readonly forwardedFor: string;
  /** Host and port that the client used. */
  readonly host: string;
  readonly hostname: string;
  readonly proto: 'http' | 'https';
}

const REQUEST_ID = /^[A-Za-z0-9._~:/+=-]{1,128}$/;
const FORWARDED_HOST = /^([a-z0-9._~-]{1,255}|\[[0-9a-f:.]{2,45}\])(?::([0-9]{1,5}))?$/;

/** Reads `X-Forwarded-*` and `X-Request-Id` of a trusted proxy; those of anyone else count for nothing. */
export function viewClient(gateway: Gateway, exchange: Exchange, head: RequestHead): ClientView {
  const { peer, secure } = exchange;
  let proto: 'http' | 'https' = secure ? 'https' : (gateway.publicOrigin?.proto ?? 'http');
  if (!gateway.trusted.trusts(peer)) {
    return { address: peer, forwardedFor: peer, host: head.host, hostname: head.hostname, proto };
  }
  if (head.requestId !== null && REQUEST_ID.test(head.requestId)) exchange.requestId = head.requestId;
  const forwardedProto = head.forwardedProto?.toLowerCase();
  if (forwardedProto === 'http' || forwardedProto === 'https') proto = forwardedProto;
  const chain = gateway.trusted.believed(peer, head.forwardedFor);
  const match = FORWARDED_HOST.exec(head.forwardedHost?.toLowerCase() ?? '');
  const named = match !== null && Number(match[2] ?? 0) <= 65535;
  return {
    address: chain[0]!,
    forwardedFor: chain.join(', '),
    host: named ? match[0] : head.host,
    hostname: named ? match[1]! : head.hostname,
    proto,
  };
}

/** What every upstream is told about the request, as field lines: the client's address, its host and the request's ids. */
export function forwardedLines(head: RequestHead, view: ClientView, requestId: string): string {
  const { traceparent } = head;
  const trace = traceparent !== null && isTraceparent(traceparent) ? traceparent : newTraceparent();
  return (
    `X-Forwarded-For: ${view.forwardedFor}\r\nX-Forwarded-Host: ${view.host}\r\nX-Forwarded-Proto: ${view.proto}\r\n` +
    `X-Request-Id: ${requestId}\r\ntraceparent: ${trace}\r\n`
  );
}
