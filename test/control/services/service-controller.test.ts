import { describe, expect, test } from 'vitest';
import type { ServiceSpec } from '../../../src/contracts/service.ts';
import type { Route } from '../../../src/contracts/settings.ts';
import { type Ledger, ServiceController } from '../../../src/control/services/service-controller.ts';
import { Traffic } from '../../../src/control/services/traffic.ts';
import { FakeDriver, spec } from './fake-driver.ts';

/** Workers that know what was published, and are busy with what a test says. */
class Plane {
  published: string[][] = [];
  readonly busy = new Map<string, number>();
  readonly asked: (() => void)[] = [];
  /** Until then no worker replies. */
  reply: Promise<unknown> = Promise.resolve();

  publish(routes: readonly Route[]): void {
    this.published.push(routes.flatMap(({ upstream }) => upstream));
  }

  async load(): Promise<ReadonlyMap<string, { outstanding: number; started: number }>> {
    for (const asked of this.asked.splice(0)) asked();
    await this.reply;
    return new Map([...this.busy].map(([at, outstanding]) => [at, { outstanding, started: 1 }]));
  }

  waiting(): ReadonlyMap<string, number> {
    return new Map();
  }

  nextLook(): Promise<void> {
    return new Promise((resolve) => this.asked.push(resolve));
  }
}

function start(first: ServiceSpec = spec(), { active = false, readyTimeout = 60_000, begun = true } = {}) {
  const written: string[] = [];
  const events: string[] = [];
  const ledger: Ledger = {
    activate: (revision, commit) => void written.push(`activate ${revision} ${commit ?? '-'}`),
    fail: (revision, why) => void written.push(`fail ${revision}: ${why}`),
    setCommit: (revision, commit) => void written.push(`commit ${revision} ${commit}`),
    event: (kind) => void events.push(kind),
  };
  const driver: FakeDriver = new FakeDriver({
    changed: (id) => controller.changed(id),
    happened: (id, event) => controller.happened(id, event),
  });
  const plane = new Plane();
  const traffic = new Traffic(plane, () => [{ upstream: controller.origins } as unknown as Route]);
  let deployments = 0;
  const controller: ServiceController = new ServiceController(
    { spec: first, revision: 1, active, lastCommit: null },
    {
      driver,
      traffic,
      ledger,
      settings: () => ({ readyTimeout, drain: 60_000 }),
      deployment: (wanted, replicas, lastCommit) => ({
        id: `d${++deployments}`,
        serviceId: 's',
        spec: wanted,
        replicas,
        lastCommit,
        environment: {} as never,
        secrets: {},
        credentials: null,
      }),
      log: { error: (fields) => expect.fail(JSON.stringify(fields)) },
    },
  );
  if (begun) controller.begin();
  return { controller, driver, plane, written, events };
}

const plan = (changes: Partial<ServiceSpec>, revision = 2) => ({ spec: spec(changes), revision });

/** Started, and ready. */
function startReady(first?: ServiceSpec) {
  const started = start(first);
  started.driver.set('d1', 'ready');
  return started;
}

describe('the first deployment', () => {
  test('is pending, starting, then running, and its revision is in force once it is ready', () => {
    const { controller, driver, written } = start();
    expect(controller.status).toBe('pending');
    driver.set('d1', 'starting');
    expect(controller.status).toBe('starting');
    expect(written).toEqual(['commit 1 c0ffee']);
    driver.set('d1', 'ready');
    expect(controller.status).toBe('running');
    expect(written).toEqual(['commit 1 c0ffee', 'activate 1 c0ffee']);
  });

  test('has failed after three ends in a row, is still tried, and is running once it is ready', () => {
    const { controller, driver } = start();
    driver.set('d1', 'waiting');
    for (let i = 0; i < 2; i++) driver.exit('d1', 'it exited with 1');
    expect(controller.status).toBe('starting');
    driver.exit('d1', 'it exited with 1');
    expect(controller.status).toBe('failed');
    expect(driver.deployments.has('d1')).toBe(true);
    driver.set('d1', 'ready');
    expect(controller.status).toBe('running');
  });

  test('has failed when it is not ready in time, which is told, and who waits for it waits no longer', async () => {
    const { controller, events } = start(spec(), { readyTimeout: 10 });
    const waiting = controller.awaitReady(new AbortController().signal);
    await expect.poll(() => controller.status).toBe('failed');
    expect(await waiting).toBe(false);
    expect(events).toEqual(['failed']);
  });

  test('is degraded while fewer replicas are ready than the minimum', () => {
    const { controller, driver } = startReady(spec({ minReplicas: 2, maxReplicas: 2 }));
    driver.set('d1', 'waiting', [1]);
    expect(controller.status).toBe('degraded');
    expect(controller.origins).toHaveLength(1);
    driver.set('d1', 'waiting');
    expect(controller.status).toBe('degraded');
  });
});

