import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { temporaryDirectory } from '../../git/source-repository.ts';
import { processesNamed, uniqueSeconds } from './processes.ts';
import { APP, get, TestDriver, until } from './test-driver.ts';

interface Neighbours {
  readonly local: TestDriver;
  /** Passes when the well-behaved service still answers and was never run again. */
  readonly unharmed: () => Promise<void>;
}

/** A driver with a service that does no harm. */
async function neighbours(dataDir?: string): Promise<Neighbours> {
  const local = await TestDriver.start({}, dataDir);
  const id = await local.deploy(APP, { service: 'good' });
  const [origin] = await local.ready(id);
  return {
    local,
    unharmed: async () => {
      expect(await get(`${origin!}/SERVICE_NAME`)).toBe('app');
      expect(local.replicas(id)[0]).toMatchObject({ state: 'ready', restarts: 0 });
    },
  };
}

describe('no other service is harmed by one that', () => {
  test('floods its log: the newest is kept, and not much of it', async () => {
    const { local, unharmed } = await neighbours();
    const id = await local.deploy({ 'run.sh': 'yes "$(printf %080d 7)"' }, { service: 'bad' });
    const path = join(local.dataDir, 'logs/bad', `${id}-1.log`);
    await until(() => expect(existsSync(`${path}.1`)).toBe(true));
    await unharmed();
    const bytes = readFileSync(path).length + readFileSync(`${path}.1`).length;
    expect(bytes).toBeLessThan(11 * 1024 * 1024);
    const tail = await local.lines('bad', { tail: 3 });
    expect(tail).toHaveLength(3);
    expect(tail[0]).toMatch(/^0+7$/);
    await local.driver.remove(id);
  });

  test('never listens', async () => {
    const { local, unharmed } = await neighbours();
    const id = await local.deploy({ 'run.sh': 'sleep 1000' }, { service: 'bad' });
    await until(() => expect(local.replicas(id)[0]?.state).toBe('starting'));
    await unharmed();
    expect(local.replicas(id)[0]?.state).toBe('starting');
    await local.driver.remove(id);
  });

  test('ignores TERM: it is killed after 10 s', async () => {
    const { local, unharmed } = await neighbours();
    const seconds = uniqueSeconds();
    const id = await local.deploy(
      { 'run.sh': `trap 'echo no' TERM; sleep ${seconds} & while :; do wait; sleep 0.1; done` },
      { service: 'bad' },
    );
    await until(() => expect(processesNamed(seconds).length).toBeGreaterThan(0));
    const removed = local.driver.remove(id);
    await until(async () => expect(await local.lines('bad')).toContain('no'));
    expect(local.replicas(id)[0]?.state).toBe('stopping');
    await unharmed();
    await removed;
    expect(processesNamed(seconds)).toEqual([]);
  });

  test('forks many processes', async () => {
    const { local, unharmed } = await neighbours();
    const id = await local.deploy(
      { 'run.sh': 'for i in {1..300}; do (sleep 1000; sleep 1000) & done; echo forked; wait' },
      { service: 'bad' },
    );
    await until(async () => expect(await local.lines('bad')).toContain('forked'));
    await unharmed();
    await local.driver.remove(id);
    expect(local.ofKind('stopped')).toHaveLength(1);
  });

  test('daemonises: what fled ends with it', async () => {
    const { local, unharmed } = await neighbours();
    const seconds = uniqueSeconds();
    const id = await local.deploy(
      { 'run.sh': `(setsid sleep ${seconds} > /dev/null 2>&1 < /dev/null &) ; exit 3` },
      { service: 'bad' },
    );
    await local.event('exited', 2);
    await unharmed();
    expect(processesNamed(seconds).length).toBeLessThanOrEqual(1); // that of the next run
    await local.driver.remove(id);
    expect(processesNamed(seconds)).toEqual([]);
  });

  test('keeps its output open from a daemon', async () => {
    const { local, unharmed } = await neighbours();
    const daemon = 'trap "" TERM; touch prepared; sleep 2; echo late\n';
    const script = 'setsid bash daemon.sh & until [[ -e prepared ]]; do sleep 0.01; done; exit 3\n';
    const id = await local.deploy({ 'run.sh': script, 'daemon.sh': daemon }, { service: 'bad' });
    await local.event('exited', 2);
    await unharmed();
    expect(await local.lines('bad')).toContain('late');
    await local.driver.remove(id);
  });

  test('kills everything that it can reach', async () => {
    const { local, unharmed } = await neighbours();
    await local.deploy({ 'run.sh': 'kill -KILL 0' }, { service: 'bad' });
    const { data } = await local.event('exited', 2);
    expect(data).toMatchObject({ exitCode: null, signal: 'SIGKILL', reason: 'killed' });
    await unharmed();
  });

  test('exits at once', async () => {
    const { local, unharmed } = await neighbours();
    await local.deploy({ 'run.sh': 'exit 1' }, { service: 'bad', replicas: 3 });
    await local.event('exited', 9);
    await unharmed();
  });

  test('makes a folder that nobody may change: it is removed all the same', async () => {
    const { local, unharmed } = await neighbours();
    const id = await local.deploy(
      { 'run.sh': 'mkdir -p a/b; touch a/b/c; chmod 0 a/b a; echo made; sleep 1000' },
      { service: 'bad' },
    );
    await until(async () => expect(await local.lines('bad')).toContain('made'));
    await local.driver.remove(id);
    expect(readdirSync(join(local.dataDir, 'runs'))).toHaveLength(1);
    await unharmed();
  });

  test.skipIf(process.getuid?.() !== 0)(
    'fills the disk: the space is there again once it ended',
    async () => {
      const dataDir = join(temporaryDirectory(), 'small');
      mkdirSync(dataDir);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=20m', 'tmpfs', dataDir]);
      onTestFinished(() => void execFileSync('umount', ['-l', dataDir]));
      const { local, unharmed } = await neighbours(dataDir);
      const id = await local.deploy(
        { 'run.sh': 'cat /dev/zero > filled; echo full; yes more' },
        { service: 'bad' },
      );
      await until(() =>
        expect(local.logged.map(({ message }) => message)).toContain(
          'Lines of a service could not be written to its log',
        ),
      );
      await unharmed();
      await local.driver.remove(id);
      const again = await local.deploy(APP, { service: 'third' });
      await local.ready(again);
      await unharmed();
    },
  );
});
