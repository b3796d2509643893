import { STATUS_CODES } from 'node:http';
import { challengeOf } from '../bearer.ts';
import { type ErrorCode, Refusal } from '../errors.ts';
import { endProblem, problemBody, startProblem } from '../problem.ts';
import type { Exchange } from './exchange.ts';

/** Codes after which nothing that the client sends is worth reading. */
const CLOSING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'malformed_request',
  'request_timeout',
  'body_too_large',
  'headers_too_large',
]);

/**
 * Answers with the problem details of a refusal (RFC 9457) and the challenge that belongs to it (RFC 6750 section 3).
 * `realm` is the one whose tokens would have been accepted; `added` are further header fields, flat.
 */
export function refuse(
  exchange: Exchange,
  refusal: Refusal,
  realm: string,
  added: readonly string[] = [],
): void {
  if (exchange.settled) return;
  exchange.code = refusal.code;
  if (exchange.headSent) {
    exchange.cut();
    return;
  }
  if (CLOSING.has(refusal.code)) exchange.closeConnection();
  const { fields, start } = prepare(refusal, realm);
  const body = Buffer.from(endProblem(start, exchange.requestId));
  const headers = [...fields, 'Content-Length', String(body.length), ...added];
  exchange.sendHead(refusal.status, STATUS_CODES[refusal.status] ?? '', headers);
  exchange.end(body, []);
}

const prepared = Symbol('prepared answer');

/** What all answers with a refusal have in common. */
interface Answer {
  readonly realm: string;
  readonly fields: readonly string[];
  readonly start: string;
}

/** The refusals of tokens are the same few objects for all of a flood, so their answers are made once: 2 us of 13. */
function prepare(refusal: Refusal & { [prepared]?: Answer }, realm: string): Answer {
  const before = refusal[prepared];
  if (before?.realm === realm) return before;
  const fields = problemHeaders(refusal, realm);
  return (refusal[prepared] = { realm, fields, start: startProblem(refusal.code, refusal.message) });
}

/** The same as the bytes of a whole HTTP/1.1 response, for what could not be read as a request. */
export function rawRefusal(refusal: Refusal, requestId: string): string {
  const body = problemBody(refusal.code, refusal.message, requestId);
  const headers = [
    ...problemHeaders(refusal, ''),
    'Content-Length',
    String(Buffer.byteLength(body)),
    'Connection',
    'close',
  ];
  let text = `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status] ?? ''}\r\n`;
  for (let i = 0; i < headers.length; i += 2) text += `${headers[i]!}: ${headers[i + 1]!}\r\n`;
  return `${text}\r\n${body}`;
}

function problemHeaders(refusal: Refusal, realm: string): string[] {
  const headers = ['Content-Type', 'application/problem+json', 'Cache-Control', 'no-store'];
  const challenge = challengeOf(refusal, realm);
  if (challenge !== null) headers.push('WWW-Authenticate', challenge);
  if (refusal.allow !== undefined) headers.push('Allow', refusal.allow);
  if (refusal.retryAfter !== undefined)
    headers.push('Retry-After', String(Math.max(1, Math.ceil(refusal.retryAfter))));
  return headers;
}

/** What an error becomes: a refusal as it is, anything else a bug that costs this request only. */
export function asRefusal(error: unknown): Refusal {
  return error instanceof Refusal
    ? error
    : new Refusal(
        'internal_error',
        'The gateway failed on this request; its log names the cause under the request id',
      );
}
