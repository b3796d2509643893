import { describe, expect, test } from 'vitest';

import { checkBytes, checkEcho, checkRefusal } from '../../bench/soak/checks.ts';
import { judgeFlatness } from '../../bench/soak/flatness.ts';
import { Losses } from '../../bench/soak/losses.ts';
import { Timeline } from '../../bench/soak/timeline.ts';
import { pattern } from '../../bench/soak/upstream.ts';

const MIB = 2 ** 20;

describe('Losses', () => {
  const KILL = 10_000;
  const losses = new Losses();
  losses.killing(new Set([40_001]), KILL);
  const onWorker = { localPort: 40_001, connectedAt: 0, startedAt: KILL - 5, brokeAt: KILL + 5 };

  test('excuse what was under way on the killed worker', () => {
    expect(losses.excuses(onWorker)).toBe(true);
  });

  test.each([
    ['on another worker', { localPort: 40_002 }],
    ['that never had a connection', { localPort: null }],
    ['that broke before the kill', { brokeAt: KILL - 1 }],
    ['that broke long after it', { brokeAt: KILL + 6_000 }],
    ['that began long after it', { startedAt: KILL + 1_500, brokeAt: KILL + 1_501 }],
  ])('do not excuse a request %s', (_, changes) => {
    expect(losses.excuses({ ...onWorker, ...changes })).toBe(false);
  });

  test('excuse a connection so new that its worker was not known', () => {
    expect(losses.excuses({ ...onWorker, localPort: 40_003, connectedAt: KILL - 100 })).toBe(true);
  });
});

describe('Timeline', () => {
  test('while a change spreads, the old and the new are right', () => {
    const line = new Timeline('old');
    line.begin('new');
    expect(line.right).toEqual(['old', 'new']);
    line.settle();
    expect(line.right).toEqual(['new']);
  });

  test('an exchange may see what was right at its beginning or at its end', () => {
    const line = new Timeline('old');
    const watched = line.watch();
    line.begin('new');
    line.settle();
    expect(new Set(watched())).toEqual(new Set(['old', 'new']));
  });
});

describe('judgeFlatness', () => {
  const samples = (bytes: (i: number) => number) =>
    Array.from({ length: 60 }, (_, i) => ({ at: i * 5, bytes: bytes(i) }));

  test('a heap that goes up and down is flat', () => {
    const { flat, highest } = judgeFlatness(
      samples((i) => (100 + (i % 7) * 5) * MIB),
      100,
    );
    expect(flat).toBe(true);
    expect(highest).toBe(130 * MIB);
  });

  test('growth during the warm-up and one peak do not count', () => {
    const { flat, growth } = judgeFlatness(
      samples((i) => (i < 20 ? i * 5 : i === 40 ? 900 : 100) * MIB),
      100,
    );
    expect(flat).toBe(true);
    expect(growth).toBe(0);
  });

  test('a slow leak is told with its size', () => {
    const { flat, growth } = judgeFlatness(
      samples((i) => (100 + i) * MIB),
      100,
    );
    expect(flat).toBe(false);
    expect(growth).toBeCloseTo(39 * MIB, -3);
  });

  test('a few samples tell nothing', () => {
    expect(judgeFlatness(samples((i) => i * MIB).slice(0, 10), 0).flat).toBe(null);
  });
});

describe('checks', () => {
  const alice = { token: 't', user: 'alice-id', username: 'alice', editor: false, expiresAt: 0 };
  const echo = {
    instance: 'one',
    method: 'GET',
    url: '/echo?n=1',
    user: 'alice-id',
    username: 'alice',
    sawToken: false,
  };
  const answer = (body: object, status = 200, headers = {}) => ({
    ...{ status, headers },
    body: Buffer.from(JSON.stringify(body)),
  });

  test('an answer for the right user passes', () => {
    expect(checkEcho(answer(echo), alice, '/echo?n=1')).toBe('one');
  });

  test.each([
    ['is for another user', { user: 'mallory-id' }],
    ['is for another name', { username: 'mallory' }],
    ['is for another request', { url: '/echo?n=2' }],
    ['shows that the service saw the token', { sawToken: true }],
  ])('an answer that %s is wrong', (_, changes) => {
    expect(() => checkEcho(answer({ ...echo, ...changes }), alice, '/echo?n=1')).toThrow();
  });

  const headers = {
    'content-type': 'application/problem+json',
    'www-authenticate': 'Bearer realm="bench"',
  };

  test('a refusal in the form of the contract passes', () => {
    checkRefusal(answer({ code: 'token_missing' }, 401, headers), 401, 'token_missing');
  });

  test.each([
    ['another status', answer({ code: 'token_missing' }, 403, headers)],
    ['another code', answer({ code: 'token_invalid' }, 401, headers)],
    ['no challenge', answer({ code: 'token_missing' }, 401, { ...headers, 'www-authenticate': undefined })],
    ['another type', answer({ code: 'token_missing' }, 401, { ...headers, 'content-type': 'text/html' })],
    [
      'a challenge that names an error',
      answer({ code: 'token_missing' }, 401, { ...headers, 'www-authenticate': 'Bearer error="x"' }),
    ],
  ])('a refusal with %s is wrong', (_, refusal) => {
    expect(() => checkRefusal(refusal, 401, 'token_missing')).toThrow();
  });

  test('a byte too few, too many or changed is told with its place', () => {
    const bytes = pattern(0, 1000, 7);
    checkBytes(pattern(0, 1000, 7), bytes, 'it');
    expect(() => checkBytes(bytes.subarray(0, 999), bytes, 'it')).toThrow('999 bytes instead of 1000');
    expect(() => checkBytes(Buffer.concat([bytes, bytes]), bytes, 'it')).toThrow('from byte 1000 on');
    expect(() => checkBytes(pattern(0, 1000, 8), bytes, 'it')).toThrow('from byte 0 on');
  });

  test('a piece of a stream from the wrong place shows', () => {
    expect(pattern(65_536, 100, 7).equals(pattern(0, 100, 7))).toBe(false);
    expect(pattern(100, 50, 7)).toEqual(pattern(0, 200, 7).subarray(100, 150));
  });
});
