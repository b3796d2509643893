import { describe, expect, test } from 'vitest';
import { InvalidMessage } from '../../../src/gateway/message/invalid-message.ts';
import { ResponseParser, type ResponseSink } from '../../../src/gateway/forward/response-parser.ts';

interface Reading {
  informational: { status: number; headers: string[] }[];
  head?: { status: number; reason: string; headers: string[]; length: number | string };
  body: string;
  end?: { trailers: string[]; surplus: boolean; persistent: boolean };
  invalid?: string;
}

const HEAD_LIMIT = 1024;

/** Feeds the pieces one after the other, each in memory that is overwritten afterwards, as the read buffer is. */
function read(
  pieces: readonly string[],
  { toHead = false, close = false, limit = HEAD_LIMIT } = {},
): Reading {
  const reading: Reading = { informational: [], body: '' };
  const sink: ResponseSink = {
    informationalRead: (status, headers) => reading.informational.push({ status, headers }),
    headRead: (status, reason, headers, length) => (reading.head = { status, reason, headers, length }),
    bodyRead: (bytes, start, end) => (reading.body += bytes.toString('latin1', start, end)),
    responseEnded: (trailers, surplus) => {
      if (reading.end !== undefined) throw new Error('ended twice');
      reading.end = { trailers, surplus, persistent: parser.persistent };
    },
  };
  const parser = new ResponseParser(limit, sink);
  parser.begin(toHead);
  try {
    for (const piece of pieces) {
      const bytes = Buffer.from(`${piece}left over from an earlier read\r\n\r\n`, 'latin1');
      parser.read(bytes, piece.length);
      bytes.fill('#');
    }
    if (close) parser.closed();
  } catch (error) {
    if (!(error instanceof InvalidMessage)) throw error;
    reading.invalid = error.message;
  }
  return reading;
}

/** The text in pieces of one byte each. */
function bytes(text: string): string[] {
  return Array.from({ length: text.length }, (_, i) => text.charAt(i));
}

/** The text whole, byte by byte, and cut in two and in three at every place. */
function* cuts(text: string): Generator<string[]> {
  yield [text];
  yield bytes(text);
  for (let i = 1; i < text.length; i++) {
    yield [text.slice(0, i), text.slice(i)];
    yield [text.slice(0, i), text.slice(i, i + 1), text.slice(i + 1)];
  }
}

const persistent = { trailers: [], surplus: false, persistent: true };
const closing = { trailers: [], surplus: false, persistent: false };

const GOOD: [
  name: string,
  text: string,
  expected: Reading,
  options?: { toHead?: boolean; close?: boolean },
][] = [
  [
    'Content-Length',
    'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nCONTENT-LENGTH: 5\r\n\r\nhello',
    {
      informational: [],
      head: {
        status: 200,
        reason: 'OK',
        headers: ['Content-Type', 'text/plain', 'CONTENT-LENGTH', '5'],
        length: 5,
      },
      body: 'hello',
      end: persistent,
    },
  ],
  [
    'an empty body',
    'HTTP/1.1 404 Not  Found\there\r\ncontent-length:0\r\n\r\n',
    {
      informational: [],
      head: { status: 404, reason: 'Not  Found\there', headers: ['content-length', '0'], length: 0 },
      body: '',
      end: persistent,
    },
  ],
  [
    'no reason phrase, with and without its space; optional white space and obs-text in values',
    'HTTP/1.1 599\r\na: \t \r\nb:\tone \t two\t \r\nc:\xe9\x80\xff\r\ncontent-length: 1\r\n\r\n!',
    {
      informational: [],
      head: {
        status: 599,
        reason: '',
        headers: ['a', '', 'b', 'one \t two', 'c', '\xe9\x80\xff', 'content-length', '1'],
        length: 1,
      },
      body: '!',
      end: persistent,
    },
  ],
  [
    'every character that a field name may have',
    "HTTP/1.1 200 \r\n!#$%&'*+-.^_`|~09azAZ: x\r\ncontent-length: 0\r\n\r\n",
    {
      informational: [],
      head: {
        status: 200,
        reason: '',
        headers: ["!#$%&'*+-.^_`|~09azAZ", 'x', 'content-length', '0'],
        length: 0,
      },
      body: '',
      end: persistent,
    },
  ],
  [
    'chunks with extensions and trailers',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5;a="b;c";d\r\nhello\r\n00A\r\n 0123456\r\n\r\n0;last\r\nX-Sum: 1\r\nX-Two:\r\n\r\n',
    {
      informational: [],
      head: { status: 200, reason: 'OK', headers: ['Transfer-Encoding', 'Chunked'], length: 'chunked' },
      body: 'hello 0123456\r\n',
      end: { ...persistent, trailers: ['X-Sum', '1', 'X-Two', ''] },
    },
  ],
  [
    'informational responses before the final one',
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok',
    {
      informational: [
        { status: 100, headers: [] },
        { status: 103, headers: ['Link', '</a>; rel=preload'] },
      ],
      head: { status: 200, reason: 'OK', headers: ['content-length', '2'], length: 2 },
      body: 'ok',
      end: persistent,
    },
  ],
  [
    'a body that ends with the connection',
    'HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\nall of it\r\n\r\n',
    {
      informational: [],
      head: { status: 200, reason: 'OK', headers: ['Connection', 'keep-alive'], length: 'close' },
      body: 'all of it\r\n\r\n',
      end: closing,
    },
    { close: true },
  ],
  [
    'an answer to HEAD',
    'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n',
    {
      informational: [],
      head: { status: 200, reason: 'OK', headers: ['Content-Length', '500'], length: 'none' },
      body: '',
      end: persistent,
    },
    { toHead: true },
  ],
  [
    'an answer to HEAD that would be chunked',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
    {
      informational: [],
      head: { status: 200, reason: 'OK', headers: ['Transfer-Encoding', 'chunked'], length: 'none' },
      body: '',
      end: persistent,
    },
    { toHead: true },
  ],
  [
    '304 with the length of what was not sent',
    'HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n',
    {
      informational: [],
      head: { status: 304, reason: 'Not Modified', headers: ['Content-Length', '500'], length: 'none' },
      body: '',
      end: persistent,
    },
  ],
  [
    '204',
    'HTTP/1.1 204 No Content\r\n\r\n',
    {
      informational: [],
      head: { status: 204, reason: 'No Content', headers: [], length: 'none' },
      body: '',
      end: persistent,
    },
  ],
];

