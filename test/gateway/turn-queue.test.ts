import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { TurnQueue } from '../../src/gateway/turn-queue.ts';

let clock = 0;

/** Takes its time by a clock that nothing else moves. */
function work(ms: number): void {
  clock += ms;
}

function queueOf(share: number, backlog: number): TurnQueue {
  return new TurnQueue(share, backlog, () => clock);
}

describe('short work on the event loop', () => {
  it('is done at once while the turn has time left, then in the next turns, in order', async () => {
    const queue = queueOf(2, 10);
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
    const queue = queueOf(1, 10);
    void queue.run(() => work(2));
    const first = queue.run(() => work(2));
    const order: number[] = [];
    const second = queue.run(() => order.push(2));
    await first;
    await Promise.all([second, queue.run(() => order.push(3))]);
    expect(order).toEqual([2, 3]);
  });

  describe('in a crowd', () => {
    /** How many pieces of 1 ms are done in each turn after one that took `before` ms, with other work in its end. */
    const doneAfter = async (before: number, crowded: boolean, turns: number): Promise<number[]> => {
      const queue = queueOf(8, 1000);
      let done = 0;
      void queue.run(() => work(9));
      await nextTurn();
      void queue.run(() => work(9));
      const all = Array.from({ length: turns * 8 }, () =>
        queue.run(() => {
          work(1);
          done++;
        }),
      );
      work(before);
      if (crowded) queue.giveWay();
      const counts: number[] = [];
      for (let turn = 0; turn < turns; turn++) {
        const sofar = done;
        await nextTurn();
        counts.push(done - sofar);
      }
      await Promise.all(all.map(async (one) => one));
      return counts;
    };

    it('gets an eighth of the time of the turn before', async () => {
      expect(await doneAfter(15, true, 2)).toEqual([3, 1]);
      expect(await doneAfter(15, false, 2)).toEqual([8, 8]);
    });

    it('gets no more than its share after a long turn', async () => {
      expect(await doneAfter(1000, true, 2)).toEqual([8, 1]);
    });

    it('has its whole share again after sixteen turns without other work', async () => {
      const counts = await doneAfter(7, true, 18);
      expect(counts.slice(1, 16).every((count) => count === 1)).toBe(true);
      expect(counts.slice(16)).toEqual([8, 8]);
    });

    it('gets one piece even in a turn that took no time', async () => {
      const queue = queueOf(1, 10);
      for (const turn of [1, 2, 3]) {
        expect(queue.run(() => turn)).toBe(turn);
        queue.giveWay();
        await nextTurn();
      }
    });
  });

  it('ends as the work ends', async () => {
    const queue = queueOf(1, 10);
    const fail = (): never => {
      work(2);
      throw new RangeError('no');
    };
    expect(() => queue.run(fail)).toThrow(RangeError);
    await expect(queue.run(fail)).rejects.toThrow(RangeError);
    expect(await queue.run(() => 1)).toBe(1);
  });

  it('is refused when too much waits', async () => {
    const queue = queueOf(1, 2);
    void queue.run(() => work(2));
    const kept = [queue.run(() => 1), queue.run(() => 2)].map(async (result) => result);
    let ran = false;
    await expect(queue.run(() => (ran = true))).rejects.toMatchObject({ code: 'overloaded' });
    expect(await Promise.all(kept)).toEqual([1, 2]);
    expect(ran).toBe(false);
  });
});
