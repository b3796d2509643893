import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';

import { describe, expect, onTestFinished, test } from 'vitest';

import { portRange } from '../support/free-port.ts';
import { findPart, requireParts } from '../support/require.ts';
import { RealmServer } from './realm-server.ts';
import {
  childrenOf,
  ROOT,
  runs,
  serve,
  servicesOf,
  ServeProcess,
  signal,
  temporaryFolder,
  until,
} from './serve-process.ts';
import { startHeldService, startQuickService } from './upstream.ts';

async function start(workers: number, origin: string) {
  const realm = await RealmServer.start();
  const running = await serve({
    realms: [realm.settings],
    gateway: { workers },
    routes: [{ name: 'service', endpoint: '/', upstream: [origin] }],
  });
  return { ...running, realm, headers: { authorization: `Bearer ${await realm.token()}` } };
}

async function canListen(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1');
  const free = await once(server, 'listening').then(
    () => true,
    () => false,
  );
  server.close();
  return free;
}

async function total(admin: string, name: string): Promise<number> {
  const exposed = await (await fetch(`${admin}/metrics`)).text();
  return exposed
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

describe('kill -9 of a worker', () => {
  test.each([1, 2])('of %i: every new connection is accepted and served', async (workers) => {
    const { process, gateway, headers } = await start(workers, await startQuickService());
    const killed = process.workers();
    const statuses: number[] = [];
    let go = true;
    const load = async (): Promise<void> => {
      while (go) {
        // A connection of its own each time: none of them was on the worker when it died, or it fails the test.
        const request = httpRequest(gateway, { agent: false, headers });
        request.end();
        const [response] = (await once(request, 'response')) as [IncomingMessage];
        response.resume();
        await once(response, 'end');
        statuses.push(response.statusCode!);
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    const loads = [load()];
    await until(() => statuses.length > 20);
    go = false;
    await Promise.all(loads);

    for (const pid of killed) signal(pid, 'SIGKILL');
    await until(() => !killed.some(runs));
    const answers = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const request = httpRequest(gateway, { agent: false, headers });
        request.end();
        const [response] = (await once(request, 'response')) as [IncomingMessage];
        response.resume();
        return response.statusCode;
      }),
    );

    expect(new Set([...statuses, ...answers])).toEqual(new Set([200]));
    await process.logged('worker-died');
    expect(process.workers().filter((pid) => killed.includes(pid))).toEqual([]);
  });

  test('costs the requests in flight on it and no others', async () => {
    const service = await startHeldService();
    const { process, gateway, headers } = await start(2, service.origin);
    const send = () => {
      const request = httpRequest(gateway, { agent: false, headers });
      request.end();
      return once(request, 'response').then(
        async ([response]) => text(response as IncomingMessage),
        () => 'lost',
      );
    };
    // Dealt out in turn: one on each worker.
    const answers = [send()];
    const held = [await service.next()];
    answers.push(send());
    held.push(await service.next());

    signal(process.workers()[0]!, 'SIGKILL');
    await process.logged('worker-died');
    for (const { response } of held) response.end('served');

    expect((await Promise.all(answers)).toSorted()).toEqual(['lost', 'served']);
  });

  test('lowers no counter, and is counted', async () => {
    const { process, gateway, admin, headers } = await start(2, await startQuickService());
    for (let i = 0; i < 10; i++) await (await fetch(gateway, { headers })).text();
    const before = await total(admin, 'realmgate_requests_total');
    expect(before).toBe(10);

    signal(process.workers()[0]!, 'SIGKILL');
    await process.logged('worker-died');

    expect(await total(admin, 'realmgate_requests_total')).toBe(10);
    await until(async () => (await fetch(`${admin}/readyz`)).status === 200);
    for (let i = 0; i < 4; i++) await (await fetch(gateway, { headers })).text();
    expect(await total(admin, 'realmgate_requests_total')).toBe(14);
    expect(await total(admin, 'realmgate_worker_restarts_total')).toBe(1);
  });

  test('makes readyz 503 until the replacement serves', async () => {
    const { process, admin } = await start(2, await startQuickService());

    signal(process.workers()[0]!, 'SIGKILL');
    await process.logged('worker-died');

    const answer = await fetch(`${admin}/readyz`);
    expect(answer.status).toBe(503);
    expect(await answer.text()).toContain('1 of 2 workers accept connections');
    await until(async () => (await fetch(`${admin}/readyz`)).status === 200);
  });

  test('again and again is answered with growing pauses', async () => {
    const { process } = await start(1, await startQuickService());
    const deaths = () => process.log().filter((line) => line['event'] === 'worker-died');

    for (let i = 1; i <= 4; i++) {
      await until(() => process.workers().length === 1);
      signal(process.workers()[0]!, 'SIGKILL');
      await until(() => deaths().length === i);
    }

    const pauses = deaths().map((line) => line['replacedInMs'] as number);
    // How long the first one lived depends on the machine: long enough to be no young death, or not.
    expect(pauses.filter((pause) => pause > 0).slice(0, 2)).toEqual([1000, 2000]);
  });
});

