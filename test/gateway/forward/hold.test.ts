import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { connect } from 'node:net';
import { expect, onTestFinished, test, vi } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import type { Route } from '../../../src/contracts/settings.ts';
import { freePort } from '../../support/free-port.ts';
import {
  gatewaySettings,
  route,
  startGateway,
  startRawUpstream,
  startUpstream,
  type TestGateway,
  type TestGatewayOptions,
} from '../../support/gateway.ts';
import { headerValues } from '../../support/parse-responses.ts';
import { ask, openSession, TLS } from '../http2-client.ts';
import { bearer, bodyOf, exchangeRaw, expectAtRest, problemOf, responseTo, send } from './client.ts';

const { timeouts: TIMEOUTS } = gatewaySettings();
const GET = ['GET / HTTP/1.1'];

interface Wait {
  readonly route: string;
  readonly refused: string | null;
  readonly signal: AbortSignal;
  answer(ready: boolean): void;
}

/** A gateway with one service, and the waits that reach the primary. */
interface Held extends TestGateway {
  readonly waits: Wait[];
  publish(upstream: readonly string[], changes?: Partial<Route>): void;
  /** Resolves once so many waits have reached the primary. */
  waited(count: number): Promise<Wait>;
}

function service(upstream: readonly string[], changes: Partial<Route> = {}): Route {
  return route({ endpoint: '/', public: true, holdFor: 60_000, upstream, ...changes });
}

async function startHeld(
  upstream: readonly string[],
  changes: Partial<Route> = {},
  settings: TestGatewayOptions['settings'] = {},
): Promise<Held> {
  const running = await startGateway({ services: [service(upstream, changes)], settings });
  const waits: Wait[] = [];
  running.control.onAwait = (name, refused, signal) => {
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    signal.addEventListener('abort', () => reject(signal.reason as Error));
    waits.push({ route: name, refused, signal, answer: resolve });
    return promise;
  };
  return {
    ...running,
    waits,
    publish: (origins, later = {}) =>
      running.gateway.apply({ services: [service(origins, { ...changes, ...later })] }),
    async waited(count) {
      await vi.waitFor(() => expect(waits).toHaveLength(count), { timeout: 10_000, interval: 5 });
      return waits[count - 1]!;
    },
  };
}

/** A port that refuses connections until something is started on it. */
async function restartable(): Promise<{ origin: string; start(answer: RequestListener): Promise<Server> }> {
  const port = await freePort();
  return {
    origin: `http://127.0.0.1:${port}`,
    async start(answer) {
      const server = createServer(answer).listen(port, '127.0.0.1');
      await once(server, 'listening');
      onTestFinished(() => {
        server.close();
        server.closeAllConnections();
      });
      return server;
    },
  };
}

async function atRest(running: Held): Promise<void> {
  await expectAtRest(running);
  expect(running.gateway.holds.size).toBe(0);
  expect(running.gateway.match('', '/')?.group.held ?? 0).toBe(0);
}

test('a request for a service without a replica waits for the first one', async () => {
  const upstream = await startUpstream();
  const running = await startHeld([]);
  const answer = exchangeRaw(running.port, GET);
  const wait = await running.waited(1);
  expect(wait).toMatchObject({ route: 'hello', refused: null });
  running.publish([upstream.origin]);
  wait.answer(true);
  expect((await answer)[0]).toMatchObject({ status: 200, body: 'ok' });
  expect(upstream.seen).toHaveLength(1);
  expect(running.accessLog()).toMatchObject([{ status: 200, upstream: upstream.origin }]);
  await atRest(running);
});

test('where none comes, the answer is 503 with Retry-After', async () => {
  const running = await startHeld([]);
  const answer = exchangeRaw(running.port, GET);
  (await running.waited(1)).answer(false);
  const [response] = await answer;
  expect(problemOf(response!)).toEqual({ status: 503, code: 'service_unavailable' });
  expect(headerValues(response!, 'retry-after')).toEqual(['1']);
  await atRest(running);
});

test('a primary that does not answer ends the wait after holdFor, and is told so', async () => {
  const running = await startHeld([], { holdFor: 200 });
  const [response] = await exchangeRaw(running.port, GET);
  expect(problemOf(response!)).toEqual({ status: 503, code: 'service_unavailable' });
  expect(running.waits[0]!.signal.aborted).toBe(true);
  await atRest(running);
});