test('workers are told of what changes where requests go, and of nothing else', async () => {
  const { driver, plane } = start(spec({ minReplicas: 2, maxReplicas: 2 }));
  const told = async (): Promise<string[][]> => {
    await new Promise(setImmediate);
    return plane.published.splice(0);
  };
  driver.set('d1', 'starting');
  expect(await told()).toEqual([[]]);
  driver.set('d1', 'waiting', [1]);
  expect(await told()).toEqual([]);
  driver.set('d1', 'ready', [0]);
  expect(await told()).toEqual([['http://127.0.0.1:20000']]);
  driver.set('d1', 'starting', [1]);
  expect(await told()).toEqual([]);
  driver.set('d1', 'waiting', [0]);
  expect(await told()).toEqual([[]]);
});

test('nothing runs that was cancelled before it began, and what is asked for before waits', async () => {
  const { controller, driver } = start(spec(), { begun: false });
  const restart = controller.restart();
  restart.catch(() => undefined);
  await new Promise(setImmediate);
  expect(driver.calls).toEqual([]);
  await controller.cancel();
  await expect(restart).rejects.toMatchObject({ code: 'conflict' });
  controller.begin();
  expect(driver.calls).toEqual([]);
});

describe('a restart', () => {
  test('keeps the old replicas until the new ones are ready, and removes them when they are idle', async () => {
    const { controller, driver, plane } = startReady();
    const [old] = controller.origins;
    plane.busy.set(old!, 1);
    const done = controller.restart();
    await expect.poll(() => driver.calls).toContain('deploy d2 x1');
    expect(controller.origins).toEqual([old]);

    driver.set('d2', 'ready');
    await done;
    expect(controller.origins).not.toContain(old);
    expect(plane.published.at(-1)).toEqual(controller.origins);
    await plane.nextLook();
    await plane.nextLook();
    expect(driver.calls).not.toContain('remove d1');

    plane.busy.delete(old!);
    await expect.poll(() => driver.calls).toContain('remove d1');
  });

  test('is done once the workers go by it', async () => {
    const { controller, driver, plane } = startReady();
    const reply = Promise.withResolvers<undefined>();
    plane.reply = reply.promise;
    let isDone = false;
    const done = controller.restart().then(() => (isDone = true));
    await expect.poll(() => driver.calls).toContain('deploy d2 x1');
    driver.set('d2', 'ready');
    await expect.poll(() => plane.published.at(-1)).toEqual(['http://127.0.0.1:20001']);
    await new Promise(setImmediate);
    expect(isDone).toBe(false);
    reply.resolve(undefined);
    await done;
  });

  test('that fails leaves the old replicas, says why, and removes the new ones', async () => {
    const { controller, driver, events, written } = startReady();
    const [old] = controller.origins;
    const done = controller.restart();
    done.catch(() => undefined);
    await expect.poll(() => driver.calls).toContain('deploy d2 x1');
    for (let i = 0; i < 3; i++) driver.exit('d2', 'it exited with 1: no such module');

    await expect(done).rejects.toMatchObject({
      code: 'rollout_failed',
      message: 'it exited with 1: no such module; what ran before stays',
    });
    expect(controller.origins).toEqual([old]);
    expect(controller.status).toBe('running');
    expect(driver.calls).toContain('remove d2');
    expect(driver.calls).not.toContain('remove d1');
    expect(events).toContain('restart-failed');
    expect(written).toEqual(['activate 1 c0ffee']);
  });

  test('of which only a part gets ready in time fails, and says why', async () => {
    const { controller, driver } = start(spec({ minReplicas: 2, maxReplicas: 2 }), { readyTimeout: 100 });
    driver.set('d1', 'ready');
    const before = controller.origins;
    const done = controller.restart();
    await expect.poll(() => driver.calls).toContain('deploy d2 x2');
    driver.set('d2', 'ready', [0]);
    await expect(done).rejects.toMatchObject({
      code: 'rollout_failed',
      message: expect.stringMatching(/^1 of 2 replicas was ready within 0\.1 s: nothing accepted/) as string,
    });
    expect(controller.origins).toEqual(before);
  });

  test('starts as many replicas as there were, and takes over once all of them are ready', async () => {
    const { controller, driver } = startReady(spec({ minReplicas: 1, maxReplicas: 3 }));
    controller.scaleTo(3);
    driver.set('d1', 'ready');
    const done = controller.restart();
    await expect.poll(() => driver.calls).toContain('deploy d2 x3');
    const before = controller.origins;
    driver.set('d2', 'ready', [0, 1]);
    expect(controller.origins).toEqual(before);
    driver.set('d2', 'ready');
    await done;
    expect(controller.origins).toHaveLength(3);
  });
});

