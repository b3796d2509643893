import { describe, expect, test } from 'vitest';

import { headerValues, parseResponses, untilResponses } from './parse-responses.ts';

const HELLO = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello';
const CHUNKED =
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\n\r\n\r\n0\r\nDigest: z\r\n\r\n';

describe('parseResponses', () => {
  test('splits pipelined responses of every framing', () => {
    const continued = 'HTTP/1.1 100 Continue\r\n\r\n';
    const empty = 'HTTP/1.1 204 No Content\r\n\r\n';

    expect(
      parseResponses(continued + HELLO + CHUNKED + empty + HELLO).map(({ status, body, framing }) => ({
        status,
        body,
        framing,
      })),
    ).toEqual([
      { status: 100, body: '', framing: 'none' },
      { status: 200, body: 'hello', framing: 'length' },
      { status: 200, body: 'abc\r\n', framing: 'chunked' },
      { status: 204, body: '', framing: 'none' },
      { status: 200, body: 'hello', framing: 'length' },
    ]);
  });

  test('gives headers and trailers as they came', () => {
    const [response] = parseResponses(CHUNKED);

    expect(response?.headers).toEqual([['Transfer-Encoding', 'chunked']]);
    expect(response?.trailers).toEqual([['Digest', 'z']]);
    expect(headerValues(response!, 'TRANSFER-encoding')).toEqual(['chunked']);
  });

  test('expects no body after HEAD, and counts interim responses to no method', () => {
    const head = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n';

    const early = 'HTTP/1.1 103 Early Hints\r\n\r\n';
    expect(parseResponses(early + head + HELLO, ['HEAD', 'GET']).map(({ body }) => body)).toEqual([
      '',
      '',
      'hello',
    ]);
  });

  test('takes all that follows for a body without framing', () => {
    const [response, ...more] = parseResponses(`HTTP/1.1 200 OK\r\n\r\n${HELLO}`);

    expect(response).toMatchObject({ body: HELLO, framing: 'close' });
    expect(more).toEqual([]);
  });

  test.each([
    ['bytes behind the last response', `${HELLO}x`],
    ['a cut body', HELLO.slice(0, -1)],
    ['a cut chunk', CHUNKED.slice(0, -4)],
    ['another version', HELLO.replace('1.1', '1.0')],
    ['both framings', HELLO.replace('\r\n\r\n', '\r\nTransfer-Encoding: chunked\r\n\r\n')],
    ['two lengths', HELLO.replace('\r\n\r\n', '\r\nContent-Length: 5\r\n\r\n')],
    ['a signed length', HELLO.replace(': 5', ': +5')],
    ['a chunk longer than its size', CHUNKED.replace('3\r\n', '2\r\n')],
    ['a bare line feed in the head', HELLO.replace('OK\r\n', 'OK\n')],
    ['a folded header', HELLO.replace('\r\n\r\n', '\r\n folded\r\n\r\n')],
  ])('throws on %s', (_, text) => {
    expect(() => parseResponses(text)).toThrow();
  });

  test('untilResponses holds when that many are whole', () => {
    const both = untilResponses(2);

    expect(both(HELLO + CHUNKED)).toBe(true);
    expect(both(HELLO + CHUNKED.slice(0, -1))).toBe(false);
    expect(both('HTTP/1.1 200 OK\r\n\r\n' + HELLO)).toBe(false);
  });
});