test('a primary that cannot be asked is told in the log, and the request is refused', async () => {
  const running = await startHeld([]);
  running.control.onAwait = () => {
    throw new Error('the channel is full');
  };
  const [response] = await exchangeRaw(running.port, GET);
  expect(problemOf(response!)).toEqual({ status: 503, code: 'service_unavailable' });
  expect(running.logged).toMatchObject([
    { fields: { route: 'hello', err: { message: 'the channel is full' } } },
  ]);
  await atRest(running);
});

test('a replica that refuses the connection is named to the primary, and the request goes to its successor', async () => {
  const gone = await restartable();
  const successor = await startUpstream();
  const running = await startHeld([gone.origin]);
  const answer = exchangeRaw(running.port, GET);
  const wait = await running.waited(1);
  expect(wait.refused).toBe(gone.origin);
  running.publish([successor.origin]);
  wait.answer(true);
  expect((await answer)[0]).toMatchObject({ status: 200, body: 'ok' });
  await atRest(running);
});

test('a request waits only once every replica has refused it', async () => {
  const [one, two] = [await restartable(), await restartable()];
  const running = await startHeld([one.origin, two.origin]);
  const answer = exchangeRaw(running.port, GET);
  const wait = await running.waited(1);
  expect([one.origin, two.origin]).toContain(wait.refused);
  await one.start((_request, response) => response.end('back'));
  wait.answer(true);
  expect((await answer)[0]).toMatchObject({ status: 200, body: 'back' });
  expect(running.waits).toHaveLength(1);
  await atRest(running);
});

test('a replica that is said to be ready and never is does not keep a request going', async () => {
  const flapping = await restartable();
  const running = await startHeld([flapping.origin]);
  let asked = 0;
  running.control.onAwait = () => Promise.resolve(++asked > 0);
  const [response] = await exchangeRaw(running.port, GET);
  expect(problemOf(response!)).toEqual({ status: 503, code: 'service_unavailable' });
  expect(asked).toBe(10);
  await atRest(running);
});

test('a reset after the request was sent is no reason to wait: it may have been served', async () => {
  const upstream = await startRawUpstream((socket) => socket.once('data', () => socket.destroy()));
  const running = await startHeld([upstream.origin]);
  const [response] = await exchangeRaw(running.port, ['POST / HTTP/1.1', 'Content-Length: 1'], 'x');
  expect(problemOf(response!)).toEqual({ status: 502, code: 'upstream_unreachable' });
  expect(running.waits).toHaveLength(0);
  await atRest(running);
});

test('a request that was sent on a dead connection, waited, and met another dead one is sent no third time', async () => {
  let requests = 0;
  const behave = (answered: number) =>
    startRawUpstream((socket) => {
      let here = 0;
      socket.on('data', () => {
        requests++;
        // The kept connection dies with the next request on it.
        if (here++ < answered) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
        else socket.destroy();
      });
    });
  const gone = await restartable();
  const server = await gone.start((_request, response) => response.end('ok'));
  const running = await startHeld([gone.origin]);
  expect((await exchangeRaw(running.port, GET))[0]!.status).toBe(200); // leaves a kept connection
  const other = await behave(1);
  running.gateway.apply({
    routes: [route({ name: 'other', endpoint: '/other', public: true, upstream: [other.origin] })],
  });
  expect((await exchangeRaw(running.port, ['GET /other HTTP/1.1']))[0]!.status).toBe(200);
  expect(requests).toBe(1);
  // Both kept connections are dead from here on, and the first service takes no new one.
  server.removeAllListeners('request').on('request', (request) => {
    requests++;
    server.close();
    request.socket.destroy();
  });

  const answer = exchangeRaw(running.port, GET);
  const wait = await running.waited(1);
  expect(wait.refused).toBe(gone.origin);
  running.publish([other.origin]);
  wait.answer(true);
  expect(problemOf((await answer)[0]!)).toEqual({ status: 502, code: 'upstream_unreachable' });
  expect(requests).toBe(3); // the first answered one, and this request twice
  await atRest(running);
});

test('a client that leaves ends its wait in the primary', async () => {
  const running = await startHeld([]);
  const request = send(running.port);
  request.end();
  const wait = await running.waited(1);
  request.destroy();
  await vi.waitFor(() => expect(wait.signal.aborted).toBe(true), { interval: 5 });
  await atRest(running);
});

test('a client that leaves in the middle of its body ends its wait; nothing of the body was read', async () => {
  const running = await startHeld([]);
  const request = send(running.port, { method: 'POST', headers: { 'content-length': 1024 * 1024 } });
  request.write(Buffer.alloc(16 * 1024));
  const wait = await running.waited(1);
  request.destroy();
  await vi.waitFor(() => expect(wait.signal.aborted).toBe(true), { timeout: 10_000, interval: 5 });
  expect(running.accessLog()).toMatchObject([{ bytesIn: 0 }]);
  await atRest(running);
});

