import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import type { Rate, Route } from '../../src/contracts/settings.ts';
import {
  issueToken,
  route,
  startGateway,
  startRawUpstream,
  startUpstream,
  type TestGateway,
} from '../support/gateway.ts';
import { freePort } from '../support/free-port.ts';
import { headerValues } from '../support/parse-responses.ts';
import { ask, json } from './realm-wire.ts';

const ALICE = `Authorization: Bearer ${await issueToken()}`;
const BOB = `Authorization: Bearer ${await issueToken({ sub: 'bob-id' })}`;

function rated(rate: Rate, perIdentity: boolean): Route['limit'] {
  return { rate, perIdentity, concurrency: null };
}

function atOnce(concurrency: number): Route['limit'] {
  return { rate: null, perIdentity: true, concurrency };
}

/** Whether all places of the route `hello` are free. */
function allFree({ control }: TestGateway): boolean {
  const free = control.places.enter(99, 'route:hello', 1);
  control.places.leaveAll(99);
  return free;
}

/** A service whose answers wait until the test ends them, and a gateway that lets one request at a time to it. */
async function startHolding(limit: Route['limit'] = atOnce(1)) {
  const held: ServerResponse[] = [];
  const upstream = await startUpstream((_, response) => void held.push(response));
  const wire = await startGateway({ routes: [route({ upstream: [upstream.origin], limit })] });
  return { wire, held, upstream };
}

function open({ port }: TestGateway) {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(`GET /hello HTTP/1.1\r\nHost: a\r\n${ALICE}\r\n\r\n`);
  return socket;
}

test('a rate per identity counts each caller alone, and says when to come back', async () => {
  const upstream = await startUpstream();
  const limit = rated({ count: 2, window: 60_000 }, true);
  const { port } = await startGateway({ routes: [route({ upstream: [upstream.origin], limit })] });
  for (let i = 0; i < 2; i++) expect((await ask(port, 'GET', '/hello', [ALICE])).status).toBe(200);
  const refused = await ask(port, 'GET', '/hello', [ALICE]);
  expect(json(refused)).toMatchObject({ status: 429, code: 'rate_limited' });
  expect(headerValues(refused, 'retry-after')).toEqual(['30']);
  const renewed = `Authorization: Bearer ${await issueToken({ sid: 'another' })}`;
  expect((await ask(port, 'GET', '/hello', [renewed])).status).toBe(429);
  expect((await ask(port, 'GET', '/hello', [BOB])).status).toBe(200);
  expect(upstream.seen).toHaveLength(3);
});

test('a rate for all counts everybody together', async () => {
  const upstream = await startUpstream();
  const limit = rated({ count: 2, window: 60_000 }, false);
  const { port } = await startGateway({ routes: [route({ upstream: [upstream.origin], limit })] });
  const statuses: number[] = [];
  for (const token of [ALICE, BOB, ALICE, BOB]) {
    statuses.push((await ask(port, 'GET', '/hello', [token])).status);
  }
  expect(statuses).toEqual([200, 200, 429, 429]);
});

test('callers without a token are told apart by address, IPv6 by its /64', async () => {
  const upstream = await startUpstream();
  const limit = rated({ count: 1, window: 60_000 }, true);
  const { port } = await startGateway({
    settings: { trustedProxies: ['127.0.0.1'] },
    routes: [route({ upstream: [upstream.origin], limit, public: true })],
  });
  const from = async (address: string, ...more: string[]) =>
    (await ask(port, 'GET', '/hello', [`X-Forwarded-For: ${address}`, ...more])).status;
  expect(await from('203.0.113.1')).toBe(200);
  expect(await from('203.0.113.1')).toBe(429);
  expect(await from('203.0.113.2')).toBe(200);
  expect(await from('2001:db8::1')).toBe(200);
  expect(await from('2001:db8::2')).toBe(429);
  expect(await from('203.0.113.1', ALICE)).toBe(200);
});

