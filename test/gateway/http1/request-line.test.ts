import { describe, expect, test } from 'vitest';
import { Refusal } from '../../../src/errors.ts';
import { INCOMPLETE } from '../../../src/gateway/message/field-section.ts';
import { InvalidMessage, OversizedSection } from '../../../src/gateway/message/invalid-message.ts';
import { SectionReader } from '../../../src/gateway/message/section-reader.ts';
import { RequestLine } from '../../../src/gateway/http1/request-line.ts';

const LIMIT = 1024;

/** Reads one head that comes in these pieces, and what is left of the last one. */
function readHead(...pieces: string[]) {
  const line = new RequestLine();
  const section = new SectionReader(LIMIT, line);
  for (const piece of pieces) {
    const bytes = Buffer.from(piece, 'latin1');
    const behind = section.readHead(bytes, 0, bytes.length);
    if (behind === INCOMPLETE) continue;
    const { method, target, http10 } = line;
    return { method, target, http10, fields: section.fields, rest: piece.slice(behind) };
  }
  return 'incomplete';
}

function codeOf(text: string): string {
  try {
    return JSON.stringify(readHead(text));
  } catch (error) {
    if (error instanceof Refusal) return error.code;
    if (error instanceof OversizedSection) return 'headers_too_large';
    if (error instanceof InvalidMessage) return 'malformed_request';
    throw error;
  }
}

const GET = 'GET /a HTTP/1.1\r\n';

test.each([
  [`${GET}\r\n`, { method: 'GET', target: '/a', http10: false, fields: [], rest: '' }],
  ['POST /a?b#c HTTP/1.0\r\n\r\nx', { method: 'POST', target: '/a?b#c', http10: true, rest: 'x' }],
  ['OPTIONS * HTTP/1.1\r\n\r\n', { method: 'OPTIONS', target: '*' }],
  ['M-SEARCH http://a/b HTTP/1.1\r\n\r\n', { method: 'M-SEARCH', target: 'http://a/b' }],
  [`${GET}Host: a\r\nX-A:\t b \r\n\r\n`, { fields: ['Host', 'a', 'X-A', 'b'] }],
  [`${GET}X-A:\r\nx-a: \xff\r\n\r\n`, { fields: ['X-A', '', 'x-a', '\xff'] }],
  [`\r\n${GET}\r\n${GET}`, { method: 'GET', target: '/a', rest: GET }],
])('%j is read', (text, expected) => {
  expect(readHead(text)).toMatchObject(expected);
});

describe('what is no request line is refused', () => {
  test.each([
    `\r\n\r\n${GET}\r\n`,
    `\n${GET}\r\n`,
    `\r${GET}\r\n`,
    ` ${GET}\r\n`,
    'get /a HTTP/1.1\r\n\r\n',
    'GETT /a HTTP/1.1\r\n\r\n',
    'G\0T /a HTTP/1.1\r\n\r\n',
    'GET\t/a HTTP/1.1\r\n\r\n',
    'GET  /a HTTP/1.1\r\n\r\n',
    'GET /a  HTTP/1.1\r\n\r\n',
    'GET /a\tHTTP/1.1\r\n\r\n',
    'GET /a\0 HTTP/1.1\r\n\r\n',
    'GET /a b HTTP/1.1\r\n\r\n',
    'GET /a\r\n\r\n',
    'GET /a\n\n',
    'GET  HTTP/1.1\r\n\r\n',
    'GET /a HTTP/1.1\n\r\n',
    'GET /a HTTP/1.1\r\r\n\r\n',
    'GET /a HTTP/1.1 \r\n\r\n',
    'GET /a HTTP/1.10\r\n\r\n',
    'GET /a HTTP/1.2\r\n\r\n',
    'GET /a HTTP/1.\r\n\r\n',
    'GET /a HTTP/0.9\r\n\r\n',
    'GET /a HTTP/2.0\r\n\r\n',
    'GET /a http/1.1\r\n\r\n',
    'GET /a HTTPS/1.1\r\n\r\n',
    `${'A'.repeat(32)} /a HTTP/1.1\r\n\r\n`,
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
  ])('%j: malformed_request', (text) => {
    expect(codeOf(text)).toBe('malformed_request');
  });

  test.each([
    'CONNECT a:80 HTTP/1.1\r\n\r\n',
    'GET a HTTP/1.1\r\n\r\n',
    'GET a:80 HTTP/1.1\r\n\r\n',
    'GET /\xe9 HTTP/1.1\r\n\r\n',
    'GET /\x7f HTTP/1.1\r\n\r\n',
    'GET ?a HTTP/1.1\r\n\r\n',
    'GET urn:a HTTP/1.1\r\n\r\n',
  ])('%j: ambiguous_path', (text) => {
    expect(codeOf(text)).toBe('ambiguous_path');
  });

  test('as soon as it cannot become one, with the end still to come', () => {
    for (const text of ['g', ' ', '\n', '\0', 'GET /a\r', 'GET /a HTTQ', 'GET /a HTTP/2', 'A'.repeat(33)]) {
      expect(codeOf(text)).toBe('malformed_request');
    }
  });
});