test('a body that was not asked for yet stays with the client, and then arrives whole', async () => {
  const size = 32 * 1024 * 1024;
  const running = await startHeld([]);
  const hash = createHash('sha256');
  const upstream = await startUpstream((request, response) => {
    request
      .on('data', (chunk: Buffer) => hash.update(chunk))
      .on('end', () => response.end(hash.digest('hex')));
  });
  const body = Buffer.alloc(size, 'abcdefg');
  const request = send(running.port, { method: 'POST', headers: { 'content-length': size } });
  request.end(body);
  const answered = responseTo(request);
  const wait = await running.waited(1);
  running.publish([upstream.origin]);
  wait.answer(true);
  expect(await bodyOf(await answered)).toBe(createHash('sha256').update(body).digest('hex'));
  await atRest(running);
});

test('a body that came before the connection was refused is not lost', async () => {
  const gone = await restartable();
  const running = await startHeld([gone.origin]);
  const body = Buffer.alloc(8 * 1024 * 1024, 'abcdefg');
  const request = send(running.port, { method: 'PUT' }); // chunked
  request.end(body);
  const answered = responseTo(request);
  const wait = await running.waited(1);
  const hash = createHash('sha256');
  await gone.start((incoming, response) => {
    incoming
      .on('data', (chunk: Buffer) => hash.update(chunk))
      .on('end', () => response.end(hash.digest('hex')));
  });
  wait.answer(true);
  expect(await bodyOf(await answered)).toBe(createHash('sha256').update(body).digest('hex'));
  await atRest(running);
});

test('a client that sends on while its request waits is slowed down, and loses nothing', async () => {
  const gone = await restartable();
  const running = await startHeld([gone.origin]);
  const began = vi.spyOn(running.gateway, 'begin');
  const request = send(running.port, { method: 'POST' });
  request.write('first,');
  const answered = responseTo(request);
  const wait = await running.waited(1);
  const rest = 'second'.repeat(200_000);
  request.end(rest);
  // Some of it has come, and no more of it is taken.
  const [exchange] = began.mock.calls[0]!;
  await vi.waitFor(() => expect(exchange.bytesIn).toBeGreaterThan('first,'.length), { interval: 5 });
  const upstream = await startUpstream();
  running.publish([upstream.origin]);
  wait.answer(true);
  expect((await answered).statusCode).toBe(200);
  expect(upstream.seen[0]!.body === `first,${rest}`).toBe(true);
  await atRest(running);
});

test('the response time-out counts from the end of the wait', async () => {
  const gone = await restartable();
  const running = await startHeld([gone.origin], {}, { timeouts: { ...TIMEOUTS, response: 300 } });
  const upstream = await startUpstream((_request, response) => setTimeout(() => response.end(), 150));
  const answer = exchangeRaw(running.port, GET);
  const wait = await running.waited(1);
  await new Promise((resolve) => setTimeout(resolve, 600)); // longer than the time-out
  running.publish([upstream.origin]);
  wait.answer(true);
  expect((await answer)[0]!.status).toBe(200);
  await atRest(running);
});

test('a wait ends with the life of the token', async () => {
  const running = await startHeld([], { public: false });
  const { authorization } = await bearer({ exp: Math.floor(Date.now() / 1000) + 2 });
  const [response] = await exchangeRaw(running.port, [...GET, `Authorization: ${authorization}`]);
  expect(problemOf(response!)).toEqual({ status: 401, code: 'token_expired' });
  expect(running.waits).toHaveLength(1);
  await atRest(running);
});

test('who may not call the service does not wait for it', async () => {
  const running = await startHeld([], {
    public: false,
    access: { roles: ['realm:admin'], scopes: [], clients: [] },
  });
  expect((await exchangeRaw(running.port, GET))[0]!.status).toBe(401);
  const { authorization } = await bearer();
  expect((await exchangeRaw(running.port, [...GET, `Authorization: ${authorization}`]))[0]!.status).toBe(403);
  expect(running.waits).toHaveLength(0);
});

test('a policy that became stricter meanwhile counts when the wait is over', async () => {
  const upstream = await startUpstream();
  const running = await startHeld([], { public: false });
  const { authorization } = await bearer();
  const answer = exchangeRaw(running.port, [...GET, `Authorization: ${authorization}`]);
  const wait = await running.waited(1);
  running.publish([upstream.origin], { access: { roles: ['realm:admin'], scopes: [], clients: [] } });
  wait.answer(true);
  expect(problemOf((await answer)[0]!)).toEqual({ status: 403, code: 'access_denied' });
  expect(upstream.seen).toHaveLength(0);
  await atRest(running);
});