describe('reads, wherever the bytes are cut,', () => {
  test.each(GOOD)('%s', (_name, text, expected, options) => {
    for (const pieces of cuts(text)) expect(read(pieces, options), pieces.join('|')).toEqual(expected);
  });
});

const ok = (fields: string, rest = '') => `HTTP/1.1 200 OK\r\n${fields}\r\n\r\n${rest}`;
const chunked = (body: string) => ok('Transfer-Encoding: chunked', body);

const BAD: [name: string, text: string][] = [
  ['another protocol', 'SSH-2.0-OpenSSH_9.9\r\n'],
  ['no status line', '<html></html>\n'],
  ['an empty line first', '\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'],
  ['HTTP/2.0', 'HTTP/2.0 200 OK\r\n\r\n'],
  ['HTTP/1.2', 'HTTP/1.2 200 OK\r\n\r\n'],
  ['a lower-case protocol name', 'http/1.1 200 OK\r\n\r\n'],
  ['two spaces before the status', 'HTTP/1.1  200 OK\r\n\r\n'],
  ['a tab before the status', 'HTTP/1.1\t200 OK\r\n\r\n'],
  ['status 099', 'HTTP/1.1 099 Low\r\n\r\n'],
  ['status 600', 'HTTP/1.1 600 High\r\n\r\n'],
  ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n'],
  ['a status of four digits', 'HTTP/1.1 2000 OK\r\n\r\n'],
  ['a control character in the reason', 'HTTP/1.1 200 O\x00K\r\n\r\n'],
  ['a status line that ends with LF', 'HTTP/1.1 200 OK\ncontent-length: 0\r\n\r\n'],
  ['a status line that ends with CR', 'HTTP/1.1 200 OK\rcontent-length: 0\r\n\r\n'],
  ['101 that nobody asked for', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n'],
  ['17 informational responses', 'HTTP/1.1 102 P\r\n\r\n'.repeat(17)],
  ['1xx with Content-Length', 'HTTP/1.1 103 E\r\nContent-Length: 5\r\n\r\n'],
  ['1xx with Transfer-Encoding', 'HTTP/1.1 103 E\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ['a header line that ends with LF', 'HTTP/1.1 200 OK\r\na: b\ncontent-length: 0\r\n\r\n'],
  ['a bare CR in a value', ok('a: b\rc: d')],
  ['NUL in a value', ok('a: b\x00')],
  ['DEL in a value', ok('a: b\x7f')],
  ['an escape character in a value', ok('a: \x1b[31m')],
  ['a space before the colon', ok('Content-Length : 0')],
  ['a space in a name', ok('Content Length: 0')],
  ['a line that begins with a space', ok('a: b\r\n c')],
  ['a first header line that begins with a tab', ok('\ta: b')],
  ['no name', ok(': b')],
  ['no colon', ok('nothing')],
  ['obs-text in a name', ok('\xe9: b')],
  ['an empty line that ends with LF', 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\n'],
  ['a head above the limit', ok(`a: ${'b'.repeat(HEAD_LIMIT)}`)],
  ['a head above the limit without an end', `HTTP/1.1 200 OK\r\na: ${'b'.repeat(HEAD_LIMIT)}`],
  ['Transfer-Encoding with Content-Length', ok('Transfer-Encoding: chunked\r\nContent-Length: 5')],
  ['Content-Length with Transfer-Encoding', ok('Content-Length: 5\r\nTransfer-Encoding: chunked')],
  ['two Content-Length', ok('Content-Length: 5\r\nContent-Length: 6')],
  ['two equal Content-Length', ok('Content-Length: 5\r\ncontent-length: 5')],
  ['a list as Content-Length', ok('Content-Length: 5, 5')],
  ['an empty Content-Length', ok('Content-Length:')],
  ['two Content-Length, the first empty', ok('Content-Length:\r\nContent-Length: 5')],
  ['a signed Content-Length', ok('Content-Length: +5')],
  ['a negative Content-Length', ok('Content-Length: -5')],
  ['a hexadecimal Content-Length', ok('Content-Length: 0x5')],
  ['a fractional Content-Length', ok('Content-Length: 5.0')],
  ['a Content-Length above 2^53 - 1', ok('Content-Length: 9007199254740992')],
  ['a Content-Length of 20 digits', ok('Content-Length: 18446744073709551617')],
  ['Transfer-Encoding gzip', ok('Transfer-Encoding: gzip')],
  ['Transfer-Encoding gzip, chunked', ok('Transfer-Encoding: gzip, chunked')],
  ['Transfer-Encoding chunked, chunked', ok('Transfer-Encoding: chunked, chunked')],
  ['Transfer-Encoding twice', ok('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked')],
  ['Transfer-Encoding identity', ok('Transfer-Encoding: identity')],
  ['an empty Transfer-Encoding', ok('Transfer-Encoding:')],
  ['Transfer-Encoding with a parameter', ok('Transfer-Encoding: chunked;q=1')],
  ['Transfer-Encoding in HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ['a chunk without size', chunked('\r\n')],
  ['a chunk size with 0x', chunked('0x5\r\nhello\r\n')],
  ['a signed chunk size', chunked('+5\r\nhello\r\n')],
  ['a chunk size after a space', chunked(' 5\r\nhello\r\n')],
  ['a chunk size before a space', chunked('5 \r\nhello\r\n')],
  ['a chunk size of 14 digits', chunked('00000000000005\r\nhello\r\n')],
  ['a chunk size that ends with LF', chunked('5\nhello\r\n')],
  ['a chunk size that ends with CR', chunked('5\rhello\r\n')],
  ['a chunk extension that ends with LF', chunked('5;a\nhello\r\n')],
  ['NUL in a chunk extension', chunked('5;\x00\r\nhello\r\n')],
  ['chunk extensions above 4 KiB', chunked(`1;${'a'.repeat(2048)}\r\nx\r\n1;${'a'.repeat(2049)}\r\nx\r\n`)],
  ['a chunk longer than its size', chunked('4\r\nhello\r\n0\r\n\r\n')],
  ['a chunk that ends with LF', chunked('5\r\nhello\n0\r\n\r\n')],
  ['a chunk that ends with CR', chunked('5\r\nhello\r0\r\n\r\n')],
  ['a last chunk that ends with LF', chunked('0\n\r\n')],
  ['a trailer with a space before the colon', chunked('0\r\na : b\r\n\r\n')],
  ['a folded trailer', chunked('0\r\na: b\r\n c\r\n\r\n')],
  ['a trailer that ends with LF', chunked('0\r\na: b\n\r\n')],
  ['a trailer section above the limit', chunked(`0\r\na: ${'b'.repeat(HEAD_LIMIT)}\r\n\r\n`)],
  ['Content-Length as a trailer', chunked('0\r\nContent-Length: 5\r\n\r\n')],
  ['Transfer-Encoding as a trailer', chunked('0\r\nTransfer-Encoding: chunked\r\n\r\n')],
];

describe('refuses, wherever the bytes are cut,', () => {
  test.each(BAD)('%s', (_name, text) => {
    const places = text.length > 600 ? [[text], bytes(text)] : cuts(text);
    for (const pieces of places) {
      const reading = read(pieces);
      expect(reading.invalid, pieces.join('|')).toBeTypeOf('string');
      expect(reading.end).toBeUndefined();
    }
  });
});

describe('bounds', () => {
  test('a head of exactly the limit is read, one byte more is not', () => {
    const padded = (length: number) => {
      const empty = ok('content-length: 0\r\na: ');
      return ok(`content-length: 0\r\na: ${'b'.repeat(length - empty.length)}`);
    };
    for (const cut of [(text: string) => [text], (text: string) => bytes(text)]) {
      expect(read(cut(padded(HEAD_LIMIT))).end).toBeDefined();
      expect(read(cut(padded(HEAD_LIMIT + 1))).invalid).toBeDefined();
    }
  });

  test('500 fields are read, 501 are not', () => {
    const limit = 16 * 1024;
    expect(read([ok(`${'a:\r\n'.repeat(499)}content-length: 0`)], { limit }).end).toBeDefined();
    expect(read([ok(`${'a:\r\n'.repeat(500)}content-length: 0`)], { limit }).invalid).toContain('500 fields');
  });

  test('16 informational responses are read', () => {
    const text = 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(16) + ok('content-length: 0');
    expect(read([text])).toMatchObject({ end: persistent });
    expect(read([text]).informational).toHaveLength(16);
  });

  test('the largest safe Content-Length and chunk size are read', () => {
    expect(read([ok('Content-Length: 9007199254740991', 'x')])).toMatchObject({
      head: { length: Number.MAX_SAFE_INTEGER },
      body: 'x',
    });
    expect(read([chunked('fffffffffffff\r\nx')])).toMatchObject({ body: 'x' });
  });

  test('many small chunks in one read are one piece of data', () => {
    const pieces: string[] = [];
    const sink: ResponseSink = {
      informationalRead: () => undefined,
      headRead: () => undefined,
      bodyRead: (bytes, start, end) => pieces.push(bytes.toString('latin1', start, end)),
      responseEnded: () => pieces.push('end'),
    };
    const parser = new ResponseParser(HEAD_LIMIT, sink);
    parser.begin(false);
    const bytes = Buffer.from(chunked('1\r\na\r\n2\r\nbc\r\n3;x\r\ndef\r\n0\r\n\r\n'), 'latin1');
    parser.read(bytes, bytes.length);
    expect(pieces).toEqual(['abcdef', 'end']);
  });
});

describe('the end', () => {
  test('nothing is delivered past the declared length', () => {
    expect(read([ok('Content-Length: 5', 'hello, world')])).toMatchObject({
      body: 'hello',
      end: { surplus: true },
    });
    expect(read([chunked('5\r\nhello\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n')])).toMatchObject({
      body: 'hello',
      end: { surplus: true },
    });
    expect(read([ok('Content-Length: 5', 'hello')], { toHead: true })).toMatchObject({
      body: '',
      end: { surplus: true },
    });
    expect(read(['HTTP/1.1 204 No Content\r\n\r\n', 'x']).body).toBe('');
  });

  test('a closed connection ends only a body that lasts until then', () => {
    for (const text of [ok('Content-Length: 5', 'hell'), chunked('5\r\nhello\r\n'), 'HTTP/1.1 200 OK\r\n']) {
      expect(read([text], { close: true }).end).toBeUndefined();
    }
  });

  test.each([
    ['1.1', '', true],
    ['1.1', 'Connection: close', false],
    ['1.1', 'Connection: Keep-Alive, CLOSE', false],
    ['1.1', 'Connection: keep-alive\r\nConnection: close', false],
    ['1.1', 'Connection: close\r\nConnection: keep-alive', false],
    ['1.1', 'Connection: x-close', true],
    ['1.0', '', false],
    ['1.0', 'Connection: Keep-Alive', true],
    ['1.0', 'Connection: keep-alive, close', false],
  ])('HTTP/%s with "%s" persists: %s', (version, field, expected) => {
    const text = `HTTP/${version} 200 OK\r\ncontent-length: 0\r\n${field === '' ? '' : `${field}\r\n`}\r\n`;
    expect(read([text]).end?.persistent).toBe(expected);
  });

  test.each(['Content-Length: 5', 'Transfer-Encoding: chunked'])(
    'a 204 with "%s" has no body and does not persist',
    (field) => {
      expect(read([`HTTP/1.1 204 No Content\r\n${field}\r\n\r\n`])).toMatchObject({
        head: { length: 'none' },
        end: closing,
      });
    },
  );
});