test('requests that policy refuses count against no limit', async () => {
  const upstream = await startUpstream();
  const { port } = await startGateway({
    routes: [
      route({
        upstream: [upstream.origin],
        limit: rated({ count: 1, window: 60_000 }, false),
        access: { roles: ['realm:editor'], scopes: [], clients: [] },
      }),
    ],
  });
  for (let i = 0; i < 3; i++) {
    expect((await ask(port, 'GET', '/hello')).status).toBe(401);
    expect((await ask(port, 'GET', '/hello', [ALICE])).status).toBe(403);
  }
  const editor = await issueToken({ realm_access: { roles: ['editor'] } });
  expect((await ask(port, 'GET', '/hello', [`Authorization: Bearer ${editor}`])).status).toBe(200);
});

test('over the concurrency limit it is 503 overloaded, and the place of an answered request is free again', async () => {
  const { wire, held } = await startHolding();
  const first = ask(wire.port, 'GET', '/hello', [ALICE]);
  await expect.poll(() => held.length).toBe(1);
  const refused = await ask(wire.port, 'GET', '/hello', [BOB]);
  expect(json(refused)).toMatchObject({ status: 503, code: 'overloaded' });
  expect(headerValues(refused, 'retry-after')).toEqual(['1']);
  held[0]!.end('ok');
  expect((await first).status).toBe(200);
  const second = ask(wire.port, 'GET', '/hello', [BOB]);
  await expect.poll(() => held.length).toBe(2);
  held[1]!.end('ok');
  expect((await second).status).toBe(200);
  expect(allFree(wire)).toBe(true);
});

test('a client that leaves while its service works gives its place back', async () => {
  const { wire, held } = await startHolding();
  const socket = open(wire);
  await expect.poll(() => held.length).toBe(1);
  expect(allFree(wire)).toBe(false);
  socket.destroy();
  await expect.poll(() => allFree(wire)).toBe(true);
  expect(wire.gateway.inFlight).toBe(0);
});

test('a client that leaves while it waits for a place gives it back as soon as it comes', async () => {
  const { wire, held } = await startHolding();
  const granting = Promise.withResolvers<undefined>();
  let asked = false;
  const enter = wire.control.enter.bind(wire.control);
  wire.control.enter = async (key, limit) => {
    asked = true;
    await granting.promise;
    return enter(key, limit);
  };
  const socket = open(wire);
  await expect.poll(() => asked).toBe(true);
  socket.destroy();
  await expect.poll(() => wire.gateway.inFlight).toBe(0);
  let left = 0;
  const leave = wire.control.leave.bind(wire.control);
  wire.control.leave = (key) => {
    left++;
    leave(key);
  };
  granting.resolve(undefined);
  await expect.poll(() => left).toBe(1);
  expect(allFree(wire)).toBe(true);
  expect(held).toEqual([]);
});

test('a client that leaves while its rate is asked for takes no place at all', async () => {
  const { wire } = await startHolding({
    rate: { count: 9, window: 1000 },
    perIdentity: false,
    concurrency: 1,
  });
  const verdict = Promise.withResolvers<{ ok: true }>();
  let asked = false;
  let entered = false;
  wire.control.takeRate = () => {
    asked = true;
    return verdict.promise;
  };
  wire.control.enter = () => {
    entered = true;
    return Promise.resolve(true);
  };
  const socket = open(wire);
  await expect.poll(() => asked).toBe(true);
  socket.destroy();
  await expect.poll(() => wire.gateway.inFlight).toBe(0);
  verdict.resolve({ ok: true });
  await new Promise(setImmediate);
  expect(entered).toBe(false);
});