describe('a head that is not complete', () => {
  const HEAD = `\r\nPOST /a?b HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\n\r\n`;

  test('waits at every byte', () => {
    for (let at = 0; at < HEAD.length; at++) expect(readHead(HEAD.slice(0, at))).toBe('incomplete');
  });

  test('is the same byte by byte, and wherever it is split', () => {
    const whole = { ...(readHead(`${HEAD}hello`) as object), rest: '' };
    expect(readHead(...Array.from(HEAD))).toEqual(whole);
    for (let at = 1; at < HEAD.length; at++) {
      expect(readHead(HEAD.slice(0, at), HEAD.slice(at))).toEqual(whole);
    }
  });

  test('leaves what stands behind it', () => {
    expect(readHead(HEAD.slice(0, 30), `${HEAD.slice(30)}hello`)).toMatchObject({ rest: 'hello' });
  });
});

describe('limits', () => {
  /** A head of so many bytes. */
  const head = (length: number): string =>
    `${GET}X: ${'x'.repeat(length - GET.length - 'X: \r\n\r\n'.length)}\r\n\r\n`;

  test('to the byte, in one piece, byte by byte and in two', () => {
    for (const split of [(text: string) => [text], (text: string) => Array.from(text)]) {
      expect(readHead(...split(head(LIMIT)))).toMatchObject({ method: 'GET' });
      expect(() => readHead(...split(head(LIMIT + 1)))).toThrow(OversizedSection);
      expect(readHead(...split(head(LIMIT).slice(0, -1)))).toBe('incomplete');
      expect(() => readHead(...split(head(LIMIT + 1).slice(0, LIMIT)))).toThrow(OversizedSection);
    }
    for (const at of [1, 20, LIMIT - 1]) {
      expect(readHead(head(LIMIT).slice(0, at), head(LIMIT).slice(at))).toMatchObject({ method: 'GET' });
      expect(() => readHead(head(LIMIT + 1).slice(0, at), head(LIMIT + 1).slice(at))).toThrow(
        OversizedSection,
      );
    }
  });

  test('bytes behind the head do not count', () => {
    expect(readHead(`${head(LIMIT)}${'x'.repeat(LIMIT)}`)).toMatchObject({ method: 'GET' });
    expect(readHead(head(LIMIT).slice(0, 20), `${head(LIMIT).slice(20)}${'x'.repeat(LIMIT)}`)).toMatchObject({
      rest: 'x'.repeat(LIMIT),
    });
  });

  test('500 fields are read, and 501 are too many', () => {
    const section = new SectionReader(32 * 1024, new RequestLine());
    const read = (count: number): number => {
      const bytes = Buffer.from(`${GET}${'X:y\r\n'.repeat(count)}\r\n`);
      return section.readHead(bytes, 0, bytes.length);
    };
    expect(read(500)).toBeGreaterThan(0);
    expect(section.fields).toHaveLength(1000);
    expect(() => read(501)).toThrow(OversizedSection);
  });
});
