import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { firstSteps } from '../../src/cli/first-steps.ts';
import { ServeProcess } from '../app/serve-process.ts';
import { freePort, portRange } from '../support/free-port.ts';
import { ROOT, runRealmgate } from './run-realmgate.ts';

const hasCurl = spawnSync('curl', ['--version']).status === 0;

/** A start with everything that `npm start` has, and these credentials. */
async function startLocal(
  user: { username: string; password: string },
  changes: object = {},
): Promise<ServeProcess> {
  const process = new ServeProcess({
    embeddedRealm: {
      listen: `127.0.0.1:${await freePort()}`,
      name: 'demo',
      users: [{ ...user, roles: [] }],
    },
    services: { local: { portRange: await portRange() } },
    example: { directory: join(ROOT, 'config/examples/hello') },
    ...changes,
  });
  await process.listening();
  return process;
}

/** What the printed lines do, pasted into a shell. */
async function paste(process: ServeProcess): Promise<string> {
  const lines = await process.when(() => {
    const found = process.stderr.split('\n').filter((line) => /^ {2}(TOKEN=|curl )/.test(line));
    return found.length === 3 && process.stderr.endsWith('\n\n') ? found : undefined;
  });
  const { status, stdout, stderr } = spawnSync('bash', ['-c', lines.join('\n')], { encoding: 'utf8' });
  expect({ status, stderr: stderr.replace(/ *%.*/s, '') }).toMatchObject({ status: 0 });
  return stdout;
}

describe('the first steps on standard error', () => {
  test.skipIf(!hasCurl)('work when pasted: 200 with the token and 401 without', async () => {
    const process = await startLocal({ username: 'alice', password: 'alice' });

    const said = await paste(process);

    expect(said.match(/^HTTP\/1\.1 \d+/gm)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 401']);
    expect(said).toContain('Hello, alice!');
    expect(said).toContain('"code":"token_missing"');
  });

  test.skipIf(!hasCurl)('work with a name and a password that a shell would take apart', async () => {
    const process = await startLocal({
      username: 'a b&c',
      password: `it's $HOME; "quoted" \`id\` %41+\\ & <x>`,
    });

    expect(await paste(process)).toContain('HTTP/1.1 200');
  });

  test.skipIf(!hasCurl)('work over TLS with a certificate of one’s own', async () => {
    const folder = join(ROOT, 'test/fixtures/tls');
    const tls = { cert: join(folder, 'localhost.crt'), key: join(folder, 'localhost.key') };
    const process = await startLocal({ username: 'alice', password: 'alice' }, { gateway: { tls } });

    expect((await paste(process)).match(/^HTTP\/2 \d+/gm)).toEqual(['HTTP/2 200', 'HTTP/2 401']);
  });

  test('are not told where they would not work', async () => {
    const settings = await localSettings();
    const at = { gatewayUrl: 'http://127.0.0.1:1', adminUrl: 'http://127.0.0.1:2' };
    const [realm] = settings.realms;

    expect(firstSteps({ settings, ...at })).toContain('TOKEN=');
    expect(firstSteps({ settings: { ...settings, embeddedRealm: null }, ...at })).toBeNull();
    expect(firstSteps({ settings: { ...settings, example: null }, ...at })).toBeNull();
    const passthrough = { ...realm!.passthrough, grants: ['refresh_token'] };
    expect(firstSteps({ settings: { ...settings, realms: [{ ...realm!, passthrough }] }, ...at })).toBeNull();
  });
});

async function localSettings() {
  const { loadSettings } = await import('../../src/config/load.ts');
  const loaded = await loadSettings(join(ROOT, 'config/local.yaml'));
  if (!loaded.ok) throw new Error('config/local.yaml is invalid');
  return loaded.settings;
}

describe('usage', () => {
  test.each([
    [['serve'], 'serve needs its configuration: --config FILE'],
    [['serve', '--config', ''], 'serve needs its configuration: --config FILE'],
  ])('%j: one line and exit 64', async (args, message) => {
    expect(await runRealmgate(args)).toEqual({
      code: 64,
      out: '',
      err: `realmgate: ${message}\nSee: realmgate serve --help\n`,
    });
  });

  test('a file that is not there: its name and exit 64', async () => {
    const { code, out, err } = await runRealmgate(['serve', '--config', '/nowhere/realmgate.yaml']);

    expect({ code, out }).toEqual({ code: 64, out: '' });
    expect(err).toMatch(/^\/nowhere\/realmgate\.yaml:1:1: the file cannot be read: .*\n$/);
  });
});
