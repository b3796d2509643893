import { expect, test } from 'vitest';
import { responseHeaders } from '../../../src/gateway/forward/response-headers.ts';

const pass = (headers: string[], added: string[] = [], keepLength = true, edgeCors = false): string[] =>
  responseHeaders(headers, added, keepLength, edgeCors);

test('end-to-end fields pass in order, as they are spelled, with duplicates', () => {
  const headers = [
    'SET-Cookie',
    'a=1',
    'set-cookie',
    'b=2',
    'X-Y',
    '',
    'Content-Encoding',
    'br',
    'Date',
    'now',
  ];
  expect(pass(headers)).toEqual(headers);
});

test.each([
  'Connection',
  'keep-alive',
  'Proxy-Connection',
  'PROXY-AUTHENTICATE',
  'Proxy-Authentication-Info',
  'TE',
  'Transfer-Encoding',
  'upgrade',
  'Trailer',
])('the hop-by-hop field %s goes', (name) => {
  expect(pass(['A', '1', name, 'x', 'B', '2'])).toEqual(['A', '1', 'B', '2']);
});

test('fields that Connection names go, over several Connection fields, in any case', () => {
  const headers = [
    'X-One',
    '1',
    'Connection',
    'close, x-ONE',
    'x-two',
    '2',
    'CONNECTION',
    ' X-Two ,',
    'Y',
    '3',
  ];
  expect(pass(headers)).toEqual(['Y', '3']);
});

test('Connection cannot name away the length, nor what the gateway adds', () => {
  const headers = ['Content-Length', '3', 'Vary', 'x', 'Connection', 'content-length, vary'];
  expect(pass(headers, ['Vary', 'Origin'])).toEqual(['Content-Length', '3', 'Vary', 'Origin']);
});

test('a length that the status forbids goes', () => {
  expect(pass(['content-LENGTH', '3', 'A', '1'], [], false)).toEqual(['A', '1']);
});

test('what a service says of CORS goes only where the edge answers it', () => {
  const headers = [
    'Access-Control-Allow-Origin',
    '*',
    'access-control-expose-headers',
    'x',
    'Vary',
    'Accept',
  ];
  expect(pass(headers)).toEqual(headers);
  expect(pass(headers, ['Access-Control-Allow-Origin', 'https://a'], true, true)).toEqual([
    'Vary',
    'Accept',
    'Access-Control-Allow-Origin',
    'https://a',
  ]);
});

test('names beyond those that are remembered are still told apart', () => {
  for (let i = 0; i < 3_000; i++) pass([`X-Many-${i}`, '1']);
  expect(pass(['tRANSFER-eNCODING', 'chunked', 'cONNECTION', 'x-a', 'X-A', '1', 'B', '2'])).toEqual([
    'B',
    '2',
  ]);
});