describe('an update', () => {
  test('puts its revision in force once it is ready, with the changed spec', async () => {
    const { controller, driver, written } = startReady();
    const done = controller.update(() => Promise.resolve(plan({ path: 'other.sh' })));
    await expect.poll(() => driver.calls).toContain('deploy d2 x1');
    expect(controller.spec.path).toBe('run.sh');
    driver.set('d2', 'ready', null, 'beef');
    await done;
    expect(controller.spec.path).toBe('other.sh');
    expect(controller.revision).toBe(2);
    expect(written).toEqual(['activate 1 c0ffee', 'activate 2 beef']);
  });

  test('that fails is written down, and the next one works', async () => {
    const { controller, driver, written } = startReady();
    const failing = controller.update(() => Promise.resolve(plan({ path: 'broken.sh' })));
    const next = controller.update(() => Promise.resolve(plan({ path: 'good.sh' }, 3)));
    failing.catch(() => undefined);
    await expect.poll(() => driver.calls).toContain('deploy d2 x1');
    for (let i = 0; i < 3; i++) driver.exit('d2', 'no');
    await expect(failing).rejects.toMatchObject({ code: 'rollout_failed' });
    await expect.poll(() => driver.calls).toContain('deploy d3 x1');
    driver.set('d3', 'ready');
    await next;
    expect(controller.spec.path).toBe('good.sh');
    expect(written).toEqual(['activate 1 c0ffee', 'fail 2: no', 'activate 3 c0ffee']);
  });

  test('of what only the gateway does is done once the workers go by it', async () => {
    const { controller, plane } = startReady();
    const reply = Promise.withResolvers<undefined>();
    plane.reply = reply.promise;
    let isDone = false;
    const done = controller.update(() => Promise.resolve(plan({ public: true }))).then(() => (isDone = true));
    await expect.poll(() => plane.published).not.toEqual([]);
    await new Promise(setImmediate);
    expect(isDone).toBe(false);
    reply.resolve(undefined);
    await done;
    expect(controller.spec.public).toBe(true);
  });

  test('of what only the gateway does is in force at once and starts nothing', async () => {
    const { controller, driver, written } = startReady();
    await controller.update(() => Promise.resolve(plan({ public: true, maxReplicas: 4, minReplicas: 2 })));
    expect(controller.spec.public).toBe(true);
    expect(written).toEqual(['activate 1 c0ffee', 'activate 2 c0ffee']);
    expect(driver.calls).toEqual(['deploy d1 x1', 'scale d1 x2']);
  });

  test('of a fixed port stops the old replica first, and starts it again when the new one fails', async () => {
    const { controller, driver } = startReady(spec({ fixedPort: true }));
    const done = controller.update(() => Promise.resolve(plan({ fixedPort: true, path: 'broken.sh' })));
    done.catch(() => undefined);
    await expect.poll(() => driver.calls).toContain('deploy d2 x1');
    expect(driver.calls).toEqual(['deploy d1 x1', 'remove d1', 'deploy d2 x1']);
    expect(controller.origins).toEqual([]);

    for (let i = 0; i < 3; i++) driver.exit('d2', 'no');
    await expect(done).rejects.toMatchObject({ code: 'rollout_failed' });
    expect(driver.calls.slice(3)).toEqual(['remove d2', 'deploy d3 x1']);
    driver.set('d3', 'ready');
    expect(controller.status).toBe('running');
    expect(controller.spec.path).toBe('run.sh');
  });
});

