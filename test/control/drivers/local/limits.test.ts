import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ControlGroups } from '../../../../src/control/drivers/local/control-groups.ts';
import { APP, TestDriver, until } from './test-driver.ts';

const probe = await ControlGroups.open('0123456789ab');
const trial = await probe.create('trial', { cpu: 1, memory: 2 ** 27 });
await trial.remove();
await probe.close();
const missing = trial.unmet.length > 0;
if (missing) process.stderr.write('SKIPPED: limits of control groups, since this user can make none here.\n');

describe.skipIf(missing)('limits by control groups', () => {
  test('a service that takes more memory than it may is ended, and told so', async () => {
    const local = await TestDriver.start();
    const good = await local.deploy(APP, { service: 'good' });
    await local.ready(good);
    await local.deploy(
      {
        'run.sh': 'exec node greedy.cjs',
        'greedy.cjs': `const kept = []; for (;;) kept.push(Buffer.alloc(1e6, 1));`,
      },
      { service: 'greedy', environment: { resources: { cpu: null, memory: '100Mi' } } },
    );
    const { data, message } = await local.event('exited');
    expect(data).toMatchObject({ signal: 'SIGKILL', reason: 'out of memory' });
    expect(message).toContain('out of memory');
    expect(local.replicas(good)[0]).toMatchObject({ state: 'ready', restarts: 0 });
  });

  test('a service gets no more of the CPU than it may', async () => {
    const local = await TestDriver.start();
    const id = await local.deploy(
      { 'run.sh': 'cat /proc/self/cgroup; echo begun; while :; do :; done' },
      { environment: { resources: { cpu: '100m', memory: null } }, service: 'slow' },
    );
    await until(async () => expect(await local.lines('slow')).toContain('begun'));
    expect((await local.lines('slow')).join('\n')).toContain(`/${id}-1.1`);
    await until(() => expect(throttledPeriods(`${id}-1.1`)).toBeGreaterThan(2));
  });

  test('a run may have only so many processes, and its groups are removed with it', async () => {
    const local = await TestDriver.start();
    const id = await local.deploy(APP, {
      environment: { resources: { cpu: '1', memory: '512Mi' } },
      service: 'tidy',
    });
    await local.ready(id);
    const most = groupsNamed(`${id}-1.1`).map((directory) => textOf(join(directory, 'pids.max')));
    expect(most).toContain('4096\n');
    expect(groupsNamed(`${id}-1.1`)).not.toEqual([]);
    await local.driver.remove(id);
    expect(groupsNamed(`${id}-1.1`)).toEqual([]);
  });
});

/** Directories of control groups with this name. */
function groupsNamed(name: string): string[] {
  const entries = readdirSync('/sys/fs/cgroup', { recursive: true, encoding: 'utf8' });
  return entries.filter((path) => path.endsWith(`/${name}`)).map((path) => join('/sys/fs/cgroup', path));
}

function throttledPeriods(name: string): number {
  const counts = groupsNamed(name).map((directory) => textOf(join(directory, 'cpu.stat')));
  return Math.max(0, ...counts.map((text) => Number(/nr_throttled (\d+)/.exec(text)?.[1] ?? 0)));
}

/** Empty where the group is another controller's. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
