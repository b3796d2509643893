import { expect, test } from 'vitest';
import type { RateBucket } from '../../src/contracts/control-channel.ts';
import { ConcurrencyLedger, RateLedger } from '../../src/control/limits.ts';

function ledgerAt(start: number) {
  const clock = { now: start };
  return { clock, ledger: new RateLedger(() => clock.now) };
}

function bucket(key: string, count: number, window: number): RateBucket {
  return { key, count, window };
}

/** How many events in a row are taken. */
function takeAll(ledger: RateLedger, one: RateBucket): number {
  let taken = 0;
  while (ledger.take([one]).ok) taken++;
  return taken;
}

test.each([
  [1, 1000],
  [3, 1000],
  [7, 60_000],
  [10, 60_000],
  [49, 1000],
  [1000, 1000],
])('%i events in %i ms are taken at once, at any time of any clock, and not one more', (count, window) => {
  for (const start of [0, 0.1, 12_345.678, 1_700_000_000_123, 1_700_000_000_000.3]) {
    const { ledger } = ledgerAt(start);
    expect(takeAll(ledger, bucket('a', count, window))).toBe(count);
  }
});

test('a rate of more than an event in a microsecond is limited too', () => {
  const { ledger } = ledgerAt(5);
  expect(takeAll(ledger, bucket('a', 500_000, 100))).toBe(500_000);
});

test('an empty bucket gets one event back for each part of the window, and never more than it holds', () => {
  const { clock, ledger } = ledgerAt(1000);
  const one = bucket('a', 4, 1000);
  expect(takeAll(ledger, one)).toBe(4);
  clock.now += 249;
  expect(takeAll(ledger, one)).toBe(0);
  clock.now += 1;
  expect(takeAll(ledger, one)).toBe(1);
  clock.now += 500;
  expect(takeAll(ledger, one)).toBe(2);
  clock.now += 1_000_000;
  expect(takeAll(ledger, one)).toBe(4);
});

test('a refusal says when to come back: a moment earlier is too early, and then it is not', () => {
  const { clock, ledger } = ledgerAt(77.7);
  const one = bucket('a', 3, 1000);
  takeAll(ledger, one);
  clock.now += 100;
  const verdict = ledger.take([one]);
  expect(verdict).toMatchObject({ ok: false });
  const { retryAfter } = verdict as { retryAfter: number };
  expect(retryAfter).toBeCloseTo(1000 / 3 - 100, 6);
  clock.now += retryAfter - 1;
  expect(ledger.take([one]).ok).toBe(false);
  clock.now += 1;
  expect(ledger.take([one]).ok).toBe(true);
});

test('over a long time no more events pass than the rate allows, however they come', () => {
  const { clock, ledger } = ledgerAt(0);
  const one = bucket('a', 10, 1000);
  let taken = 0;
  for (let i = 0; i < 10_000; i++) {
    if (ledger.take([one]).ok) taken++;
    clock.now += (i * 7919) % 23;
  }
  const allowed = 10 + (clock.now / 1000) * 10;
  expect(taken).toBeLessThanOrEqual(allowed * 1.001);
  expect(taken).toBeGreaterThan(allowed * 0.97);
});

test('an event counts in every bucket or, when one of them is empty, in none', () => {
  const { ledger } = ledgerAt(0);
  const [user, address] = [bucket('user', 2, 1000), bucket('address', 5, 60_000)];
  expect(takeAll(ledger, user)).toBe(2);
  for (let i = 0; i < 50; i++) expect(ledger.take([address, user]).ok).toBe(false);
  expect(takeAll(ledger, address)).toBe(5);
});

test('of several empty buckets the slowest says when to come back', () => {
  const { ledger } = ledgerAt(0);
  const [fast, slow] = [bucket('fast', 1, 1000), bucket('slow', 1, 60_000)];
  ledger.take([fast, slow]);
  expect(ledger.take([fast, slow])).toEqual({ ok: false, retryAfter: 60_000 });
  expect(ledger.take([slow, fast])).toEqual({ ok: false, retryAfter: 60_000 });
});