describe('a worker without free file descriptors', () => {
  test('is told of, and serves again once it has some', async () => {
    const realm = await RealmServer.start();
    const { process, gateway } = await serve({ realms: [realm.settings] }, { openFiles: 60 });
    const port = Number(new URL(gateway).port);
    const sockets: Socket[] = [];
    const told = process.logged((line) => line['msg'] === 'The system refuses connections').then(() => true);
    // One by one, so that they fill the worker and not the queue of the primary, which is as short of descriptors.
    do {
      const socket = connect(port, '127.0.0.1').on('error', () => undefined);
      sockets.push(socket);
    } while (!(await Promise.race([told, delay(10, false)])));
    for (const socket of sockets) socket.destroy();

    await until(() => answers(gateway));
    expect(await process.stop()).toEqual({ code: 0, signal: null });
  });
});

/** Whether a request is answered on a connection of its own. */
async function answers(url: string): Promise<boolean> {
  const request = httpRequest(url, { agent: false, timeout: 5_000 });
  request.on('timeout', () => request.destroy()).end();
  const answered = await once(request, 'response').then(
    () => true,
    () => false,
  );
  request.destroy();
  return answered;
}

describe('a worker that ends before it serves', () => {
  test('ends the start with one line and exit 1', async () => {
    const folder = temporaryFolder();
    const preload = join(folder, 'preload.mjs');
    writeFileSync(preload, `if (process.argv[1]?.includes('gateway/worker')) process.exit(9);`);
    const realm = await RealmServer.start();
    const process = new ServeProcess(
      { realms: [realm.settings] },
      { folder, env: { NODE_OPTIONS: `--import ${preload}` } },
    );

    expect(await process.exited).toEqual({ code: 1, signal: null });
    expect(process.stderr).toBe(
      'realmgate: The workers cannot start: they end before they serve (exit code 9)\n',
    );
  });
});

describe('kill -9 of the primary', () => {
  test('ends the workers and frees the ports', async () => {
    const { process, gateway, admin } = await start(2, await startQuickService());
    const workers = process.workers();

    process.kill('SIGKILL');

    await process.exited;
    await until(() => !workers.some(runs));
    expect(await canListen(Number(new URL(gateway).port))).toBe(true);
    expect(await canListen(Number(new URL(admin).port))).toBe(true);
  });

  test('lets a request in progress finish', async () => {
    const service = await startHeldService();
    const { process, gateway, headers } = await start(1, service.origin);
    const request = httpRequest(gateway, { agent: false, headers });
    request.end();
    const { response } = await service.next();
    response.write('first ');
    const [head] = (await once(request, 'response')) as [IncomingMessage];

    process.kill('SIGKILL');
    await until(() => !runs(process.pid));
    response.end('last');

    expect(await text(head)).toBe('first last');
    await process.exited;
  });

  test('ends the services, and the next start runs them again', async () => {
    const realm = await RealmServer.start();
    const config = {
      realms: [realm.settings],
      services: { local: { portRange: await portRange() } },
      example: { directory: join(ROOT, 'config/examples/hello') },
    };
    const { process, gateway } = await serve(config);
    const headers = { authorization: `Bearer ${await realm.token()}` };
    expect((await fetch(`${gateway}/hello`, { headers })).status).toBe(200);
    const processes = servicesOf(process);
    expect(processes.length).toBeGreaterThan(0);

    process.kill('SIGKILL');
    await until(() => !runs(process.pid));
    const next = await serve(config, { folder: process.folder });

    expect((await fetch(`${next.gateway}/hello`, { headers })).status).toBe(200);
    await until(() => !processes.some(runs));
  });
});

