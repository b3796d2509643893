import { chmodSync, chownSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { SourceRepository, temporaryDirectory } from '../../git/source-repository.ts';
import { DriverProcess } from './driver-process.ts';
import { processesNamed, uniqueSeconds } from './processes.ts';
import { APP, type Changes, deployment, get, until } from './test-driver.ts';

/** Whoever runs the tests as root can run the driver as somebody who is not; everybody else does in every test. */
const USER = 65_534;

describe.skipIf(process.getuid?.() !== 0)('an ordinary user', () => {
  test('has services with the same promises', async () => {
    const seconds = uniqueSeconds();
    const files = {
      ...APP,
      'run.sh': `
        (setsid sleep ${seconds} &)
        export SEEN="$(id -u) $(cat "$HYPERPLANE_SECRETS_DIR/openai/key") $HYPERPLANE_SECRETS_DIR"
        exec node server.cjs
      `,
    };
    const driver = await start(files, { secrets: { openai: { key: 'value-of-the-key' } } });
    const { data } = await driver.event('ready');
    expect(await get(`${String(data!['origin'])}/SEEN`)).toMatch(new RegExp(`^${USER} value-of-the-key /`));
    await until(() => expect(processesNamed(seconds)).toHaveLength(1));
    await driver.end('SIGKILL');
    await until(() => expect(processesNamed(seconds)).toEqual([]));
  });

  test('has limits as far as the system lets it, and is told what does not hold', async () => {
    const driver = await start(
      { 'run.sh': 'echo "data $(ulimit -d)"; exit 1' },
      { environment: { resources: { cpu: '1', memory: '64Mi' } } },
    );
    const { data } = await driver.event('exited');
    expect(data!['lastLines']).toContain(`data ${64 * 1024}`);
    const warnings = driver.told.filter(({ kind }) => kind === 'warning').map(({ message }) => message);
    expect(warnings).toEqual([expect.stringContaining('memory'), expect.stringContaining('CPU')]);
    await driver.event('exited', 2);
    expect(driver.told.filter(({ kind }) => kind === 'warning')).toHaveLength(2);
  });
});

/** A driver of that user which runs these files. */
async function start(files: Readonly<Record<string, string>>, changes: Changes): Promise<DriverProcess> {
  const repository = new SourceRepository();
  repository.commit(files);
  chmodSync(dirname(repository.directory), 0o755);
  const dataDir = join(temporaryDirectory(), 'data');
  mkdirSync(dataDir, { mode: 0o700 });
  chmodSync(dirname(dataDir), 0o755);
  chownSync(dataDir, USER, USER);
  return new DriverProcess(dataDir, [await deployment('d1', repository, changes)], USER);
}
