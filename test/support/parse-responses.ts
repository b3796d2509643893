/** One HTTP/1.1 response as it stood on the wire; texts are latin1. */
export interface RawResponse {
  readonly status: number;
  readonly reason: string;
  /** Name and value in wire order, names as they came. */
  readonly headers: readonly (readonly [string, string])[];
  /** Without chunked framing. */
  readonly body: string;
  readonly trailers: readonly (readonly [string, string])[];
  /** How the body ended (RFC 9112 section 6.3). */
  readonly framing: 'none' | 'length' | 'chunked' | 'close';
}

/**
 * Splits everything that a connection carried into its responses (RFC 9112), interim ones included. `methods` are
 * those of the requests, in order, when some are HEAD. A body without framing takes all that follows.
 *
 * It is strict, since it judges what the gateway writes: a malformed response, conflicting framing, or bytes that
 * are no whole response make it throw.
 */
export function parseResponses(text: string, methods: readonly string[] = []): RawResponse[] {
  const { responses, rest } = readResponses(text, methods, true);
  if (rest !== '') throw new Error(`not a whole response: ${JSON.stringify(rest)}`);
  return responses;
}

/** For `until` of rawRequest: holds when `count` responses, interim ones included, are there as a whole. */
export function untilResponses(count: number, methods: readonly string[] = []): (text: string) => boolean {
  return (text) => readResponses(text, methods, false).responses.length >= count;
}

/** The values of a header, by name in any case. */
export function headerValues(response: RawResponse, name: string): string[] {
  return valuesOf(response.headers, name);
}

function readResponses(
  text: string,
  methods: readonly string[],
  closed: boolean,
): { responses: RawResponse[]; rest: string } {
  const responses: RawResponse[] = [];
  let rest = text;
  let answered = 0;
  while (rest !== '') {
    const read = readResponse(rest, methods[answered] ?? 'GET', closed);
    if (read === null) break;
    responses.push(read.response);
    if (read.response.status >= 200) answered += 1;
    rest = read.rest;
  }
  return { responses, rest };
}

/** null = the text ends before the response does. */
function readResponse(
  text: string,
  method: string,
  closed: boolean,
): { response: RawResponse; rest: string } | null {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return null;
  const [statusLine = '', ...lines] = text.slice(0, end).split('\r\n');
  const [, status, reason = ''] = /^HTTP\/1\.1 (\d{3}) ([\t\x20-\x7e\x80-\xff]*)$/.exec(statusLine) ?? [];
  if (status === undefined) throw new Error(`not a status line: ${JSON.stringify(statusLine)}`);
  const head = { status: Number(status), reason, headers: lines.map(readField) };

  const body = readBody(text.slice(end + 4), framingOf(head, method), closed);
  return body === null ? null : { response: { ...head, ...body.part }, rest: body.rest };
}

type Framing = { kind: 'none' | 'chunked' | 'close' } | { kind: 'length'; length: number };

function framingOf(head: Pick<RawResponse, 'status' | 'headers'>, method: string): Framing {
  const codings = valuesOf(head.headers, 'transfer-encoding');
  const lengths = valuesOf(head.headers, 'content-length');
  if (lengths.length + codings.length > 1)
    throw new Error(`conflicting framing: ${JSON.stringify([...codings, ...lengths])}`);
  if (method === 'HEAD' || head.status < 200 || head.status === 204 || head.status === 304)
    return { kind: 'none' };
  if (codings.length > 0) {
    if (codings[0]?.toLowerCase() !== 'chunked')
      throw new Error(`not chunked: ${JSON.stringify(codings[0])}`);
    return { kind: 'chunked' };
  }
  if (lengths[0] === undefined) return { kind: 'close' };
  if (!/^\d+$/.test(lengths[0])) throw new Error(`not a length: ${JSON.stringify(lengths[0])}`);
  return { kind: 'length', length: Number(lengths[0]) };
}

type BodyPart = Pick<RawResponse, 'body' | 'trailers' | 'framing'>;

function readBody(text: string, framing: Framing, closed: boolean): { part: BodyPart; rest: string } | null {
  switch (framing.kind) {
    case 'none':
      return { part: { body: '', trailers: [], framing: 'none' }, rest: text };
    case 'close':
      return closed ? { part: { body: text, trailers: [], framing: 'close' }, rest: '' } : null;
    case 'length': {
      if (text.length < framing.length) return null;
      const body = text.slice(0, framing.length);
      return { part: { body, trailers: [], framing: 'length' }, rest: text.slice(framing.length) };
    }
    case 'chunked':
      return readChunks(text);
  }
}

function readChunks(text: string): { part: BodyPart; rest: string } | null {
  let body = '';
  let at = 0;
  for (;;) {
    const lineEnd = text.indexOf('\r\n', at);
    if (lineEnd < 0) return null;
    const size = /^[0-9a-f]+/i.exec(text.slice(at, lineEnd))?.[0];
    if (size === undefined) throw new Error(`not a chunk: ${JSON.stringify(text.slice(at, lineEnd))}`);
    const start = lineEnd + 2;
    const end = start + parseInt(size, 16);
    if (end === start) return readTrailers(text, start, body);
    if (text.length < end + 2) return null;
    if (text.slice(end, end + 2) !== '\r\n') throw new Error('a chunk is longer than its size says');
    body += text.slice(start, end);
    at = end + 2;
  }
}

function readTrailers(text: string, start: number, body: string): { part: BodyPart; rest: string } | null {
  const lines: string[] = [];
  let at = start;
  for (;;) {
    const lineEnd = text.indexOf('\r\n', at);
    if (lineEnd < 0) return null;
    if (lineEnd === at) break;
    lines.push(text.slice(at, lineEnd));
    at = lineEnd + 2;
  }
  return { part: { body, trailers: lines.map(readField), framing: 'chunked' }, rest: text.slice(at + 2) };
}

function readField(line: string): readonly [string, string] {
  const [, name, value = ''] =
    /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[\t ]*([\t\x20-\x7e\x80-\xff]*)$/.exec(line) ?? [];
  if (name === undefined) throw new Error(`not a header field: ${JSON.stringify(line)}`);
  return [name, value.replace(/[\t ]+$/, '')];
}

function valuesOf(headers: readonly (readonly [string, string])[], name: string): string[] {
  return headers.filter(([given]) => given.toLowerCase() === name.toLowerCase()).map(([, value]) => value);
}
