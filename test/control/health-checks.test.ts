import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { Route } from '../../src/contracts/settings.ts';
import { HealthChecks } from '../../src/control/health-checks.ts';
import { freePort } from '../support/free-port.ts';
import { route } from '../support/gateway.ts';

/** Milliseconds. */
const INTERVAL = 20;

/** In place of a status: a good answer whose body never ends. */
const ENDLESS = 0;

/** A service whose health is what the test says by path: a status, or null for no answer. */
async function startService(port = 0) {
  const statuses: Record<string, number | null> = {};
  const asked: string[] = [];
  const sockets = new Set<Socket>();
  const server: Server = createServer((request, response) => {
    const path = request.url ?? '';
    asked.push(`${request.method ?? ''} ${path}`);
    const status = statuses[path] === undefined ? 200 : statuses[path];
    if (status === null) return;
    if (status === ENDLESS) {
      response.write('never ends');
      return;
    }
    response.writeHead(status, status < 400 && status >= 300 ? { Location: 'http://127.0.0.1:1/' } : {});
    response.end('body');
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const close = (): void => {
    server.close();
    server.closeAllConnections();
  };
  onTestFinished(close);
  const { port: bound } = server.address() as AddressInfo;
  return { origin: `http://127.0.0.1:${bound}`, port: bound, statuses, asked, sockets, close };
}

function startChecks() {
  const published: (readonly string[])[] = [];
  const checks = new HealthChecks((unhealthy) => void published.push(unhealthy));
  onTestFinished(() => checks.stop());
  return { checks, published };
}

function checked(name: string, upstream: readonly string[], path = '/healthz', interval = INTERVAL): Route {
  return route({ name, endpoint: `/${name}`, upstream, health: { path, interval } });
}

test('an address fails after two bad answers in a row, and is back after one good one', async () => {
  const service = await startService();
  const { checks, published } = startChecks();
  service.statuses['/healthz'] = 500;
  checks.apply([checked('a', [service.origin])]);
  await expect.poll(() => published).toEqual([[service.origin]]);
  expect(service.asked.length).toBeGreaterThanOrEqual(2);
  service.statuses['/healthz'] = 200;
  await expect.poll(() => published).toEqual([[service.origin], []]);
});

test('one bad answer between good ones is no failure', async () => {
  let count = 0;
  const server = createServer((_, response) => {
    response.writeHead(++count % 2 === 0 ? 503 : 200).end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const { checks, published } = startChecks();
  checks.apply([checked('a', [`http://127.0.0.1:${(server.address() as AddressInfo).port}`])]);
  await expect.poll(() => count).toBeGreaterThan(8);
  expect(published).toEqual([]);
});

test.each([
  [200, true],
  [204, true],
  [302, true],
  [399, true],
  [400, false],
  [404, false],
  [500, false],
])('an answer with status %i counts as good: %s, and a redirect is not followed', async (status, good) => {
  const service = await startService();
  const { checks, published } = startChecks();
  service.statuses['/healthz'] = status;
  checks.apply([checked('a', [service.origin])]);
  await expect.poll(() => service.asked.length).toBeGreaterThan(4);
  expect(published).toEqual(good ? [] : [[service.origin]]);
  expect(new Set(service.asked)).toEqual(new Set(['GET /healthz']));
});

test('an address that refuses connections fails, and is back when it listens again', async () => {
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const { checks, published } = startChecks();
  checks.apply([checked('a', [origin])]);
  await expect.poll(() => published).toEqual([[origin]]);
  await startService(port);
  await expect.poll(() => published).toEqual([[origin], []]);
});

test('an answer that takes longer than the interval is a bad one', async () => {
  const service = await startService();
  const { checks, published } = startChecks();
  service.statuses['/healthz'] = null;
  checks.apply([checked('a', [service.origin])]);
  await expect.poll(() => published).toEqual([[service.origin]]);
});

test('an address that answers with something other than HTTP fails', async () => {
  const server = createTcpServer((socket) => {
    socket.on('error', () => undefined);
    socket.end('garbage\r\n\r\n');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { checks, published } = startChecks();
  checks.apply([checked('a', [origin])]);
  await expect.poll(() => published).toEqual([[origin]]);
});

test('a good answer is one as soon as its head is there', async () => {
  const service = await startService();
  const { checks, published } = startChecks();
  service.statuses['/healthz'] = ENDLESS;
  checks.apply([checked('a', [service.origin])]);
  await expect.poll(() => service.asked.length).toBeGreaterThan(4);
  expect(published).toEqual([]);
});

test('each address of a route is judged alone', async () => {
  const [good, bad] = [await startService(), await startService()];
  const { checks, published } = startChecks();
  bad.statuses['/healthz'] = 500;
  checks.apply([checked('a', [good.origin, bad.origin]), route({ upstream: ['http://127.0.0.1:1'] })]);
  await expect.poll(() => published).toEqual([[bad.origin]]);
  good.statuses['/healthz'] = 500;
  const both = [good.origin, bad.origin].sort();
  await expect.poll(() => published).toEqual([[bad.origin], both]);
});

test('only changes are published', async () => {
  const service = await startService();
  const { checks, published } = startChecks();
  service.statuses['/healthz'] = 500;
  const routes = [checked('a', [service.origin])];
  checks.apply(routes);
  await expect.poll(() => service.asked.length).toBeGreaterThan(5);
  checks.apply(routes);
  checks.apply([checked('renamed', [service.origin])]);
  await expect.poll(() => service.asked.length).toBeGreaterThan(9);
  expect(published).toEqual([[service.origin]]);
});

test('an address is bad while any of its paths is, and a good path does not hide a bad one', async () => {
  const service = await startService();
  const { checks, published } = startChecks();
  service.statuses['/b'] = 500;
  checks.apply([checked('a', [service.origin], '/a'), checked('b', [service.origin], '/b')]);
  await expect.poll(() => published).toEqual([[service.origin]]);
  await expect.poll(() => service.asked.filter((path) => path === 'GET /a').length).toBeGreaterThan(5);
  expect(published).toEqual([[service.origin]]);
});

test('a route that goes takes its bad path with it, and the address stays watched for the other route', async () => {
  const service = await startService();
  const { checks, published } = startChecks();
  service.statuses['/b'] = 500;
  const stays = checked('a', [service.origin], '/a');
  checks.apply([stays, checked('b', [service.origin], '/b')]);
  await expect.poll(() => published).toEqual([[service.origin]]);
  checks.apply([stays]);
  expect(published).toEqual([[service.origin], []]);
  service.statuses['/a'] = 500;
  await expect.poll(() => published).toEqual([[service.origin], [], [service.origin]]);
});

test('an address that a route no longer checks is good for the routes that still name it', async () => {
  const service = await startService();
  const { checks, published } = startChecks();
  service.statuses['/healthz'] = 500;
  checks.apply([checked('a', [service.origin])]);
  await expect.poll(() => published).toEqual([[service.origin]]);
  checks.apply([route({ upstream: [service.origin] })]);
  expect(published).toEqual([[service.origin], []]);
});

test('a reload that leaves a check as it is asks no sooner for it', async () => {
  const service = await startService();
  const { checks } = startChecks();
  const routes = [checked('a', [service.origin], '/healthz', 60_000)];
  checks.apply(routes);
  await expect.poll(() => service.asked.length).toBe(1);
  const other = await startService();
  checks.apply([...routes, checked('b', [other.origin])]);
  await expect.poll(() => other.asked.length).toBeGreaterThan(3);
  expect(service.asked).toHaveLength(1);
});

test('after stop nothing is asked or published, and no connection and no timer is left', async () => {
  const [silent, endless] = [await startService(), await startService()];
  silent.statuses['/healthz'] = null;
  endless.statuses['/healthz'] = ENDLESS;
  const set = vi.spyOn(globalThis, 'setTimeout');
  const cleared = vi.spyOn(globalThis, 'clearTimeout');
  onTestFinished(() => void vi.restoreAllMocks());
  const { checks, published } = startChecks();
  const interval = 4_321;
  checks.apply([checked('a', [silent.origin, endless.origin], '/healthz', interval)]);
  await expect.poll(() => silent.asked.length + endless.asked.length).toBe(2);
  await expect.poll(() => endless.sockets.size).toBe(0);
  const started = () => set.mock.results.filter((_, i) => set.mock.calls[i]?.[1] === interval);
  await expect.poll(() => started().length).toBe(3); // for both answers, and until the next question
  expect(silent.sockets.size).toBe(1);
  checks.stop();
  await expect.poll(() => silent.sockets.size).toBe(0);
  const ended = () => new Set<unknown>(cleared.mock.calls.map(([timer]) => timer));
  await expect.poll(() => started().filter(({ value }) => !ended().has(value))).toEqual([]);
  expect(started()).toHaveLength(3);
  expect(published).toEqual([]);
});
