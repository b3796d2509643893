import { describe, expect, test } from 'vitest';
import { hasField, responseHead } from '../../../src/gateway/http1/response-head.ts';

const NOW = Date.UTC(2026, 10, 26, 1, 2, 3);
const CLOSE = 'Connection: close\r\n';

test('a head in the order in which it was given, then Date and what the connection says', () => {
  expect(responseHead(200, 'OK', ['A', 'b', 'Content-Length', '0'], CLOSE, 1, NOW)).toBe(
    'HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 0\r\nDate: Thu, 26 Nov 2026 01:02:03 GMT\r\nConnection: close\r\n\r\n',
  );
  expect(responseHead(599, '', [], '', 0, NOW + 1000)).toBe(
    'HTTP/1.1 599 \r\nDate: Thu, 26 Nov 2026 01:02:04 GMT\r\n\r\n',
  );
});

test('a Date of the service stays the only one, in any case', () => {
  const head = responseHead(200, 'OK', ['daTe', 'yesterday'], CLOSE, 1, NOW);
  expect(head).toBe('HTTP/1.1 200 OK\r\ndaTe: yesterday\r\nConnection: close\r\n\r\n');
});

describe('no part can end its line', () => {
  test.each<[string, string, string[]]>([
    ['a reason with a line end', 'OK\r\nSet-Cookie: a=b', []],
    ['a reason with a bare LF', 'O\nK', []],
    ['a value with a line end', 'OK', ['A', 'b\r\nSet-Cookie: a=b']],
    ['a value with a bare CR', 'OK', ['A', 'b\rc']],
    ['a value with NUL', 'OK', ['A', 'b\0c']],
    ['a name with a line end', 'OK', ['A: b\r\nC', 'd']],
    ['an end of the head', 'OK', ['A', 'b\r\n\r\nbody']],
    ['what latin1 would make a line end of', 'OK', ['A', 'b\u010d\u010aC: d']],
    ['a line too few for one too many', 'OK', ['A', 'b\r\nC: d', 'E', '']],
  ])('%s', (_name, reason, headers) => {
    expect(() => responseHead(200, reason, headers, CLOSE, 1, NOW)).toThrow(TypeError);
  });

  test('text beyond ASCII passes as latin1', () => {
    expect(responseHead(200, 'Gr\xfc\xdfe', ['A', '\tb\xff'], CLOSE, 1, NOW)).toContain(
      '200 Gr\xfc\xdfe\r\nA: \tb\xff\r\n',
    );
  });
});

test('a field is found by its whole name only', () => {
  expect(hasField(['A', 'date', 'DATE', ''], 'date')).toBe(true);
  expect(hasField(['Dates', 'x', 'A', 'date', 'X-Date', 'x'], 'date')).toBe(false);
});
