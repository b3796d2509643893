import { describe, expect, onTestFinished, test } from 'vitest';
import { Autoscaler, type Scalable } from '../../../src/control/services/autoscaler.ts';

const SETTINGS = { target: 10, window: 30_000, idle: 300_000 };
const ORIGIN = 'http://127.0.0.1:1';

/** One service, looked at every second of a clock of its own. */
function service(limits: { minReplicas: number; maxReplicas: number }, wanted: number) {
  const load = { outstanding: 0, started: 0 };
  let waiting = 0;
  let now = 1_000_000;
  const scalable = {
    name: 'otter',
    ...limits,
    wanted,
    origins: [ORIGIN],
    scaleTo: (replicas: number) => void (scalable.wanted = replicas),
  } satisfies Scalable;
  const autoscaler = new Autoscaler(
    {
      load: () => Promise.resolve(new Map([[ORIGIN, { ...load }]])),
      waiting: () => new Map([['otter', waiting]]),
    },
    () => [{ ...scalable }],
    () => SETTINGS,
  );
  onTestFinished(() => autoscaler.stop());
  return {
    load,
    wait: (requests: number) => void (waiting = requests),
    /** Looks once a second; resolves to what is wanted then. */
    look: async (seconds = 1): Promise<number> => {
      for (let i = 0; i < seconds; i++) await autoscaler.look((now += 1_000));
      return scalable.wanted;
    },
  };
}

describe('replicas follow the outstanding requests', () => {
  test('up at once, as many as the target asks for, and never above the maximum', async () => {
    const { load, look } = service({ minReplicas: 1, maxReplicas: 4 }, 1);
    load.outstanding = 10;
    expect(await look()).toBe(1);
    load.outstanding = 21;
    expect(await look()).toBe(3);
    load.outstanding = 1000;
    expect(await look()).toBe(4);
  });

  test('down only when less was enough for the whole window, to the most that was needed in it', async () => {
    const { load, look } = service({ minReplicas: 1, maxReplicas: 4 }, 1);
    load.outstanding = 40;
    expect(await look()).toBe(4);
    load.outstanding = 15;
    expect(await look(29)).toBe(4);
    load.outstanding = 0;
    expect(await look(2)).toBe(2);
    expect(await look(27)).toBe(2);
    expect(await look(3)).toBe(1);
  });

  test('what ran before the first look counts as needed until then', async () => {
    const { look } = service({ minReplicas: 1, maxReplicas: 4 }, 3);
    expect(await look(30)).toBe(3);
    expect(await look(2)).toBe(1);
  });

  test('requests that wait for a replica count', async () => {
    const { wait, look } = service({ minReplicas: 0, maxReplicas: 4 }, 0);
    wait(25);
    expect(await look()).toBe(3);
  });
});

describe('none where that is allowed', () => {
  test('after the idle time without a request, not before', async () => {
    const { load, look } = service({ minReplicas: 0, maxReplicas: 1 }, 1);
    load.started = 5;
    expect(await look(299)).toBe(1);
    load.started = 6; // short requests are seen by their number alone
    expect(await look(300)).toBe(1);
    expect(await look(2)).toBe(0);
  });

  test('never below a minimum', async () => {
    const { look } = service({ minReplicas: 2, maxReplicas: 3 }, 2);
    expect(await look(400)).toBe(2);
  });

  test('is not left without a request', async () => {
    const { look } = service({ minReplicas: 0, maxReplicas: 3 }, 0);
    expect(await look(400)).toBe(0);
  });
});
