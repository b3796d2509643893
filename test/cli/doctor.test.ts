import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Secrets } from '../../src/control/services/secrets.ts';
import { Store } from '../../src/control/store/store.ts';
import { RealmServer } from '../app/realm-server.ts';
import { serve } from '../app/serve-process.ts';
import { startQuickService, startService } from '../app/upstream.ts';
import { scratch } from '../config/support.ts';
import { freePort, portRange } from '../support/free-port.ts';
import { ROOT, runRealmgate } from './run-realmgate.ts';

interface Row {
  readonly name: string;
  readonly result: string;
  readonly found: string;
  readonly todo: string | null;
}

/** What the doctor says of a configuration that lacks only what `changes` bring. */
async function examine(changes: object) {
  const folder = scratch();
  const file = join(folder, 'realmgate.json');
  const config = {
    dataDir: join(folder, 'data'),
    gateway: { listen: '127.0.0.1:0', workers: 1, limits: { connections: 100 } },
    admin: { listen: '127.0.0.1:0', realm: 'demo' },
    services: { driver: 'none' },
    ...changes,
  };
  writeFileSync(file, JSON.stringify(config));
  const { code, out, err } = await runRealmgate(['doctor', '--config', file, '--json']);
  expect(err).toBe('');
  const { ok, checks } = JSON.parse(out) as { ok: boolean; checks: Row[] };
  expect(ok).toBe(code === 0);
  return {
    code,
    folder,
    rows: checks,
    /** Rows of one check, as `result: found`. */
    of: (name: string) =>
      checks.filter((row) => row.name === name).map(({ result, found }) => `${result}: ${found}`),
    faults: checks.filter(({ result }) => result === 'fault').map(({ name }) => name),
  };
}

test('a machine that has everything is told so, and nothing is left on it', async () => {
  const realm = await RealmServer.start();
  const { code, folder, rows, of } = await examine({
    realms: [realm.settings],
    routes: [{ name: 'orders', endpoint: '/orders', upstream: [await startQuickService()] }],
    services: { driver: 'local', local: { portRange: await portRange() } },
  });
  expect(rows.filter(({ result }) => result === 'fault')).toEqual([]);
  expect(code).toBe(0);
  expect([...new Set(rows.map(({ name }) => name))]).toEqual([
    'configuration', 'node', 'open files', 'dataDir', 'disk space', 'database', 'serve', 'gateway.listen',
    'admin.listen', 'realm demo', 'route orders', 'git', 'bash', 'python3', 'node for services', 'isolation', 'limits',
    'services.local.portRange',
  ]); // prettier-ignore
  expect(of('realm demo')).toEqual([
    `ok: answers at ${realm.url}`,
    `ok: tokens carry the issuer ${realm.url}`,
    'ok: 1 usable key (ES256)',
    'ok: its clock agrees with this one',
  ]);
  expect(of('services.local.portRange')[0]).toMatch(/^ok: 20 of 20 /);
  expect(existsSync(join(folder, 'data'))).toBe(false);
});

test('everything that is wrong is told at once, with what to do', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  onTestFinished(() => void taken.close());
  const { port } = taken.address() as { port: number };
  const folder = scratch();
  writeFileSync(join(folder, 'data'), '');
  const down = await freePort();
  const { code, faults, rows } = await examine({
    dataDir: join(folder, 'data', 'below'),
    gateway: { listen: `127.0.0.1:${port}` },
    realms: [{ name: 'demo', url: `http://127.0.0.1:${down}/auth/realms/demo` }],
    routes: [
      { name: 'gone', endpoint: '/gone', upstream: [`http://127.0.0.1:${down}`] },
      {
        name: 'half',
        endpoint: '/half',
        upstream: [`http://127.0.0.1:${down}`, await startQuickService()],
      },
    ],
  });
  expect(code).toBe(1);
  expect(faults).toEqual(['dataDir', 'gateway.listen', 'realm demo', 'route gone']);
  expect(rows.find(({ name }) => name === 'route half')).toMatchObject({ result: 'warning' });
  expect(rows.filter(({ result, todo }) => (result === 'ok') !== (todo === null))).toEqual([]);
  expect(rows.find(({ name }) => name === 'gateway.listen')).toMatchObject({
    found: `The gateway cannot listen on 127.0.0.1:${port}: another program uses that port`,
    todo: 'stop it or choose another port',
  });
});

