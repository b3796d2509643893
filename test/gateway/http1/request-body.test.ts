import { describe, expect, test } from 'vitest';
import { InvalidMessage, OversizedSection } from '../../../src/gateway/message/invalid-message.ts';
import { SectionReader } from '../../../src/gateway/message/section-reader.ts';
import { RequestBody } from '../../../src/gateway/http1/request-body.ts';
import { RequestLine } from '../../../src/gateway/http1/request-line.ts';

const LIMIT = 64;

/** Reads one body that comes in these pieces. */
function read(framing: 'chunked' | number, ...pieces: string[]) {
  const body = new RequestBody(new SectionReader(LIMIT, new RequestLine()));
  body.begin(framing);
  let text = '';
  for (const piece of pieces) {
    const bytes = Buffer.from(piece, 'latin1');
    let at = 0;
    while (at < bytes.length && !body.ended) {
      at = body.read(bytes, at, bytes.length);
      text += bytes.toString('latin1', body.dataStart, body.dataEnd);
    }
    if (body.ended) return { text, trailers: body.trailers, rest: piece.slice(at) };
  }
  return { text, ended: body.ended };
}

test.each<['chunked' | number, string, string, string[], string]>([
  [0, 'x', '', [], 'x'],
  [5, 'hello', 'hello', [], ''],
  [5, 'hello, GET', 'hello', [], ', GET'],
  ['chunked', '0\r\n\r\n', '', [], ''],
  ['chunked', '5\r\nhello\r\n0\r\n\r\nGET', 'hello', [], 'GET'],
  ['chunked', '005;a=b;c="d"\r\nhello\r\nA\r\n0123456789\r\n000\r\n\r\n', 'hello0123456789', [], ''],
  [
    'chunked',
    '1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0;x\r\nX-A: b\r\nx-c:\r\n\r\n0',
    'abc',
    ['X-A', 'b', 'x-c', ''],
    '0',
  ],
  ['chunked', '7\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n', '0\r\n\r\n\r\n', [], ''],
])('%s, %j', (framing, bytes, text, trailers, rest) => {
  if (framing !== 0) expect(read(framing, ...Array.from(bytes))).toMatchObject({ text, trailers });
  expect(read(framing, bytes)).toEqual({ text, trailers, rest });
  for (let at = 1; at < bytes.length - rest.length; at++) {
    expect(read(framing, bytes.slice(0, at), bytes.slice(at))).toEqual({ text, trailers, rest });
  }
});

test('a body that is not complete is not ended at any byte', () => {
  const chunked = '5;a=b\r\nhello\r\n0\r\nX-A: b\r\n\r\n';
  for (let at = 0; at < chunked.length; at++) {
    expect(read('chunked', chunked.slice(0, at))).toMatchObject({ ended: false });
  }
  for (let at = 0; at < 5; at++) expect(read(5, 'hello'.slice(0, at))).toMatchObject({ ended: false });
});

test('of a known length it is known what is missing', () => {
  const body = new RequestBody(new SectionReader(LIMIT, new RequestLine()));
  body.begin(5);
  expect([body.lacks(4), body.lacks(5)]).toEqual([true, false]);
  body.read(Buffer.from('hel'), 0, 3);
  expect([body.lacks(1), body.lacks(2)]).toEqual([true, false]);
  body.begin('chunked');
  expect(body.lacks(0)).toBe(false);
});

test('the pieces of a body stay as they are while the next ones are read from the same bytes', () => {
  const body = new RequestBody(new SectionReader(LIMIT, new RequestLine()));
  body.begin('chunked');
  const bytes = Buffer.from('2\r\nab\r\n2\r\ncd\r\n2\r\nef\r\n0\r\n\r\n');
  const pieces: Buffer[] = [];
  let at = 0;
  for (const end of [5, 15, bytes.length]) {
    while (at < end && !body.ended) {
      at = body.read(bytes, at, end);
      pieces.push(bytes.subarray(body.dataStart, body.dataEnd));
    }
  }
  expect(Buffer.concat(pieces).toString()).toBe('abcdef');
});

test('the next body begins anew', () => {
  const body = new RequestBody(new SectionReader(LIMIT, new RequestLine()));
  for (const [bytes, trailers] of [
    ['0\r\nA: b\r\n\r\n', ['A', 'b']],
    ['0\r\n\r\n', []],
  ] as const) {
    body.begin('chunked');
    expect(body.trailers).toEqual([]);
    let at = 0;
    while (!body.ended) at = body.read(Buffer.from(bytes), at, bytes.length);
    expect(body.trailers).toEqual(trailers);
  }
  body.begin(0);
  expect(body).toMatchObject({ ended: true, trailers: [] });
});

describe('what is malformed', () => {
  test.each([
    'g\r\n', '\r\n', '-1\r\n', '+1\r\n', ' 1\r\n', '1 \r\n', '0x1\r\n', '1\n', '1\ra', '1;\n', '1;\0', '1;a\rb',
    '1\r\nab\r\n', '1\r\na\n', '1\r\na\rb', '00000000000000\r\n', '0\n', '0\r\n\n', '0\r\n\ra\n', '0\r\nA : b\r\n\r\n',
    '0\r\n A: b\r\n\r\n', '0\r\nA: b\r\n c\r\n\r\n', '0\r\nA: \0\r\n\r\n', '0\r\nContent-Length: 1\r\n\r\n',
    '0\r\ntransfer-encoding: x\r\n\r\n', `1;${'a'.repeat(5_000)}`,
  ])('%j', (bytes) => {
    expect(() => read('chunked', bytes)).toThrow(InvalidMessage);
    expect(() => read('chunked', ...Array.from(bytes))).toThrow(InvalidMessage);
  }); // prettier-ignore

  test('trailers to the byte of the limit', () => {
    const trailers = (length: number): string => `A: ${'x'.repeat(length - 'A: \r\n\r\n'.length)}\r\n\r\n`;
    for (const split of [(text: string) => [text], (text: string) => Array.from(text)]) {
      expect(read('chunked', ...split(`0\r\n${trailers(LIMIT)}`))).toMatchObject({ rest: '' });
      expect(() => read('chunked', ...split(`0\r\n${trailers(LIMIT + 1)}`))).toThrow(OversizedSection);
    }
  });
});
