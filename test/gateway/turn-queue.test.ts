import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { TurnQueue } from '../../src/gateway/turn-queue.ts';

/** Keeps the thread busy. */
function work(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

describe('short work on the event loop', () => {
  it('is done at once while the turn has time left, then in the next turns, in order', async () => {
    const queue = new TurnQueue(2, 10);
    const done: string[] = [];
    const run = (name: string, ms: number) =>
      queue.run(() => {
        work(ms);
        done.push(name);
        return name;
      });
    expect(run('a', 0)).toBe('a');
    expect(run('b', 3)).toBe('b');
    const later = Promise.all([run('c', 3), run('d', 0), run('e', 0)].map(async (result) => result));
    expect(done).toEqual(['a', 'b']);
    await nextTurn();
    expect(done).toEqual(['a', 'b', 'c']);
    expect(await later).toEqual(['c', 'd', 'e']);
    expect(done).toEqual(['a', 'b', 'c', 'd', 'e']);
    await nextTurn();
    expect(run('f', 0)).toBe('f');
  });

  it('never overtakes what waits', async () => {
    const queue = new TurnQueue(1, 10);
    void queue.run(() => work(2));
    const first = queue.run(() => work(2));
    const order: number[] = [];
    const second = queue.run(() => order.push(2));
    await first;
    await Promise.all([second, queue.run(() => order.push(3))]);
    expect(order).toEqual([2, 3]);
  });

  it('ends as the work ends', async () => {
    const queue = new TurnQueue(1, 10);
    const fail = (): never => {
      work(2);
      throw new RangeError('no');
    };
    expect(() => queue.run(fail)).toThrow(RangeError);
    await expect(queue.run(fail)).rejects.toThrow(RangeError);
    expect(await queue.run(() => 1)).toBe(1);
  });

  it('is refused when too much waits', async () => {
    const queue = new TurnQueue(1, 2);
    void queue.run(() => work(2));
    const kept = [queue.run(() => 1), queue.run(() => 2)].map(async (result) => result);
    let ran = false;
    await expect(queue.run(() => (ran = true))).rejects.toMatchObject({ code: 'overloaded' });
    expect(await Promise.all(kept)).toEqual([1, 2]);
    expect(ran).toBe(false);
  });
});