describe('cancelling', () => {
  test('withdraws the endpoint at once and ends the replicas when they are idle', async () => {
    const { controller, driver, plane } = startReady();
    const [origin] = controller.origins;
    plane.busy.set(origin!, 1);
    const done = controller.cancel();
    expect(controller.status).toBe('cancelled');
    expect(controller.origins).toEqual([]);
    await plane.nextLook();
    expect(driver.calls).not.toContain('remove d1');
    expect(controller.over.aborted).toBe(false);
    plane.busy.clear();
    await done;
    expect(driver.calls).toContain('remove d1');
    expect(controller.over.aborted).toBe(true);
  });

  test('ends a restart in progress, which answers with a conflict', async () => {
    const { controller, driver } = startReady();
    const restart = controller.restart();
    restart.catch(() => undefined);
    await expect.poll(() => driver.calls).toContain('deploy d2 x1');
    await controller.cancel();
    await expect(restart).rejects.toMatchObject({ code: 'conflict' });
    expect(driver.deployments.size).toBe(0);
  });
});

describe('requests without a replica', () => {
  const never = new AbortController().signal;

  test('wait for the one that is being started, and find it published', async () => {
    const { controller, driver, plane } = start();
    const ready = controller.awaitReady(never);
    driver.set('d1', 'ready');
    expect(await ready).toBe(true);
    expect(plane.published.at(-1)).toEqual(controller.origins);
  });

  test('start the first replica of a service that may have none', async () => {
    const { controller, driver } = start(spec({ minReplicas: 0 }));
    expect(controller.status).toBe('running');
    const ready = controller.awaitReady(never);
    expect(driver.calls).toEqual(['deploy d1 x0', 'scale d1 x1']);
    driver.set('d1', 'ready');
    expect(await ready).toBe(true);
  });

  test('try one anew that failed and was given up for want of requests', async () => {
    const { controller, driver } = start(spec({ minReplicas: 0 }));
    const first = controller.awaitReady(never);
    for (let i = 0; i < 3; i++) driver.exit('d1', 'no');
    expect(await first).toBe(false);
    controller.scaleTo(0);
    const second = controller.awaitReady(never);
    driver.set('d1', 'ready');
    expect(await second).toBe(true);
  });

  test('do not wait for one that has failed, nor for longer than they want', async () => {
    const { controller, driver } = start();
    const leaving = new AbortController();
    const left = controller.awaitReady(leaving.signal);
    leaving.abort();
    expect(await left).toBe(false);
    const ready = controller.awaitReady(never);
    for (let i = 0; i < 3; i++) driver.exit('d1', 'no');
    expect(await ready).toBe(false);
    expect(await controller.awaitReady(never)).toBe(false);
  });

  test('are not to wait for one that has failed until it is ready, and the workers are told so', async () => {
    const { controller, driver, plane } = start();
    const told = async (change: () => void): Promise<boolean> => {
      const before = plane.published.length;
      change();
      await expect.poll(() => plane.published.length).toBeGreaterThan(before);
      return controller.hopeless;
    };
    expect(controller.hopeless).toBe(false);
    const fail = (): void => {
      for (let i = 0; i < 3; i++) driver.exit('d1', 'no');
    };
    expect(await told(fail)).toBe(true);
    expect(await told(() => driver.set('d1', 'ready'))).toBe(false);
    expect(await told(() => driver.set('d1', 'waiting'))).toBe(false);
    expect(await told(fail)).toBe(true);
    expect(await told(() => controller.scaleTo(0))).toBe(false);
  });

  test('wait through a restart of a fixed port', async () => {
    const { controller, driver } = startReady(spec({ fixedPort: true }));
    const done = controller.restart();
    await expect.poll(() => driver.calls).toContain('deploy d2 x1');
    const ready = controller.awaitReady(never);
    driver.set('d2', 'ready');
    await done;
    expect(await ready).toBe(true);
  });
});

test('fewer replicas finish what is in progress before the surplus ends, youngest first', async () => {
  const { controller, driver, plane } = startReady(spec({ minReplicas: 1, maxReplicas: 3 }));
  controller.scaleTo(3);
  driver.set('d1', 'ready');
  const [first, , third] = controller.origins;
  plane.busy.set(third!, 1);
  controller.scaleTo(1);
  expect(controller.origins).toEqual([first]);
  await plane.nextLook();
  await plane.nextLook();
  expect(driver.calls).not.toContain('scale d1 x1');
  plane.busy.clear();
  await expect.poll(() => driver.calls).toContain('scale d1 x1');
});
