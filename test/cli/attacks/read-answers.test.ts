import { expect, test } from 'vitest';
import { headerOf, objectOf, readAnswers } from '../../../src/cli/attacks/read-answers.ts';

const statuses = (text: string, closed = true) =>
  readAnswers(text, closed).answers.map(({ status }) => status);

test('takes apart answers of every framing', () => {
  const { answers, noise } = readAnswers(
    'HTTP/1.1 100 Continue\r\n\r\n' +
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello' +
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n2\r\n!!\r\n0\r\nX: y\r\n\r\n' +
      'HTTP/1.1 204 No Content\r\n\r\n' +
      'HTTP/1.0 400 Bad Request\r\nX-A:  b \r\n\r\n{"code":"c"}',
    true,
  );
  expect(noise).toBe(false);
  expect(answers.map(({ status, body }) => [status, body])).toEqual([
    [200, 'hello'],
    [200, 'hello!!'],
    [204, ''],
    [400, '{"code":"c"}'],
  ]);
  expect(headerOf(answers[3]!, 'x-a')).toBe('b');
  expect(objectOf(answers[3]!)).toEqual({ code: 'c' });
  expect(objectOf(answers[0]!)).toBeNull();
});

test('an answer counts as begun until its body has ended', () => {
  const text = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell';
  expect(readAnswers(text, false)).toMatchObject({ answers: [], begun: { status: 200 }, noise: false });
  expect(statuses('HTTP/1.1 200 OK\r\n\r\nhello', false)).toEqual([]);
  expect(statuses('HTTP/1.1 200 OK\r\n\r\nhello')).toEqual([200]);
  expect(statuses('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel', false)).toEqual([]);
});

test('what is no HTTP response is told, once that is certain', () => {
  expect(readAnswers('HTTP/1', false).noise).toBe(false);
  expect(readAnswers('HTTP/1.1 200 OK\r\nX', false).noise).toBe(false);
  expect(readAnswers('HTTP/1.1 200 OK\r\nX', true).noise).toBe(true);
  expect(readAnswers('<html>', false).noise).toBe(true);
  expect(readAnswers('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx<html>', false)).toMatchObject({
    answers: [{ status: 200 }],
    noise: true,
  });
});
