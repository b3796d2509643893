import * as fc from 'fast-check';

/** Mostly the first, so that what is rare stays rare enough for the rest of the request to matter. */
function mostly<T>(usual: readonly T[], rare: readonly T[]): fc.Arbitrary<T> {
  return fc.oneof(
    { weight: 30, arbitrary: fc.constantFrom(...usual) },
    { weight: 1, arbitrary: fc.constantFrom(...rare) },
  );
}

const crlf = mostly(['\r\n'], ['\n', '\r', '\r\r\n', '\r\n\r\n', '\r\n ', '\n\r']);

const method = mostly(
  ['GET', 'POST', 'PUT', 'HEAD', 'DELETE', 'OPTIONS', 'PATCH', 'M-SEARCH', 'QUERY', 'PURGE'],
  ['get', 'GETT', 'CONNECT', 'PRI', 'G ET', '', 'X'.repeat(40)],
);
const target = mostly(
  ['/', '/a/b?c=d', '/%2e%2e/', '*', 'http://a/b', '/a;b=c', '/*'],
  [
    '',
    'a',
    '//a',
    '/a b',
    '/a#b',
    '/\u00e9',
    '/\0',
    'a:80',
    'http://a',
    '/a\tb',
    '*x',
    'urn:x',
    '/a\x7f',
    '/\\',
  ],
);
const version = mostly(
  ['HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0'],
  [
    'HTTP/1.2',
    'HTTP/0.9',
    'HTTP/2.0',
    'http/1.1',
    'HTTP/1.1 ',
    'HTTP/1.10',
    'HTTP/11',
    'ICE/1.0',
    'RTSP/1.0',
    '',
  ],
);
const separator = mostly([': ', ':', ':  \t'], [' : ', ' ', '', '\t:', ':\0', ': \r', '::']);
const name = mostly(
  ['X-A', 'Accept', 'user-agent', 'Cookie', 'X-A', "!#$%&'*+-.^_`|~", 'Keep-Alive'],
  ['', 'X A', 'X(A)', 'X\0', 'X\u00e9', 'X\x7f', '\tX', ' X', 'Content_Length', 'Content-Length\0', '"X"'],
);
const value = mostly(
  ['', 'b', 'a b\tc', '\u00e9\xff', 'chunked', '5', 'close', 'a,b', ' x \t'],
  ['\0', 'a\x01b', '\x7f', 'a\rb', 'a\nb', '\r\n b', '\x0b', 'x'.repeat(300)],
);
const field = fc
  .tuple(name, separator, value, crlf)
  .map(([fieldName, between, text, end]) => fieldName + between + text + end);

/** Field lines that say how the body is framed or what becomes of the connection. */
const special = fc.constantFrom(
  'Connection: close', 'Connection: keep-alive', 'Connection: keep-alive, close', 'Connection: Upgrade',
  'Connection: Transfer-Encoding', 'Upgrade: websocket', 'Upgrade: h2c', 'Expect: 100-continue', 'Expect: x',
  'Content-Length: 0', 'Content-Length: 5', 'Content-Length: 05', 'Content-Length: +5', 'Content-Length: 5, 5',
  'Content-Length: 5 5', 'Content-Length: 0x5', 'Content-Length:', 'Content-Length: 9007199254740993',
  'Content-Length: 18446744073709551621', 'Transfer-Encoding: chunked', 'Transfer-Encoding: identity',
  'Transfer-Encoding: gzip, chunked', 'Transfer-Encoding: chunked, gzip', 'Transfer-Encoding: ,chunked',
  'Transfer-Encoding: "chunked"', 'Transfer-Encoding: chunked;a=b', 'transfer-encoding:\tCHUNKED',
  'Transfer-Encoding: xchunked', 'Transfer-Encoding : chunked', 'Transfer-Encoding:', 'Host: b', 'Trailer: X-A',
  'TE: trailers',
).map((line) => `${line}\r\n`); // prettier-ignore

