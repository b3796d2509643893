import { once } from 'node:events';
import { copyFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { connect } from 'node:tls';

import { describe, expect, onTestFinished, test } from 'vitest';

import { freePort, portRange } from '../support/free-port.ts';
import { RealmServer } from './realm-server.ts';
import { ROOT, serve, ServeProcess, signal, temporaryFolder, until } from './serve-process.ts';
import { startHeldService, startQuickService, startService } from './upstream.ts';

const USERS = [{ username: 'alice', password: 'alice', roles: [] }];

/** Changes the file and waits for the outcome. */
async function change(process: ServeProcess, config: object, event = 'reloaded'): Promise<void> {
  const from = process.lines.length;
  process.configure(config);
  await process.logged(event, from);
}

async function start(config: object, realm: RealmServer) {
  const running = await serve({ realms: [realm.settings], ...config });
  return { ...running, headers: { authorization: `Bearer ${await realm.token()}` } };
}

describe('a changed configuration', () => {
  test.each(['SIGHUP', 'the file alone'])('is in force in every worker after %s', async (cause) => {
    const [first, second] = await Promise.all([
      startService((_request, response) => response.end('first')),
      startService((_request, response) => response.end('second')),
    ]);
    const realm = await RealmServer.start();
    const base = { realms: [realm.settings], gateway: { workers: 2 } };
    const changing = { name: 'changing', endpoint: '/changing' };
    const { process, gateway, headers } = await start(
      {
        ...base,
        routes: [
          { ...changing, upstream: [first] },
          { name: 'removed', endpoint: '/removed', upstream: [first] },
        ],
      },
      realm,
    );

    process.configure({
      ...base,
      routes: [
        { ...changing, upstream: [second] },
        { name: 'added', endpoint: '/added', upstream: [first] },
      ],
    });
    if (cause === 'SIGHUP') process.kill('SIGHUP');
    await process.logged('reloaded');

    // Connections are dealt out in turn: each path is asked of both workers.
    for (let i = 0; i < 2; i++) {
      const ask = async (path: string) => {
        const request = httpRequest(`${gateway}${path}`, { agent: false, headers });
        request.end();
        const [response] = (await once(request, 'response')) as [IncomingMessage];
        return [response.statusCode, await text(response)];
      };
      await until(async () => (await ask('/changing'))[1] === 'second');
      expect(await ask('/added')).toEqual([200, 'first']);
      expect((await ask('/removed'))[0]).toBe(404);
    }
    expect(new Set(process.workers())).toHaveLength(2);
  });

  test('whose static route takes the endpoint of a service says so, and the static route wins', async () => {
    const realm = await RealmServer.start();
    const base = {
      services: { local: { portRange: await portRange() } },
      example: { directory: join(ROOT, 'config/examples/hello') },
    };
    const { process, gateway, headers } = await start(base, realm);
    const other = await startService((_request, response) => response.end('static'));

    await change(process, {
      realms: [realm.settings],
      ...base,
      routes: [{ name: 'other', endpoint: '/hello', upstream: [other] }],
    });

    const warning = await process.logged('service-shadowed');
    expect(warning).toMatchObject({ route: 'other', service: 'hello', endpoint: '/hello' });
    await until(async () => (await (await fetch(`${gateway}/hello`, { headers })).text()) === 'static');
  });

  test('fails no request while it takes its place, again and again', async () => {
    const service = await startQuickService();
    const realm = await RealmServer.start();
    const other = await RealmServer.start();
    const routes = [{ name: 'kept', endpoint: '/kept', upstream: [service], realm: 'demo' }];
    const more = Array.from({ length: 50 }, (_, i) => ({
      name: `r${i}`,
      endpoint: `/r${i}`,
      upstream: [service],
      realm: 'other',
    }));
    const small = { realms: [realm.settings], gateway: { workers: 2 }, routes };
    const large = {
      ...small,
      realms: [realm.settings, { ...other.settings, name: 'other' }],
      routes: [...routes, ...more],
    };
    const { process, gateway, headers } = await start(small, realm);
    const statuses = new Map<number, number>();
    let go = true;
    const load = async (): Promise<void> => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      while (go) {
        const request = httpRequest(`${gateway}/kept`, { agent, headers });
        request.end();
        const [response] = (await once(request, 'response')) as [IncomingMessage];
        await text(response);
        statuses.set(response.statusCode!, (statuses.get(response.statusCode!) ?? 0) + 1);
      }
      agent.destroy();
    };
    const loads = [load(), load(), load(), load()];

    for (let i = 0; i < 6; i++) await change(process, i % 2 === 0 ? large : small);
    go = false;
    await Promise.all(loads);

    expect([...statuses.keys()]).toEqual([200]);
  });

  test('that is invalid is refused with its faults, and the running one stays', async () => {
    const service = await startQuickService();
    const realm = await RealmServer.start();
    const config = { realms: [realm.settings], routes: [{ name: 'a', endpoint: '/a', upstream: [service] }] };
    const { process, gateway, admin, headers } = await start(config, realm);

    await change(
      process,
      { ...config, routes: [{ name: 'b', endpoint: 'b', upstream: [] }] },
      'reload-refused',
    );

    const refusal = await process.logged('reload-refused');
    expect(refusal['level']).toBe('error');
    expect(refusal['faults']).toEqual([
      expect.stringMatching(/realmgate\.json:\d+:\d+: .*endpoint/),
      expect.stringMatching(/realmgate\.json:\d+:\d+: .*upstream/),
    ]);
    expect((await fetch(`${gateway}/a`, { headers })).status).toBe(200);
    const metrics = await (await fetch(`${admin}/metrics`)).text();
    expect(metrics).toMatch(/realmgate_config_reloads_total\{result="refused"\} 1/);
    // And the next valid one is taken.
    await change(process, { ...config, routes: [] });
    expect((await fetch(`${gateway}/a`, { headers })).status).toBe(404);
    expect(await (await fetch(`${admin}/metrics`)).text()).toMatch(
      /realmgate_config_reloads_total\{result="applied"\} 1/,
    );
  });

  test('that named a file which was not there yet is in force once the file is there', async () => {
    const realm = await RealmServer.start();
    const { process } = await serve({ realms: [realm.settings] });
    const secret = join(temporaryFolder(), 'secret');
    const introspection = { clientId: 'gateway', clientSecret: `\${file:${secret}}` };
    await change(process, { realms: [{ ...realm.settings, introspection }] }, 'reload-refused');
    writeFileSync(secret, 's3cret');

    await process.logged('reloaded');
  });

  test('names each setting that needs a restart, and changes the rest', async () => {
    const service = await startQuickService();
    const realm = await RealmServer.start();
    const folder = temporaryFolder();
    const { process, gateway, headers } = await start({ gateway: { workers: 1 } }, realm);

    await change(process, {
      realms: [realm.settings],
      dataDir: join(folder, 'other'),
      gateway: {
        listen: `127.0.0.1:${await freePort()}`,
        workers: 2,
        limits: { headerBytes: '16KiB' },
        timeouts: { header: '5s' },
      },
      admin: { listen: `127.0.0.1:${await freePort()}`, realm: 'demo' },
      embeddedRealm: { listen: `127.0.0.1:${await freePort()}`, name: 'demo', users: USERS },
      services: { local: { portRange: '25000-25099' } },
      example: { directory: join(ROOT, 'config/examples/hello') },
      routes: [{ name: 'new', endpoint: '/new', upstream: [service] }],
    });

    const warning = await process.logged('restart-needed');
    expect(warning['settings']).toEqual([
      'dataDir',
      'gateway.listen',
      'gateway.workers',
      'gateway.limits.headerBytes',
      'gateway.timeouts.header',
      'admin.listen',
      'embeddedRealm',
      'services.local',
      'example',
    ]);
    expect((await fetch(`${gateway}/new`, { headers })).status).toBe(200);
    expect(process.workers()).toHaveLength(1);
  });

  test('during the start is in force after it', async () => {
    const service = await startQuickService();
    const realm = await RealmServer.start();
    // Its realm keeps the start waiting until the file has changed.
    const waiting = Promise.withResolvers<() => void>();
    const slow = createServer((socket) => waiting.resolve(() => void socket.destroy())).listen(
      0,
      '127.0.0.1',
    );
    await once(slow, 'listening');
    onTestFinished(() => void slow.close());
    const { port } = slow.address() as { port: number };
    const before = { name: 'slow', url: `http://127.0.0.1:${port}/auth/realms/slow` };
    const process = new ServeProcess({ realms: [before], admin: { realm: 'slow' } });
    const goOn = await waiting.promise;

    process.configure({
      realms: [realm.settings],
      routes: [{ name: 'a', endpoint: '/a', upstream: [service] }],
    });
    process.kill('SIGHUP');
    slow.close();
    goOn();
    const { gateway } = await process.listening();
    await process.logged('reloaded');

    const headers = { authorization: `Bearer ${await realm.token()}` };
    await until(async () => (await fetch(`${gateway}/a`, { headers })).status === 200);
  });

  test('that comes many times at once is read one time after the other, and the last one stays', async () => {
    const service = await startQuickService();
    const realm = await RealmServer.start();
    const { process, gateway, headers } = await start({}, realm);
    const withRoute = (name: string) => ({
      realms: [realm.settings],
      routes: [{ name, endpoint: `/${name}`, upstream: [service] }],
    });

    for (let i = 0; i < 20; i++) {
      process.configure(withRoute(`r${i}`));
      process.kill('SIGHUP');
    }

    await until(async () => (await fetch(`${gateway}/r19`, { headers })).status === 200);
    expect((await fetch(`${gateway}/r18`, { headers })).status).toBe(404);
    expect(await process.stop()).toEqual({ code: 0, signal: null });
    expect(process.log().filter(({ event }) => event === 'reload-failed')).toEqual([]);
  });

  test('during the drain changes nothing and delays nothing', async () => {
    const service = await startHeldService();
    const realm = await RealmServer.start();
    const config = { realms: [realm.settings] };
    const { process, gateway, admin, headers } = await start(
      { ...config, routes: [{ name: 'held', endpoint: '/held', upstream: [service.origin] }] },
      realm,
    );
    const answer = fetch(`${gateway}/held`, { headers });
    const { response } = await service.next();

    process.kill('SIGTERM');
    // The system delivers signals in an order of its own: the drain has to be seen before the next one is sent.
    await until(async () => (await (await fetch(`${admin}/readyz`)).text()).includes('shutting down'));
    process.configure({ ...config, routes: [] });
    process.kill('SIGHUP');
    // The signal is there before the second of these is answered, and a reload would be waited for at the end.
    for (let i = 0; i < 2; i++) await (await fetch(`${admin}/healthz`)).text();
    response.end('held');

    expect(await (await answer).text()).toBe('held');
    expect(await process.exited).toEqual({ code: 0, signal: null });
    expect(process.log().filter(({ event }) => event === 'reloaded')).toEqual([]);
  });
});

