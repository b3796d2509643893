import type { ExplainQuestion } from '../contracts/explain.ts';
import { Refusal } from '../errors.ts';
import { METHOD_NAMES } from './message/methods.ts';

const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
/** What is taken for a target; with any other no header field is looked at. */
const TARGET = /^(?:[/*]|[a-z]+:\/\/)[\x21-\x7e]*$/i;

/**
 * The header fields of a request that nobody sends, flat, once they stand what the reader of requests asks of
 * them. Without a `Host` it is one to `host`. Throws `malformed_request`, `ambiguous_path` or
 * `headers_too_large`, as the listener answers them.
 */
export function imagineHeaders(question: ExplainQuestion, host: string, headerBytes: number): string[] {
  const { method, path, headers, token } = question;
  const fields = Object.entries(headers).map(([name, value]) => [name, value.replace(EDGES, '')] as const);
  if (!METHOD_NAMES.has(method)) throw malformed();
  if (method === 'CONNECT') throw new Refusal('ambiguous_path', 'This is not a forward proxy');
  if (/[\x00-\x20]/.test(path)) throw malformed();
  if (!TARGET.test(path)) {
    throw new Refusal('ambiguous_path', 'The request target is not a path of printable ASCII');
  }
  if (fields.some(([name, value]) => !NAME.test(name) || !VALUE.test(value))) throw malformed();
  const raw = fields.flat();
  if (!fields.some(([name]) => name.toLowerCase() === 'host')) raw.push('Host', host);
  if (token !== null) raw.push('Authorization', `Bearer ${token}`);
  if (!raw.every((part) => VALUE.test(part))) throw malformed();
  if (path.length + raw.join('').length >= headerBytes) {
    throw new Refusal('headers_too_large', 'The request line and header fields are too large');
  }
  return raw;
}

/** Blanks around a value are no part of it (RFC 9110 section 5.5). */
const EDGES = /^[\t ]+|[\t ]+$/g;

function malformed(): Refusal {
  return new Refusal('malformed_request', 'The request is not valid HTTP/1.1');
}
