import { expect, test } from 'vitest';
import { Places } from '../../../src/control/git/places.ts';

const NEVER = new AbortController().signal;

/** Work that goes on until it is told to end. */
function worker(
  places: Places,
  weight: number,
  signal = NEVER,
): { running: boolean; end(): void; done: Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const state = { running: false, end: () => resolve(undefined), done: Promise.resolve() };
  state.done = places.use(weight, signal, async () => {
    state.running = true;
    await promise;
    state.running = false;
  });
  return state;
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('who takes all places works alone, and nobody overtakes who waits', async () => {
  const places = new Places(2);
  const workers = [1, 1, 2, 1].map((weight) => worker(places, weight));
  const running = (): boolean[] => workers.map((work) => work.running);
  await settled();
  expect(running()).toEqual([true, true, false, false]);
  workers[0]?.end();
  await settled();
  expect(running()).toEqual([false, true, false, false]);
  workers[1]?.end();
  await settled();
  expect(running()).toEqual([false, false, true, false]);
  workers[2]?.end();
  await settled();
  expect(running()).toEqual([false, false, false, true]);
  expect(places.idle).toBe(false);
  workers[3]?.end();
  await Promise.all(workers.map((work) => work.done));
  expect(places.idle).toBe(true);
});

test('who gives up waiting lets the next one in', async () => {
  const places = new Places(2);
  const first = worker(places, 1);
  const controller = new AbortController();
  const second = worker(places, 2, controller.signal);
  const third = worker(places, 1);
  await settled();
  expect(third.running).toBe(false);
  controller.abort(new Error('enough'));
  await expect(second.done).rejects.toThrow('enough');
  await settled();
  expect(third.running).toBe(true);
  first.end();
  third.end();
  await Promise.all([first.done, third.done]);
  expect(places.idle).toBe(true);
});

test('work that fails gives its places back', async () => {
  const places = new Places(1);
  await expect(places.use(1, NEVER, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  expect(places.idle).toBe(true);
});