describe.skipIf(!requireParts('old-node'))('kill -9 of the older Node that started the primary', () => {
  test('ends the primary, its workers and the listeners', async () => {
    const realm = await RealmServer.start();
    const { process, gateway } = await serve(
      { realms: [realm.settings], services: { driver: 'none' } },
      { node: findPart('old-node')! },
    );
    const [primary] = childrenOf(process.pid);
    const workers = childrenOf(primary!);
    expect(workers).toHaveLength(1);

    process.kill('SIGKILL');

    await process.exited;
    await until(() => ![primary!, ...workers].some(runs));
    expect(await canListen(Number(new URL(gateway).port))).toBe(true);
  });
});

describe('a primary that is stuck', () => {
  test('does not stop requests with known tokens on open connections', async () => {
    const { process, gateway, headers } = await start(1, await startQuickService());
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    onTestFinished(() => agent.destroy());
    const call = async (): Promise<number> => {
      const request = httpRequest(gateway, { agent, headers });
      request.end();
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      await text(response);
      return response.statusCode!;
    };
    expect(await call()).toBe(200);

    process.kill('SIGSTOP');
    const statuses = new Set<number>();
    for (let i = 0; i < 200; i++) statuses.add(await call());

    expect(statuses).toEqual(new Set([200]));
    process.kill('SIGCONT');
    expect(await process.stop()).toEqual({ code: 0, signal: null });
  });
});

describe('an error at the top of the primary', () => {
  async function startFaulty(fault: string) {
    const folder = temporaryFolder();
    const preload = join(folder, 'preload.mjs');
    writeFileSync(preload, `process.on('SIGUSR2', () => { ${fault} });`);
    const realm = await RealmServer.start();
    const service = await startHeldService();
    const running = await serve(
      { realms: [realm.settings], routes: [{ name: 's', endpoint: '/', upstream: [service.origin] }] },
      { folder, env: { NODE_OPTIONS: `--import ${preload}` } },
    );
    const headers = { authorization: `Bearer ${await realm.token()}` };
    return { ...running, service, headers };
  }

  test('is logged, requests in progress finish, and the exit code is 1', async () => {
    const { process, gateway, service, headers } = await startFaulty(`throw new Error('a bug')`);
    const answer = fetch(gateway, { headers });
    const { response } = await service.next();

    process.kill('SIGUSR2');
    const line = await process.logged((one) => one['level'] === 'fatal');
    response.end('served');

    expect(line['err']).toMatchObject({ message: 'a bug' });
    expect(await (await answer).text()).toBe('served');
    expect(await process.exited).toEqual({ code: 1, signal: null });
  });

  test('costs nothing more when it is a rejection', async () => {
    const { process, gateway, service, headers } = await startFaulty(
      `void Promise.reject(new Error('a bug'))`,
    );

    process.kill('SIGUSR2');
    await process.logged((one) => one['level'] === 'error');
    const answer = fetch(gateway, { headers });
    (await service.next()).response.end('served');

    expect(await (await answer).text()).toBe('served');
    expect(await process.stop()).toEqual({ code: 0, signal: null });
  });
});
