import { requireLines } from '../message/require-lines.ts';
import type { UpstreamRequest } from './upstream-types.ts';

/** What an upstream may get as method and target: two words of visible ASCII. */
const REQUEST_LINE = /^[!-~]+ [!-~]+$/;

/**
 * The request line and header section (RFC 9112 sections 3 and 5), as latin1 text. Throws TypeError on a method or
 * target that would break the line.
 */
export function requestHead(authority: string, request: UpstreamRequest): string {
  const { method, target, headers, lines } = request;
  const line = `${method} ${target}`;
  if (method === 'CONNECT' || !REQUEST_LINE.test(line)) {
    throw new TypeError('not a request line that an upstream may get');
  }
  let head = `${line} HTTP/1.1\r\nHost: ${authority}\r\n${framingLine(request)}`;
  // Not a template: V8 adds strings faster than it fills in what could be anything.
  for (let i = 0; i < headers.length; i += 2) head += headers[i]! + ': ' + headers[i + 1]! + '\r\n';
  return head + lines + '\r\n';
}

/** The end of a chunked body with its trailer section (RFC 9112 section 7.1). Throws TypeError as `requestHead`. */
export function lastChunk(trailers: readonly string[]): string {
  let text = '0\r\n';
  for (let i = 0; i < trailers.length; i += 2) text += `${trailers[i]!}: ${trailers[i + 1]!}\r\n`;
  text += '\r\n';
  requireLines(text, trailers.length / 2 + 2);
  return text;
}

function framingLine({ method, body }: UpstreamRequest): string {
  if (body === 'chunked') return 'Transfer-Encoding: chunked\r\n';
  if (body !== 'none') return `Content-Length: ${body}\r\n`;
  // RFC 9110 section 8.6: these methods expect a body, so its absence is said.
  return method === 'POST' || method === 'PUT' || method === 'PATCH' ? 'Content-Length: 0\r\n' : '';
}