test.each([
  [50, 'ok'],
  [120, 'warning'],
  [500, 'fault'],
])('200 open files for %i connections in one worker: %s', (connections, result) => {
  const file = join(scratch(), 'realmgate.json');
  const gateway = { listen: '127.0.0.1:0', workers: 1, limits: { connections } };
  const realms = [{ name: 'demo', url: 'http://127.0.0.1:9/auth/realms/demo' }];
  const admin = { listen: '127.0.0.1:0' };
  writeFileSync(file, JSON.stringify({ gateway, admin, realms, services: { driver: 'none' } }));
  const command = [process.execPath, `${ROOT}/src/launch.js`, 'doctor', '--config', file, '--json'];
  const { stdout } = spawnSync('bash', ['-c', 'ulimit -n 200; exec "$@"', 'bash', ...command], {
    encoding: 'utf8',
  });
  const { checks } = JSON.parse(stdout) as { checks: Row[] };
  expect(checks.find(({ name }) => name === 'open files')).toMatchObject({ result });
});

describe('a realm', () => {
  const realmOf = (
    realm: { readonly settings: object },
    settings: object,
    publicUrl = 'https://services.example.com',
  ) =>
    examine({
      gateway: { listen: '127.0.0.1:0', publicUrl },
      realms: [{ ...realm.settings, ...settings }],
    });

  test('whose issuer is not accepted makes every token useless', async () => {
    const { of } = await realmOf(await RealmServer.start(), { issuers: ['https://other.example'] });
    expect(of('realm demo')[1]).toMatch(
      /^fault: it issues tokens as \S+, which is not among realms.issuers$/,
    );
  });

  test('that does not heed the public URL is told', async () => {
    const { of } = await realmOf(await RealmServer.start(), {});
    expect(of('realm demo')[1]).toMatch(
      /^warning: .* although it was asked as https:\/\/services.example.com$/,
    );
  });

  test('whose keys are for other algorithms is told', async () => {
    const { of } = await realmOf(await RealmServer.start(), { algorithms: ['RS256'] });
    expect(of('realm demo')[2]).toBe('fault: none of its keys is for an algorithm of realms.algorithms');
  });

  test.each([
    [60_000, 'fault: its clock is 60 s ahead of this one, more than realms.clockSkew bears'],
    [-10_000, 'warning: its clock is 10 s behind this one'],
  ])('whose clock is %i ms off is told', async (off, told) => {
    const origin = await startService((request, response) => {
      const url = `http://${request.headers.host!}/auth/realms/demo`;
      response.setHeader('date', new Date(Math.round(Date.now() / 1000) * 1000 + off).toUTCString());
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ issuer: url, jwks_uri: `${url}/certs`, keys: [] }));
    });
    const settings = { name: 'demo', url: `${origin}/auth/realms/demo` };
    const { of } = await realmOf({ settings }, {});
    // A second may pass on the way.
    expect(of('realm demo')[3]?.replace(/\b(59|61|11)\b/, (n) => (n === '11' ? '10' : '60'))).toBe(told);
    expect(of('realm demo')[2]).toBe('fault: its key set has no usable key (it is empty)');
  });
});

