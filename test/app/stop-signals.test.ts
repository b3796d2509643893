import { once } from 'node:events';

import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest';

import { StopSignals } from '../../src/app/stop-signals.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }));
afterEach(() => void vi.useRealTimers());

function listen(): { signals: StopSignals; insisted: () => number } {
  const before = { SIGTERM: process.listeners('SIGTERM'), SIGINT: process.listeners('SIGINT') };
  const signals = new StopSignals();
  onTestFinished(() => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) {
      for (const listener of process.listeners(name)) {
        if (!before[name].includes(listener)) process.removeListener(name, listener);
      }
    }
  });
  let count = 0;
  signals.onInsist(() => count++);
  return { signals, insisted: () => count };
}

test.each(['SIGTERM', 'SIGINT'] as const)('%s asks to end', async (name) => {
  const { signals } = listen();
  const asked = once(signals.asked, 'abort');

  process.kill(process.pid, name);

  await asked;
});

test('the signals of one Ctrl-C do not insist', () => {
  const { signals, insisted } = listen();

  signals.ask();
  vi.advanceTimersByTime(300);
  signals.ask();
  signals.ask();

  expect(signals.asked.aborted).toBe(true);
  expect(insisted()).toBe(0);
});

test('a later signal insists', () => {
  const { signals, insisted } = listen();

  signals.ask();
  vi.advanceTimersByTime(600);
  signals.ask();

  expect(insisted()).toBe(1);
});