const chunk = fc
  .tuple(
    mostly(
      ['5', '05', '0005'],
      ['0x5', '+5', ' 5', '5 ', 'ffffffffffffffff', '00000000000000005', '5_', '6', '4', ''],
    ),
    mostly(
      ['', '', ';a=b', ';a="b;c"', ';a', '; a = b', ';'],
      [';a=\nb', ';a\0', ';a="b', ' ;a', ';\x7f', ';\u00e9', '\t'],
    ),
    crlf,
    fc.constantFrom('hello', 'GET /', '0\r\n\r\n', 'a\r\nbc'),
    crlf,
  )
  .map(([size, extension, end, data, behind]) => size + extension + end + data + behind);
const last = mostly(['0\r\n', '000\r\n', '0;a=b\r\n'], ['0\n', '-0\r\n', '0 \r\n', '\r\n', '0\r\n\r\n0\r\n']);
const chunkedBody = fc
  .tuple(fc.array(chunk, { maxLength: 3 }), last, fc.array(field, { maxLength: 2 }), crlf)
  .map(([chunks, end, trailers, empty]) => chunks.join('') + end + trailers.join('') + empty);

const framed = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ framing: '', body: '' }) },
  { weight: 3, arbitrary: fc.constant({ framing: 'Content-Length: 5\r\n', body: 'hello' }) },
  { weight: 4, arbitrary: chunkedBody.map((body) => ({ framing: 'Transfer-Encoding: chunked\r\n', body })) },
  {
    weight: 1,
    arbitrary: fc.record({ framing: special, body: fc.oneof(fc.constantFrom('', 'hello'), chunkedBody) }),
  },
);

const request = fc
  .record({
    before: mostly([''], ['\r\n', '\n', '\r\n\r\n', ' ', '\r']),
    method,
    target,
    version,
    end: crlf,
    host: mostly(
      ['Host: a\r\n'],
      ['', 'Host: a\r\nHost: a\r\n', 'Host:\r\n', 'Host: a b\r\n', 'host:a:80\r\n'],
    ),
    fields: fc.array(field, { maxLength: 3 }),
    special: fc.oneof({ weight: 4, arbitrary: fc.constant('') }, { weight: 1, arbitrary: special }),
    framed,
    empty: crlf,
  })
  .map(
    ({
      before,
      method: verb,
      target: path,
      version: spoken,
      end,
      host,
      fields,
      special: line,
      framed: rest,
      empty,
    }) =>
      `${before}${verb} ${path} ${spoken}${end}${host}${fields.join('')}${line}${rest.framing}${empty}${rest.body}`,
  );

/** What one connection carries: a few requests, most of them well-formed. */
export const connectionBytes: fc.Arbitrary<Buffer> = fc
  .array(request, { minLength: 1, maxLength: 3 })
  .map((requests) => Buffer.from(requests.join(''), 'latin1'));

const PIECES = [
  '\r',
  '\n',
  '\r\n',
  ' ',
  '\t',
  '\0',
  ':',
  ';',
  ',',
  '0',
  '1',
  '5',
  'a',
  'f',
  '\x7f',
  '\x80',
  '\xff',
  '',
];

/** The same with bytes replaced, put in, taken out or doubled somewhere. */
export function mutated(original: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> {
  const change = fc.record({
    at: fc.nat(),
    removed: fc.constantFrom(0, 1, 1, 2, 5),
    put: fc.constantFrom(...PIECES),
    doubled: fc.constantFrom(0, 0, 0, 20),
  });
  return fc.tuple(original, fc.array(change, { minLength: 1, maxLength: 2 })).map(([bytes, changes]) => {
    let text = bytes.toString('latin1');
    for (const { at, removed, put, doubled } of changes) {
      const start = at % (text.length + 1);
      text = text.slice(0, start) + put + text.slice(start, start + doubled) + text.slice(start + removed);
    }
    return Buffer.from(text, 'latin1');
  });
}

/** `bytes` in pieces, with a border at each position (taken modulo the length). */
export function splitAt(bytes: Buffer, positions: readonly number[]): Buffer[] {
  const borders = [...new Set(positions.map((at) => at % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...borders].map((start, i) => bytes.subarray(start, borders[i] ?? bytes.length));
}
