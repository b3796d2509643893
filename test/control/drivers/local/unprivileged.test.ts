import { chmodSync, chownSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { freePort } from '../../../support/free-port.ts';
import { SourceRepository, temporaryDirectory } from '../../git/source-repository.ts';
import { DriverProcess } from './driver-process.ts';
import { processesNamed, uniqueSeconds } from './processes.ts';
import { APP, deployment, get, until } from './test-driver.ts';

/** Whoever runs the tests as root can run the driver as somebody who is not; everybody else does in every test. */
const USER = 65_534;

test.skipIf(process.getuid?.() !== 0)('an ordinary user has services with the same promises', async () => {
  const seconds = uniqueSeconds();
  const repository = new SourceRepository();
  repository.commit({
    ...APP,
    'run.sh': `
      (setsid sleep ${seconds} &)
      export SEEN="$(id -u) $(cat "$HYPERPLANE_SECRETS_DIR/openai/key") $HYPERPLANE_SECRETS_DIR"
      exec node server.cjs
    `,
  });
  chmodSync(dirname(repository.directory), 0o755);
  const dataDir = join(temporaryDirectory(), 'data');
  mkdirSync(dataDir, { mode: 0o700 });
  chmodSync(dirname(dataDir), 0o755);
  chownSync(dataDir, USER, USER);
  const port = await freePort();
  const secrets = { openai: { key: 'value-of-the-key' } };
  const deployments = [await deployment('d1', repository, { spec: { port }, secrets })];
  const driver = new DriverProcess(dataDir, deployments, USER);
  const { data } = await driver.event('ready');
  const seen = await get(`${String(data!['origin'])}/SEEN`);
  expect(seen).toMatch(new RegExp(`^${USER} value-of-the-key /`));
  console.log(
    seen,
    driver.told.filter((l) => l.kind === 'log' || l.kind === 'warning'),
  );
  await until(() => expect(processesNamed(seconds)).toHaveLength(1));
  await driver.end('SIGKILL');
  await until(() => expect(processesNamed(seconds)).toEqual([]));
});
