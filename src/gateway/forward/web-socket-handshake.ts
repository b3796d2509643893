import { createHash } from 'node:crypto';
import { type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { RequestHead } from '../request-head.ts';
import { hasNoBody } from './body-length.ts';
import { responseHeaders } from './response-headers.ts';

/** Largest head of an answer to a handshake, in bytes. */
const HEAD_BYTES = 64 * 1024;

/** Whether a request wants its connection to change to another protocol (RFC 9110 section 7.8). */
export function asksForUpgrade({ connection, upgrade }: RequestHead): boolean {
  return upgrade !== null && /(?:^|,)[\t ]*upgrade[\t ]*(?:,|$)/i.test(connection ?? '');
}

/** Whether a request that asks for an upgrade opens a WebSocket (RFC 6455 section 4.1). */
export function isWebSocketHandshake(method: string, { upgrade, body }: RequestHead): boolean {
  return method === 'GET' && upgrade?.toLowerCase() === 'websocket' && hasNoBody(body);
}

/** Sends a handshake to `origin` on a connection of its own. `headers`: all but `Host` and the upgrade, flat. */
export function sendHandshake(origin: string, path: string, headers: readonly string[]): ClientRequest {
  const { protocol, hostname, port, host } = new URL(origin);
  const request = protocol === 'https:' ? requestHttps : requestHttp;
  return request({
    host: hostname.startsWith('[') ? hostname.slice(1, -1) : hostname,
    port,
    path,
    headers: ['Host', host, 'Connection', 'Upgrade', 'Upgrade', 'websocket', ...headers],
    agent: false,
    maxHeaderSize: HEAD_BYTES,
  });
}

/** Whether the 101 answers the handshake with that `Sec-WebSocket-Key` (RFC 6455 section 4.2.2). */
export function accepts(key: string, response: IncomingMessage): boolean {
  const expected = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  return (
    response.headers['sec-websocket-accept'] === expected &&
    response.headers.upgrade?.toLowerCase() === 'websocket'
  );
}

/**
 * Whether an answer that does not accept the handshake can be passed on, as with every other request: node's client
 * also reads a 101 without `Upgrade`, any number as a status, and transfer codings that it does not undo.
 */
export function isRefusal({ statusCode = 0, headers }: IncomingMessage): boolean {
  const coding = headers['transfer-encoding'] ?? 'chunked';
  return statusCode >= 200 && statusCode <= 599 && coding.toLowerCase() === 'chunked';
}

/** The 101 as the client gets it, in latin1; `added` are further header fields, flat. */
export function switchingHead(
  response: IncomingMessage,
  added: readonly string[],
  edgeCors: boolean,
): string {
  let head = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n';
  const headers = responseHeaders(response.rawHeaders, added, false, edgeCors);
  for (let i = 0; i < headers.length; i += 2) head += `${headers[i]!}: ${headers[i + 1]!}\r\n`;
  return `${head}\r\n`;
}
