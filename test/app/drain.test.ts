import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

import { describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';

import { SourceRepository, temporaryDirectory } from '../control/git/source-repository.ts';
import { portRange } from '../support/free-port.ts';
import { RealmServer } from './realm-server.ts';
import { ROOT, runs, serve, servicesOf, type ServeProcess, until } from './serve-process.ts';
import { startHeldService, startService } from './upstream.ts';

interface Started {
  readonly process: ServeProcess;
  readonly gateway: string;
  readonly admin: string;
  readonly authorization: string;
}

async function start(origin: string, drain = '20s'): Promise<Started> {
  const realm = await RealmServer.start();
  const running = await serve({
    realms: [realm.settings],
    gateway: { timeouts: { drain } },
    routes: [{ name: 'service', endpoint: '/', upstream: [origin] }],
  });
  return { ...running, authorization: `Bearer ${await realm.token()}` };
}

/** Sends a request on a connection of `agent` and resolves with the response's head. */
async function call(
  { gateway, authorization }: Started,
  agent: Agent,
  options: { method?: string; body?: string } = {},
): Promise<IncomingMessage> {
  const request = httpRequest(gateway, {
    agent,
    method: options.method ?? 'GET',
    headers: { authorization },
  });
  request.end(options.body);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  request.on('error', () => undefined); // a cut in the body: the response tells of it too
  return response;
}

function agent(): Agent {
  const made = new Agent({ keepAlive: true });
  onTestFinished(() => made.destroy());
  return made;
}

async function refused(url: string): Promise<boolean> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  const [kind] = await Promise.race([
    once(socket, 'connect').then(() => ['connected']),
    once(socket, 'close').then(() => ['refused']),
  ]).catch(() => ['refused']);
  socket.destroy();
  return kind === 'refused';
}

describe.each(['SIGTERM', 'SIGINT'] as const)('%s', (name) => {
  test('lets a slow answer finish, refuses new connections, tells readyz, and exits 0', async () => {
    const service = await startHeldService();
    const started = await start(service.origin);
    const answer = call(started, agent());
    const { response } = await service.next();
    response.write('first ');

    started.process.kill(name);

    const head = await answer;
    await until(() => refused(started.gateway));
    const ready = await fetch(`${started.admin}/readyz`);
    expect(ready.status).toBe(503);
    expect(await ready.text()).toContain('the gateway is shutting down');
    expect((await fetch(`${started.admin}/healthz`)).status).toBe(200);
    response.end('last');
    expect(await text(head)).toBe('first last');
    expect(await started.process.exited).toEqual({ code: 0, signal: null });
  });
});

