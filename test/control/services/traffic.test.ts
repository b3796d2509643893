import { expect, test } from 'vitest';
import { type DataPlane, Traffic } from '../../../src/control/services/traffic.ts';

const ORIGIN = 'http://127.0.0.1:20000';

/** A worker that is busy for longer than it is given by default: it then counts with what it told at its start. */
class SlowPlane implements DataPlane {
  outstanding = 2;
  looks = 0;

  publish = (): void => undefined;
  waiting = (): ReadonlyMap<string, number> => new Map();

  load = (patience = 1_000): ReturnType<DataPlane['load']> => {
    this.looks++;
    if (patience <= 1_000) return Promise.resolve(new Map());
    return Promise.resolve(new Map([[ORIGIN, { outstanding: this.outstanding--, started: 2 }]]));
  };
}

test('replicas are drained when a busy worker says so, not while it says nothing', async () => {
  const plane = new SlowPlane();
  await new Traffic(plane, () => []).drained([ORIGIN], 30_000);
  expect(plane.looks).toBe(3);
});

test('a worker that says nothing holds the end of replicas up for so long and no longer', async () => {
  const plane = new SlowPlane();
  await new Traffic(plane, () => []).drained([ORIGIN], 0);
  expect(plane.looks).toBe(1);
});