test('a bucket that still has events does not lengthen the wait for another', () => {
  const { ledger } = ledgerAt(0);
  const [fast, slow] = [bucket('fast', 1, 1000), bucket('slow', 2, 60_000)];
  ledger.take([fast, slow]);
  expect(ledger.take([fast, slow])).toEqual({ ok: false, retryAfter: 1000 });
});

test('a clock that is set back locks nobody out for longer than an empty bucket does', () => {
  const { clock, ledger } = ledgerAt(10_000_000);
  const one = bucket('a', 2, 1000);
  takeAll(ledger, one);
  clock.now -= 3_600_000;
  expect(ledger.take([one])).toEqual({ ok: false, retryAfter: 500 });
  clock.now += 500;
  expect(takeAll(ledger, one)).toBe(1);
});

test('a limit that was made smaller holds from its next event', () => {
  const { clock, ledger } = ledgerAt(0);
  takeAll(ledger, bucket('a', 1, 3_600_000));
  expect(ledger.take([bucket('a', 1, 1000)])).toEqual({ ok: false, retryAfter: 1000 });
  clock.now += 1000;
  expect(ledger.take([bucket('a', 1, 1000)]).ok).toBe(true);
});

test('beyond 200,000 keys the longest unused is forgotten, and one under attack is not', () => {
  const { ledger } = ledgerAt(0);
  const [victim, idle] = [bucket('victim', 1, 60_000), bucket('idle', 1, 60_000)];
  ledger.take([victim]);
  ledger.take([idle]);
  for (let i = 0; i < 200_000; i++) {
    ledger.take([bucket(`stranger-${i}`, 5, 60_000)]);
    if (i % 1000 === 0) expect(ledger.take([victim]).ok).toBe(false);
  }
  expect(ledger.take([idle]).ok).toBe(true);
  expect(ledger.take([victim]).ok).toBe(false);
});

test('places under one key are one number across workers', () => {
  const places = new ConcurrencyLedger();
  expect(places.enter(1, 'a', 2)).toBe(true);
  expect(places.enter(2, 'a', 2)).toBe(true);
  expect(places.enter(1, 'a', 2)).toBe(false);
  expect(places.enter(3, 'a', 2)).toBe(false);
  expect(places.enter(3, 'b', 2)).toBe(true);
  places.leave(2, 'a');
  expect(places.enter(3, 'a', 2)).toBe(true);
});

test('a worker gives back its own places only, and none twice', () => {
  const places = new ConcurrencyLedger();
  places.enter(1, 'a', 1);
  places.leave(2, 'a');
  expect(places.enter(2, 'a', 1)).toBe(false);
  places.leave(1, 'a');
  places.leave(1, 'a');
  expect(places.enter(2, 'a', 1)).toBe(true);
  expect(places.enter(2, 'a', 1)).toBe(false);
});

test('the places of a worker that died are free again, and those of the others are not', () => {
  const places = new ConcurrencyLedger();
  for (const key of ['a', 'a', 'b']) places.enter(1, key, 3);
  places.enter(2, 'a', 3);
  places.leaveAll(1);
  places.leave(1, 'a');
  expect(places.enter(3, 'a', 3)).toBe(true);
  expect(places.enter(3, 'a', 3)).toBe(true);
  expect(places.enter(3, 'a', 3)).toBe(false);
  expect(places.enter(3, 'b', 1)).toBe(true);
  places.leaveAll(9);
});

test('a lower limit takes effect at once, and the places above it run out by themselves', () => {
  const places = new ConcurrencyLedger();
  for (let i = 0; i < 3; i++) places.enter(1, 'a', 3);
  expect(places.enter(1, 'a', 2)).toBe(false);
  places.leave(1, 'a');
  expect(places.enter(1, 'a', 2)).toBe(false);
  places.leave(1, 'a');
  expect(places.enter(1, 'a', 2)).toBe(true);
});