describe('the data directory', () => {
  const realms = [{ name: 'demo', url: 'http://127.0.0.1:9/auth/realms/demo' }];

  function withSecret(): string {
    const dataDir = join(scratch(), 'data');
    mkdirSync(dataDir);
    const store = new Store(dataDir);
    const secrets = new Secrets({ table: store.secrets, dataDir, keyFile: null, services: () => [] });
    secrets.put('openai', { data: { key: 'sesame' } }, 'test');
    store.close();
    return dataDir;
  }

  test('whose secrets open with their key is fine', async () => {
    const dataDir = withSecret();
    const { of } = await examine({ dataDir, realms, services: { driver: 'local' } });
    expect(of('database')).toEqual(['ok: opens with its key: 0 services, past ones too, and 1 secret']);
  });

  test('whose key is another is told, and its files stay as they are', async () => {
    const dataDir = withSecret();
    const key = join(dataDir, 'secrets.key');
    writeFileSync(key, `${Buffer.alloc(32, 7).toString('base64')}\n`);
    const { of, faults } = await examine({ dataDir, realms, services: { driver: 'local' } });
    expect(of('database')).toEqual([`fault: ${key} is not the key that the secrets are sealed with`]);
    expect(faults).toContain('database');
    expect(existsSync(join(dataDir, 'realmgate.db-wal'))).toBe(false);
  });

  test('with a file that is no database is told', async () => {
    const dataDir = scratch();
    writeFileSync(join(dataDir, 'realmgate.db'), 'no database at all'.repeat(100));
    const { of } = await examine({ dataDir, realms, services: { driver: 'local' } });
    expect(of('database')).toEqual([`fault: ${join(dataDir, 'realmgate.db')} is damaged or no database`]);
  });
});

test('a serve that runs is recognised, and its addresses and data are in use by right', async () => {
  const realm = await RealmServer.start();
  const admin = await freePort();
  const config = {
    gateway: { listen: `127.0.0.1:${await freePort()}`, workers: 1 },
    admin: { listen: `127.0.0.1:${admin}`, realm: 'demo' },
    realms: [realm.settings],
    services: { driver: 'local', local: { portRange: await portRange() } },
  };
  const { process } = await serve(config);
  const dataDir = join(process.folder, 'data');
  await process.when(() => (existsSync(join(dataDir, 'local-driver.json')) ? true : undefined));
  const whole = await examine({ ...config, dataDir });
  expect(whole.faults).toEqual([]);
  expect(whole.of('serve')).toEqual(['ok: runs and is ready (/readyz)']);
  expect(whole.of('admin.listen')).toEqual([`ok: 127.0.0.1:${admin} is used by the serve that runs`]);
  expect(whole.of('dataDir')).toEqual([
    `ok: ${dataDir} is used by the serve that runs (${String(process.pid)})`,
  ]);
  expect(whole.of('database')[0]).toContain('not looked at');

  const other = await examine({ realms: [realm.settings], dataDir, services: { driver: 'local' } });
  expect(other.faults).toEqual(['dataDir']);
  expect(other.of('dataDir')[0]).toContain(`is used by process ${process.pid}, which is another serve`);

  const moved = { ...config, gateway: { listen: `127.0.0.1:${await freePort()}` }, dataDir };
  expect((await examine(moved)).of('gateway.listen')[0]).toMatch(
    /^warning: .* is free, although serve runs$/,
  );
});

test('people get lines with what to do below', async () => {
  const file = join(scratch(), 'realmgate.yaml');
  writeFileSync(
    file,
    'realms: [{name: demo, url: "http://127.0.0.1:9/auth/realms/demo"}]\nservices: {driver: none}\n' +
      `gateway: {listen: "127.0.0.1:0", limits: {connections: 10}}\nadmin: {listen: "127.0.0.1:0"}\ndataDir: ${scratch()}\n`,
  );
  const { code, out } = await runRealmgate(['doctor', '--config', file]);
  expect(code).toBe(1);
  expect(out).toMatch(/^ok {7}configuration {3}\S+ is valid$/m);
  expect(out).toMatch(/^fault {4}realm demo {6}.*ECONNREFUSED\n +→ is the realm up/m);
  expect(out).toMatch(/\n\n1 fault, 0 warnings\n$/);
});

test('an invalid configuration is listed as check-config does: exit 64', async () => {
  const file = join(scratch(), 'realmgate.yaml');
  writeFileSync(file, 'gateway: {workers: 0}\n');
  const told = await runRealmgate(['doctor', '--config', file]);
  expect(told).toMatchObject({ code: 64, out: '' });
  expect(told.err).toBe((await runRealmgate(['check-config', file])).err);
});

test('without a configuration it is wrong usage', async () => {
  const { code, out, err } = await runRealmgate(['doctor'], scratch());
  expect({ code, out }).toEqual({ code: 64, out: '' });
  expect(err).toContain('there is no config/local.yaml here');
  expect(await runRealmgate(['doctor', 'config/local.yaml'], ROOT)).toMatchObject({ code: 64, out: '' });
});
