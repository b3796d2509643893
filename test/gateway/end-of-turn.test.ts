import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { atEndOfTurn } from '../../src/gateway/end-of-turn.ts';

test('what is held is done at the end of the turn, in order, and what it adds in the next one', async () => {
  const done: string[] = [];
  const item = (name: string, more?: () => void) => ({
    endOfTurn: () => {
      done.push(name);
      more?.();
    },
  });
  atEndOfTurn(item('a', () => atEndOfTurn(item('c'))));
  atEndOfTurn(item('b'));
  await Promise.resolve();
  expect(done).toEqual([]);
  await nextTurn();
  expect(done).toEqual(['a', 'b']);
  await nextTurn();
  expect(done).toEqual(['a', 'b', 'c']);
});

test('one that fails does not keep the others from being done', async () => {
  const failure = new Error('a bug');
  const listeners = process.listeners('uncaughtException');
  const seen: unknown[] = [];
  process.removeAllListeners('uncaughtException').on('uncaughtException', (error) => seen.push(error));
  onTestFinished(() => {
    process.removeAllListeners('uncaughtException');
    for (const listener of listeners) process.on('uncaughtException', listener);
  });
  let done = false;
  atEndOfTurn({
    endOfTurn: () => {
      throw failure;
    },
  });
  atEndOfTurn({ endOfTurn: () => (done = true) });
  await expect.poll(() => done).toBe(true);
  expect(seen).toEqual([failure]);
});
