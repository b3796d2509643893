import { expect, test } from 'vitest';
import { SharedWork } from '../../../src/control/git/shared-work.ts';

const NEVER = new AbortController().signal;

/** Work whose rounds last until they are told what they come to. */
class Rounds {
  readonly shared = new SharedWork<string>();
  readonly begun: { readonly signal: AbortSignal; readonly end: PromiseWithResolvers<string> }[] = [];

  join(signal = NEVER, key = 'key'): Promise<string> {
    return this.shared.join(key, signal, (left) => {
      const end = Promise.withResolvers<string>();
      this.begun.push({ signal: left, end });
      return end.promise;
    });
  }

  begins(count: number): Promise<void> {
    return expect.poll(() => this.begun.length).toBe(count);
  }
}

test('who waits at the same time shares a round, and who asks while one is under way gets the next', async () => {
  const rounds = new Rounds();
  const first = [rounds.join(), rounds.join()];
  await rounds.begins(1);
  const second = [rounds.join(), rounds.join(), rounds.join()];
  rounds.begun[0]!.end.resolve('old');
  expect(await Promise.all(first)).toEqual(['old', 'old']);
  await rounds.begins(2);
  rounds.begun[1]!.end.resolve('new');
  expect(await Promise.all(second)).toEqual(['new', 'new', 'new']);
});

test('rounds of other keys go beside it', async () => {
  const rounds = new Rounds();
  const [one, other] = [rounds.join(), rounds.join(NEVER, 'other')];
  await rounds.begins(2);
  rounds.begun[1]!.end.resolve('other');
  expect(await other).toBe('other');
  rounds.begun[0]!.end.resolve('one');
  expect(await one).toBe('one');
});

test('a round that fails does so for all of its own, and for no other', async () => {
  const rounds = new Rounds();
  const first = [rounds.join(), rounds.join()];
  await rounds.begins(1);
  const second = rounds.join();
  rounds.begun[0]!.end.reject(new Error('no'));
  for (const one of first) await expect(one).rejects.toThrow('no');
  await rounds.begins(2);
  rounds.begun[1]!.end.resolve('yes');
  expect(await second).toBe('yes');
});

test('who leaves ends the round only where nobody is left, and then waits for its end', async () => {
  const rounds = new Rounds();
  const [a, b] = [new AbortController(), new AbortController()];
  const [ofA, ofB] = [rounds.join(a.signal), rounds.join(b.signal)];
  await rounds.begins(1);
  a.abort(new Error('a left'));
  await expect(ofA).rejects.toThrow('a left');
  const { signal, end } = rounds.begun[0]!;
  expect(signal.aborted).toBe(false);
  let ended = false;
  signal.addEventListener('abort', () => {
    setImmediate(() => {
      ended = true;
      end.reject(signal.reason as Error);
    });
  });
  b.abort(new Error('b left'));
  await expect(ofB).rejects.toThrow('b left');
  expect(ended).toBe(true);
});

test('a round that everybody left before it began never begins, and who comes then gets one of their own', async () => {
  const rounds = new Rounds();
  const first = rounds.join();
  await rounds.begins(1);
  const leaving = new AbortController();
  const left = rounds.join(leaving.signal);
  leaving.abort(new Error('left'));
  await expect(left).rejects.toThrow('left');
  const late = rounds.join();
  rounds.begun[0]!.end.resolve('first');
  expect(await first).toBe('first');
  await rounds.begins(2);
  rounds.begun[1]!.end.resolve('late');
  expect(await late).toBe('late');
});

test('who has left before is not served', async () => {
  const rounds = new Rounds();
  await expect(rounds.join(AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone');
  expect(rounds.begun).toEqual([]);
});