describe('a drain', () => {
  test('lets an upload in progress finish', async () => {
    const received: string[] = [];
    const service = await startService((request, response) => {
      void text(request).then((body) => {
        received.push(body);
        response.end('stored');
      });
    });
    const started = await start(service);
    const { authorization } = started;
    const request = httpRequest(started.gateway, {
      agent: agent(),
      method: 'PUT',
      headers: { authorization },
    });
    request.write('first ');
    await until(() => started.process.log().length > 0);
    await until(async () => (await metric(started, 'realmgate_requests_in_flight')) === 1);

    started.process.kill('SIGTERM');
    await until(() => refused(started.gateway));
    request.end('last');

    const [response] = (await once(request, 'response')) as [IncomingMessage];
    expect(await text(response)).toBe('stored');
    expect(received).toEqual(['first last']);
    expect(await started.process.exited).toEqual({ code: 0, signal: null });
  });

  test('closes idle connections, and those in use with their answer', async () => {
    const service = await startHeldService();
    const started = await start(service.origin);
    const idle = agent();
    const busy = agent();
    const answer = call(started, idle);
    (await service.next()).response.end('done');
    const first = await answer;
    const closed = once(first.socket, 'close');
    await text(first);
    const late = call(started, busy);
    const { response } = await service.next();

    started.process.kill('SIGTERM');

    await closed;
    response.end('done');
    const head = await late;
    expect(head.headers.connection).toBe('close');
    expect(await text(head)).toBe('done');
    expect(await started.process.exited).toEqual({ code: 0, signal: null });
  });

  test('closes WebSockets with 1001', async () => {
    const sockets = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    await once(sockets, 'listening');
    onTestFinished(() => {
      for (const client of sockets.clients) client.terminate();
      sockets.close();
    });
    const { port } = sockets.address() as { port: number };
    const started = await start(`http://127.0.0.1:${port}`);
    const client = new WebSocket(started.gateway.replace('http', 'ws'), {
      headers: { authorization: started.authorization },
    });
    await once(client, 'open');
    const closed = once(client, 'close') as Promise<[number]>;

    started.process.kill('SIGTERM');

    expect((await closed)[0]).toBe(1001);
    expect(await started.process.exited).toEqual({ code: 0, signal: null });
  });

  test('cuts a stream that has not ended when the drain time is over', async () => {
    const service = await startHeldService();
    const started = await start(service.origin, '300ms');
    const answer = call(started, agent());
    const { response } = await service.next();
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: 1\n\n');
    const head = await answer;

    started.process.kill('SIGTERM');

    await expect(text(head)).rejects.toThrow();
    expect(await started.process.exited).toEqual({ code: 0, signal: null });
  });

  test('is cut short by a second signal', async () => {
    const service = await startHeldService();
    const started = await start(service.origin, '10m');
    const answer = call(started, agent());
    const { response } = await service.next();
    response.write('data: 1\n\n');
    const head = await answer;

    started.process.kill('SIGTERM');
    const insisting = setInterval(() => started.process.kill('SIGTERM'), 100);
    onTestFinished(() => clearInterval(insisting));

    await expect(text(head)).rejects.toThrow();
    expect(await started.process.exited).toEqual({ code: 0, signal: null });
  });

  test('takes the signals of one Ctrl-C for one', async () => {
    const service = await startHeldService();
    const started = await start(service.origin);
    const answer = call(started, agent());
    const { response } = await service.next();
    response.write('first ');

    for (let i = 0; i < 3; i++) started.process.kill('SIGINT');
    await until(() => refused(started.gateway));
    response.end('last');

    expect(await text(await answer)).toBe('first last');
    expect(await started.process.exited).toEqual({ code: 0, signal: null });
  });

  test('ends every process of the services, after the requests to them', async () => {
    const realm = await RealmServer.start();
    const { process, gateway } = await serve({
      realms: [realm.settings],
      services: { local: { portRange: await portRange() } },
      example: { directory: join(ROOT, 'config/examples/hello') },
    });
    const headers = { authorization: `Bearer ${await realm.token()}` };
    const events = await fetch(`${gateway}/hello/events`, { headers });
    expect(events.status).toBe(200);
    const processes = servicesOf(process);
    expect(processes.length).toBeGreaterThan(1);

    process.kill('SIGTERM');
    await until(() => refused(gateway));
    expect(processes.filter(runs)).toEqual(processes);
    await events.body?.cancel();

    expect(await process.exited).toEqual({ code: 0, signal: null });
    expect(processes.filter(runs)).toEqual([]);
  });
});

describe('the admin API', () => {
  /** A restart in progress, of a service that is not ready before `open` was called. */
  async function startRestart(drain: string) {
    const realm = await RealmServer.start();
    const gate = join(temporaryDirectory(), 'open');
    const source = new SourceRepository();
    source.commit({
      // It takes longer than what a listener gives to answers that are on their way.
      'run.sh': `until [ -e '${gate}' ]; do sleep 0.05; done; sleep 1.5; exec node server.mjs`,
      'server.mjs':
        "import { createServer } from 'node:http'; createServer((_, a) => a.end()).listen(process.env.PORT, '127.0.0.1');",
    });
    const running = await serve({
      realms: [realm.settings],
      gateway: { timeouts: { drain } },
      services: { local: { portRange: await portRange() } },
    });
    const token = await realm.token({ realm_access: { roles: ['realmgate-developer'] } });
    const ask = (method: string, path: string, body?: object): Promise<Response> =>
      fetch(`${running.admin}/api/v1/services${path}`, {
        method,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
    const git = { repository: source.url };
    await ask('POST', '', { name: 'slow', endpoint: '/slow', path: 'run.sh', git });
    const logs = (await ask('GET', '/slow/logs?follow=true')).body!.pipeThrough(new TextDecoderStream());
    const reader = logs.getReader();
    expect((await reader.read()).value).toContain('Starts');
    const restart = ask('POST', '/slow/restart');
    await until(async () => (await (await ask('GET', '/slow/events')).text()).includes('"restart"'));
    return { ...running, ask, restart, reader, open: () => writeFileSync(gate, '') };
  }

  test('answers what it was asked before, and nothing that comes later', async () => {
    const { process, ask, restart, reader, open } = await startRestart('20s');

    process.kill('SIGTERM');

    await until(async () => (await ask('GET', '/slow')).status === 503);
    while (!(await reader.read()).done); // a cut would reject
    open();
    expect(await (await restart).json()).toMatchObject({ name: 'slow', status: 'running' });
    expect(await process.exited).toEqual({ code: 0, signal: null });
  });

  test('refuses what is not done when the drain time is over', async () => {
    const { process, restart } = await startRestart('300ms');

    process.kill('SIGTERM');

    expect(await (await restart).json()).toMatchObject({ status: 503, code: 'service_unavailable' });
    expect(await process.exited).toEqual({ code: 0, signal: null });
  });
});

async function metric({ admin }: Started, name: string): Promise<number> {
  const exposed = await (await fetch(`${admin}/metrics`)).text();
  return Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (.*)$`, 'm').exec(exposed)?.[1]);
}
