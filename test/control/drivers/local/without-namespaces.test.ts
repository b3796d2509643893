import { existsSync, mkdirSync, statSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../git/source-repository.ts';
import { processesNamed, uniqueSeconds } from './processes.ts';
import { APP, get, TestDriver, until } from './test-driver.ts';

/** A driver on a system that has nothing of what namespaces need. */
async function start(): Promise<TestDriver> {
  const folder = join(temporaryDirectory(), 'bin');
  mkdirSync(folder);
  for (const program of ['bash', 'sleep', 'cat', 'setsid']) {
    symlinkSync(
      existsSync(`/bin/${program}`) ? `/bin/${program}` : `/usr/bin/${program}`,
      join(folder, program),
    );
  }
  symlinkSync(process.execPath, join(folder, 'node'));
  return TestDriver.start({}, undefined, folder);
}

test('that namespaces are missing is told once', async () => {
  const local = await start();
  expect(local.logged).toEqual([
    {
      fields: { missing: 'PID namespaces' },
      message: expect.stringContaining('without namespaces') as string,
    },
  ]);
});

test('a process that flees its group is found and ended', async () => {
  const local = await start();
  const seconds = uniqueSeconds();
  const id = await local.deploy({
    'run.sh': `(setsid sleep ${seconds} > /dev/null 2>&1 &); sleep 0.2; exit 3`,
  });
  const { data } = await local.event('exited');
  expect(data['exitCode']).toBe(3);
  await local.driver.remove(id);
  expect(processesNamed(seconds)).toEqual([]);
});

test('what kills its group, or who watches over it, is run again, and nothing of it stays', async () => {
  const local = await start();
  const seconds = uniqueSeconds();
  const group = await local.deploy({ 'run.sh': 'kill -KILL 0' });
  expect((await local.event('exited')).data).toMatchObject({ signal: 'SIGKILL' });
  await local.driver.remove(group);
  local.told.length = 0;
  const guard = await local.deploy({
    'run.sh': `setsid sleep ${seconds} & kill -KILL $PPID; sleep ${seconds}`,
  });
  const { message } = await local.event('exited', 2);
  expect(message).toContain('killed together with the process that watches over it');
  await local.driver.remove(guard);
  expect(processesNamed(seconds)).toEqual([]);
});

test('what ignores TERM is killed', async () => {
  const local = await start();
  const seconds = uniqueSeconds();
  const id = await local.deploy({ 'run.sh': `trap "" TERM; while :; do sleep ${seconds}; done` });
  await until(() => expect(processesNamed(seconds)).toHaveLength(1));
  await local.driver.remove(id);
  expect(processesNamed(seconds)).toEqual([]);
});

test('secret files are in a private directory for as long as the run lasts, and the service is told where', async () => {
  const local = await start();
  const script =
    'export SEEN="$HYPERPLANE_SECRETS_DIR $(cat "$HYPERPLANE_SECRETS_DIR/openai/key")"; exec node server.cjs';
  const id = await local.deploy({ ...APP, 'run.sh': script }, { secrets: { openai: { key: 'value' } } });
  const [origin] = await local.ready(id);
  const [directory = '', value] = (await get(`${origin!}/SEEN`)).split(' ');
  expect(value).toBe('value');
  expect(statSync(directory).mode & 0o777).toBe(0o700);
  expect(statSync(dirname(directory)).mode & 0o777).toBe(0o700);
  expect(statSync(join(directory, 'openai/key')).mode & 0o777).toBe(0o400);
  expect((await local.event('warning')).message).toContain('HYPERPLANE_SECRETS_DIR');
  await local.driver.remove(id);
  expect(existsSync(directory)).toBe(false);
});
