import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { expect, onTestFinished, test, vi } from 'vitest';
import { route, startGateway, startUpstream } from '../support/gateway.ts';
import { bearer, exchangeRaw, responseTo, send } from './forward/client.ts';

const GET = ['GET /hello HTTP/1.1'];
const at = (name: string, upstream: readonly string[]) =>
  route({ name, endpoint: `/${name}`, public: true, upstream });

/** A service that keeps its connections open, and tells how many there are. */
async function keeping(behaviour: { answers: boolean } = { answers: true }) {
  const sockets = new Set<Socket>();
  const pending: (() => void)[] = [];
  const server = createServer((_request, response) => {
    const answer = (): void => void response.end('ok');
    if (behaviour.answers) answer();
    else pending.push(answer);
  });
  server.keepAliveTimeout = 0;
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, sockets, pending };
}

test('a static route wins over a service with the same endpoint, and gives it back when it goes', async () => {
  const [fixed, service] = [await startUpstream(), await startUpstream()];
  const running = await startGateway({
    routes: [{ ...at('hello', [fixed.origin]), name: 'fixed' }],
    services: [at('hello', [service.origin]), at('hello/deeper', [service.origin])],
  });
  await exchangeRaw(running.port, GET);
  expect([fixed.seen.length, service.seen.length]).toEqual([1, 0]);
  await exchangeRaw(running.port, ['GET /hello/deeper HTTP/1.1']);
  expect([fixed.seen.length, service.seen.length]).toEqual([1, 1]);
  running.gateway.apply({ routes: [] });
  await exchangeRaw(running.port, GET);
  expect([fixed.seen.length, service.seen.length]).toEqual([1, 2]);
  running.gateway.apply({ services: [] });
  expect((await exchangeRaw(running.port, GET))[0]!.status).toBe(401);
});

test('a request whose token is still being checked goes to no replica that was withdrawn meanwhile', async () => {
  const [old, successor] = [await startUpstream(), await startUpstream()];
  const running = await startGateway({ services: [{ ...at('hello', [old.origin]), public: false }] });
  const { authenticator } = running.gateway;
  const checked = Promise.withResolvers<undefined>();
  const authenticate = authenticator.authenticate.bind(authenticator);
  vi.spyOn(authenticator, 'authenticate').mockImplementation(async (token, realm) => {
    await checked.promise;
    return authenticate(token, realm);
  });
  const answered = responseTo(send(running.port, { path: '/hello', headers: await bearer() }).end());
  await vi.waitFor(() => expect(running.gateway.inFlight).toBe(1));
  running.gateway.apply({ services: [{ ...at('hello', [successor.origin]), public: false }] });
  checked.resolve(undefined);
  expect((await answered).statusCode).toBe(200);
  expect([old.seen.length, successor.seen.length]).toEqual([0, 1]);
});

test('idle connections to a withdrawn replica are closed, and one in use after its request', async () => {
  const service = await keeping();
  const running = await startGateway({ services: [at('hello', [service.origin])] });
  await exchangeRaw(running.port, GET);
  expect(service.sockets.size).toBe(1);
  running.gateway.apply({ services: [] });
  await vi.waitFor(() => expect(service.sockets.size).toBe(0));

  const slow = await keeping({ answers: false });
  running.gateway.apply({ services: [at('hello', [slow.origin])] });
  const answer = exchangeRaw(running.port, GET);
  await vi.waitFor(() => expect(slow.pending).toHaveLength(1));
  running.gateway.apply({ services: [at('hello', [service.origin])] });
  expect(running.gateway.client.connections()).toEqual({ active: 1, idle: 0 });
  slow.pending[0]!();
  expect((await answer)[0]).toMatchObject({ status: 200, body: 'ok' });
  await vi.waitFor(() => expect(slow.sockets.size).toBe(0));

  // An origin that comes back is served by new connections, which are kept again.
  running.gateway.apply({ services: [at('hello', [slow.origin])] });
  const again = exchangeRaw(running.port, GET);
  await vi.waitFor(() => expect(slow.pending).toHaveLength(2));
  slow.pending[1]!();
  expect((await again)[0]!.status).toBe(200);
  expect(running.gateway.client.connections()).toEqual({ active: 0, idle: 1 });
});

test('connections to a replica that a static route names as well are kept', async () => {
  const service = await keeping();
  const running = await startGateway({
    routes: [at('fixed', [service.origin])],
    services: [at('hello', [service.origin])],
  });
  await exchangeRaw(running.port, GET);
  running.gateway.apply({ services: [] });
  expect(running.gateway.client.connections()).toEqual({ active: 0, idle: 1 });
});

test('ten thousand services that came and went leave no counters behind', async () => {
  const { gateway } = await startGateway({ routes: [at('fixed', ['http://127.0.0.1:9'])] });
  const released = vi.spyOn(gateway.metrics, 'release');
  const made = vi.spyOn(gateway.metrics, 'route');
  for (let i = 0; i < 100; i++) {
    const services = Array.from({ length: 100 }, (_, n) => at(`service-${i}-${n}`, []));
    gateway.apply({ services });
  }
  gateway.apply({ services: [] });
  expect(made).toHaveBeenCalledTimes(10_000); // none for the static route, which is not compiled again
  expect(released).toHaveBeenCalledTimes(10_000);
});