test('a service that is gone when the wait is over is not another one at its endpoint', async () => {
  const upstream = await startUpstream();
  const running = await startHeld([]);
  const answer = exchangeRaw(running.port, GET);
  const wait = await running.waited(1);
  running.publish([upstream.origin], { name: 'another' });
  wait.answer(true);
  expect(problemOf((await answer)[0]!)).toEqual({ status: 503, code: 'service_unavailable' });
  expect(upstream.seen).toHaveLength(0);
});

test('the drain ends every wait with 503', async () => {
  const running = await startHeld([]);
  const answer = exchangeRaw(running.port, GET);
  const socket = new WebSocket(`ws://127.0.0.1:${running.port}/`);
  const refused = once(socket, 'unexpected-response') as Promise<[unknown, { statusCode: number }]>;
  const wait = await running.waited(2);
  const drained = running.server.drain();
  expect(problemOf((await answer)[0]!)).toEqual({ status: 503, code: 'service_unavailable' });
  expect((await refused)[1].statusCode).toBe(503);
  expect(wait.signal.aborted).toBe(true);
  await drained;
  await atRest(running);
});

test('no more requests wait for a service than the worker takes connections', async () => {
  const { limits } = gatewaySettings();
  const running = await startHeld([], {}, { tls: TLS, limits: { ...limits, connections: 2 } });
  const session = openSession(running.port);
  const waiting = [ask(session), ask(session)];
  await running.waited(2);
  const surplus = await ask(session);
  expect(surplus).toMatchObject({ status: 503, headers: { 'retry-after': '1' } });
  expect(JSON.parse(surplus.body)).toMatchObject({ code: 'overloaded' });
  for (const wait of running.waits) wait.answer(false);
  for (const answer of await Promise.all(waiting)) {
    expect(JSON.parse(answer.body)).toMatchObject({ code: 'service_unavailable' });
  }
  await atRest(running);
});

test('an HTTP/2 request with a body waits like any other', async () => {
  const upstream = await startUpstream();
  const running = await startHeld([], {}, { tls: TLS });
  const answer = ask(openSession(running.port), { ':method': 'POST' }, 'over HTTP/2');
  const wait = await running.waited(1);
  running.publish([upstream.origin]);
  wait.answer(true);
  expect(await answer).toMatchObject({ status: 200, body: 'ok' });
  expect(upstream.seen).toMatchObject([{ method: 'POST', body: 'over HTTP/2' }]);
  await atRest(running);
});

test.each([
  ['has no replica', false],
  ['refuses the connection', true],
])('a WebSocket handshake for a service that %s waits', async (_name, refuses) => {
  const echo = await restartable();
  const running = await startHeld(refuses ? [echo.origin] : []);
  const socket = new WebSocket(`ws://127.0.0.1:${running.port}/`);
  onTestFinished(() => socket.terminate());
  const opened = once(socket, 'open');
  const wait = await running.waited(1);
  expect(wait.refused).toBe(refuses ? echo.origin : null);
  const server = await echo.start(() => undefined);
  new WebSocketServer({ server }).on('connection', (peer) => peer.on('message', (data) => peer.send(data)));
  running.publish([echo.origin]);
  wait.answer(true);
  await opened;
  socket.send('hello');
  const [message] = (await once(socket, 'message')) as [Buffer];
  expect(message.toString()).toBe('hello');
  expect(running.gateway.load()).toEqual([{ origin: echo.origin, outstanding: 1, started: refuses ? 2 : 1 }]);
  socket.terminate();
  await atRest(running);
});

test('a WebSocket client that leaves ends its wait, and one for which no replica comes gets 503', async () => {
  const running = await startHeld([]);
  const leaving = connect(running.port, '127.0.0.1');
  leaving.write(
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  );
  const wait = await running.waited(1);
  leaving.destroy();
  await vi.waitFor(() => expect(wait.signal.aborted).toBe(true), { interval: 5 });
  const socket = new WebSocket(`ws://127.0.0.1:${running.port}/`);
  const refused = once(socket, 'unexpected-response') as Promise<[unknown, { statusCode: number }]>;
  (await running.waited(2)).answer(false);
  expect((await refused)[1].statusCode).toBe(503);
  await atRest(running);
});