describe('TLS', () => {
  /** The certificate of services.example.com with its key, put in place as a renewal does. */
  function renew(folder: string): void {
    for (const kind of ['key', 'crt']) {
      copyFileSync(join(ROOT, `test/config/tls/server.${kind}`), join(folder, `new.${kind}`));
      renameSync(join(folder, `new.${kind}`), join(folder, `tls.${kind}`));
    }
  }

  async function nameShown(gateway: string): Promise<string | undefined> {
    const socket = connect({
      port: Number(new URL(gateway).port),
      host: '127.0.0.1',
      rejectUnauthorized: false,
    });
    await once(socket, 'secureConnect');
    const name = socket.getPeerCertificate().subject.CN;
    socket.destroy();
    return Array.isArray(name) ? name[0] : name;
  }

  async function startSecure() {
    const folder = temporaryFolder();
    copyFileSync(join(ROOT, 'test/fixtures/tls/localhost.crt'), join(folder, 'tls.crt'));
    copyFileSync(join(ROOT, 'test/fixtures/tls/localhost.key'), join(folder, 'tls.key'));
    const realm = await RealmServer.start();
    const config = {
      realms: [realm.settings],
      gateway: { workers: 2, tls: { cert: join(folder, 'tls.crt'), key: join(folder, 'tls.key') } },
    };
    return { folder, config, ...(await serve(config)) };
  }

  test('takes a renewed certificate in every worker when its files change', async () => {
    const { folder, process, gateway } = await startSecure();
    const before = await nameShown(gateway);

    renew(folder);
    await process.logged('reloaded');

    await until(async () => (await nameShown(gateway)) === 'services.example.com');
    expect([await nameShown(gateway), await nameShown(gateway)]).toEqual([
      'services.example.com',
      'services.example.com',
    ]);
    expect(before).toBe('localhost');
  });

  test('keeps the certificate in force when the new one does not fit its key', async () => {
    const { folder, process, gateway } = await startSecure();
    const before = await nameShown(gateway);

    copyFileSync(join(ROOT, 'test/config/tls/other.key'), join(folder, 'other.key'));
    writeFileSync(join(folder, 'tls.key'), readFileSync(join(folder, 'other.key')));
    await process.logged('reload-refused');

    expect([await nameShown(gateway), await nameShown(gateway)]).toEqual([before, before]);
    // Those that replace them have the same: what the files say now was refused.
    for (const pid of process.workers()) signal(pid, 'SIGKILL');
    await process.logged('worker-died');
    expect(await nameShown(gateway)).toBe(before);
  });

  test('stays on in a replacement worker when the file no longer asks for it', async () => {
    const { config, process, gateway } = await startSecure();
    const before = await nameShown(gateway);
    await change(process, { ...config, gateway: { workers: 2 } });
    expect((await process.logged('restart-needed'))['settings']).toEqual(['gateway.tls']);

    for (const pid of process.workers()) signal(pid, 'SIGKILL');
    await process.logged('worker-died');

    expect(await nameShown(gateway)).toBe(before);
  });
});