test.each([
  ['that cannot be reached', async () => ({ origin: `http://127.0.0.1:${await freePort()}` })],
  ['that resets the connection', () => startRawUpstream((socket) => void socket.resetAndDestroy())],
  ['that answers nonsense', () => startRawUpstream((socket) => void socket.write('nonsense\r\n\r\n'))],
])('a service %s gives the place back', async (_, start) => {
  const { origin } = await start();
  const wire = await startGateway({ routes: [route({ upstream: [origin], limit: atOnce(1) })] });
  for (let i = 0; i < 3; i++) expect((await ask(wire.port, 'GET', '/hello', [ALICE])).status).toBe(502);
  expect(allFree(wire)).toBe(true);
});

test('a route without a healthy address gives the place back', async () => {
  const upstream = await startUpstream();
  const wire = await startGateway({
    routes: [route({ upstream: [upstream.origin], limit: atOnce(1) })],
  });
  wire.gateway.apply({ unhealthy: [upstream.origin] });
  for (let i = 0; i < 3; i++) {
    expect(json(await ask(wire.port, 'GET', '/hello', [ALICE]))).toMatchObject({
      code: 'service_unavailable',
    });
  }
  expect(allFree(wire)).toBe(true);
});

test('a stream that is cut at the end of its token’s life gives the place back', async () => {
  const upstream = await startUpstream((_, response) => void response.write('first'));
  const wire = await startGateway({
    routes: [route({ upstream: [upstream.origin], limit: atOnce(1) })],
  });
  const exp = Math.floor(Date.now() / 1000) + 2;
  const socket = connect(wire.port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(
    `GET /hello HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${await issueToken({ exp })}\r\n\r\n`,
  );
  await once(socket, 'data');
  expect(allFree(wire)).toBe(false);
  await new Promise((closed) => socket.once('close', closed)); // with a reset, which `once` would throw
  expect(allFree(wire)).toBe(true);
  expect(wire.gateway.inFlight).toBe(0);
});

test('a WebSocket holds its place until it is closed', async () => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  onTestFinished(() => server.close());
  const { port } = server.address() as { port: number };
  const wire = await startGateway({
    routes: [route({ upstream: [`http://127.0.0.1:${port}`], limit: atOnce(1) })],
  });
  const headers = { authorization: ALICE.slice('Authorization: '.length) };
  const socket = new WebSocket(`ws://127.0.0.1:${wire.port}/hello`, { headers });
  await once(socket, 'open');
  const refused = await ask(wire.port, 'GET', '/hello', [ALICE]);
  expect(json(refused)).toMatchObject({ code: 'overloaded' });
  socket.close();
  await once(socket, 'close');
  await expect.poll(() => allFree(wire)).toBe(true);
});

test('a WebSocket handshake over the limit is refused like any request', async () => {
  const { wire, held } = await startHolding();
  const first = open(wire);
  await expect.poll(() => held.length).toBe(1);
  const headers = { authorization: ALICE.slice('Authorization: '.length) };
  const socket = new WebSocket(`ws://127.0.0.1:${wire.port}/hello`, { headers });
  const [error] = (await once(socket, 'error')) as [Error];
  expect(error.message).toContain('503');
  first.destroy();
  await expect.poll(() => allFree(wire)).toBe(true);
});

test('places of a route outlive a change of its limit', async () => {
  const { wire, held, upstream } = await startHolding();
  const first = ask(wire.port, 'GET', '/hello', [ALICE]);
  await expect.poll(() => held.length).toBe(1);
  wire.gateway.apply({ routes: [route({ upstream: [upstream.origin], limit: atOnce(2) })] });
  const second = ask(wire.port, 'GET', '/hello', [ALICE]);
  await expect.poll(() => held.length).toBe(2);
  expect((await ask(wire.port, 'GET', '/hello', [ALICE])).status).toBe(503);
  wire.gateway.apply({ routes: [route({ upstream: [upstream.origin] })] });
  for (const response of held) response.end();
  expect((await first).status).toBe(200);
  expect((await second).status).toBe(200);
  expect(allFree(wire)).toBe(true);
});
