import { once } from 'node:events';
import { type ServerResponse } from 'node:http';
import { expect, test, vi } from 'vitest';
import type { Route } from '../../src/contracts/settings.ts';
import {
  issueToken,
  realmSnapshot,
  route,
  startGateway,
  startRawUpstream,
  startUpstream,
  type TestGateway,
} from '../support/gateway.ts';
import { freePort } from '../support/free-port.ts';
import { untilResponses } from '../support/parse-responses.ts';
import { rawRequest } from '../support/raw-request.ts';
import {
  bearer,
  bodyOf,
  exchangeRaw,
  expectAtRest,
  gatewayTo,
  problemOf,
  responseTo,
  send,
} from './forward/client.ts';

const GET = ['GET / HTTP/1.1'];

/** A service whose answers the test ends itself. */
async function slowService() {
  const open: ServerResponse[] = [];
  const upstream = await startUpstream((_request, response) => {
    response.write('first,');
    open.push(response);
  });
  return { ...upstream, open };
}

/** `status outcome` of every request counted so far, over all routes. */
function outcomes({ gateway }: TestGateway): Record<string, number> {
  const counted = gateway.metrics.toJSON().find(({ name }) => name === 'realmgate_requests_total')!.values;
  return Object.fromEntries(
    counted.map(({ labels, value }) => [
      `${labels['route']!} ${labels['status']!} ${labels['outcome']!}`,
      value,
    ]),
  );
}

test('a route that goes away, changes or moves does not disturb its requests in progress', async () => {
  const service = await slowService();
  const running = await gatewayTo([service.origin]);
  const response = await responseTo(send(running.port).end());
  const other = await startUpstream();
  const moved = route({ endpoint: '/', public: true, upstream: [other.origin] });
  const changes: Route[][] = [[], [moved], [{ ...moved, public: false }]];
  for (const routes of changes) running.gateway.apply({ routes });
  expect((await exchangeRaw(running.port, GET))[0]!.status).toBe(401);
  service.open[0]!.end('last');
  expect(await bodyOf(response)).toBe('first,last');
  running.gateway.apply({ routes: [moved] });
  expect((await exchangeRaw(running.port, GET))[0]).toMatchObject({ status: 200, body: 'ok' });
  await expectAtRest(running);
});

test('new settings count for new requests; a changed connect time-out does not cut what is under way', async () => {
  const service = await slowService();
  const running = await gatewayTo([service.origin]);
  const response = await responseTo(send(running.port).end());
  const { settings } = running.gateway;
  running.gateway.apply({
    gateway: {
      ...settings,
      timeouts: { ...settings.timeouts, connect: 999 },
      limits: { ...settings.limits, bodyBytes: 2 },
      publicUrl: 'https://services.example.com',
    },
  });
  const [answer] = await exchangeRaw(running.port, ['PUT / HTTP/1.1', 'Content-Length: 3'], 'abc');
  expect(problemOf(answer!)).toEqual({ status: 413, code: 'body_too_large' });
  const second = await responseTo(send(running.port).end());
  expect(service.seen.map(({ headers }) => headers['x-forwarded-proto'])).toEqual(['http', 'https']);
  for (const open of service.open) open.end('last');
  expect(await bodyOf(response)).toBe('first,last');
  expect(await bodyOf(second)).toBe('first,last');
  await expectAtRest(running);
});

test('a session that ends is refused from the next request on; its running streams end with the token', async () => {
  const service = await slowService();
  const running = await gatewayTo([service.origin], { route: { public: false } });
  const headers = await bearer({ sid: 'gone' });
  const response = await responseTo(send(running.port, { headers }).end());
  const now = Date.now();
  running.gateway.apply({
    realms: [
      realmSnapshot(
        {},
        { revocations: [{ sid: 'gone', sub: null, before: now + 1000, forgetAt: now + 60_000 }] },
      ),
    ],
  });
  const [answer] = await exchangeRaw(running.port, [...GET, `Authorization: ${headers.authorization}`]);
  expect(problemOf(answer!)).toEqual({ status: 401, code: 'token_revoked' });
  service.open[0]!.end('last');
  expect(await bodyOf(response)).toBe('first,last');
  await expectAtRest(running);
});

test('a token whose key was taken away is refused from the next request on', async () => {
  const service = await slowService();
  const running = await gatewayTo([service.origin], { route: { public: false } });
  const headers = await bearer();
  const response = await responseTo(send(running.port, { headers }).end());
  const { keys } = realmSnapshot();
  running.gateway.apply({
    realms: [
      realmSnapshot({}, { keys: { ...keys, jwks: keys.jwks.map((key) => ({ ...key, kid: 'next' })) } }),
    ],
  });
  const [answer] = await exchangeRaw(running.port, [...GET, `Authorization: ${headers.authorization}`]);
  expect(problemOf(answer!)).toEqual({ status: 401, code: 'token_invalid' });
  service.open[0]!.end('last');
  expect(await bodyOf(response)).toBe('first,last');
  await expectAtRest(running);
});

test('a request counts as in progress until it is answered or its client has left', async () => {
  const service = await slowService();
  const running = await gatewayTo([service.origin]);
  const requests = [send(running.port).end(), send(running.port).end()];
  await Promise.all(requests.map((request) => once(request, 'response')));
  expect(running.gateway.inFlight).toBe(2);
  expect(running.gateway.match('', '/')!.group.members[0]!.outstanding).toBe(2);
  requests[0]!.destroy();
  service.open[1]!.end();
  service.open[0]!.end();
  await expectAtRest(running);
});

test('every outcome is counted with its status, and has one line in the access log', async () => {
  const upstream = await startUpstream((request, response) => {
    if (request.url === '/teapot') response.writeHead(418);
    response.end('body');
  });
  const silent = await startRawUpstream(() => undefined);
  const invalid = await startRawUpstream((socket) =>
    socket.once('data', () => socket.write('nonsense\r\n\r\n')),
  );
  const running = await startGateway({
    routes: [
      route({ name: 'open', endpoint: '/open', public: true, upstream: [upstream.origin] }),
      route({
        name: 'roles',
        endpoint: '/roles',
        upstream: [upstream.origin],
        access: { roles: ['realm:x'], scopes: [], clients: [] },
      }),
      route({
        name: 'down',
        endpoint: '/down',
        public: true,
        upstream: [`http://127.0.0.1:${await freePort()}`],
      }),
      route({ name: 'silent', endpoint: '/silent', public: true, upstream: [silent.origin] }),
      route({ name: 'invalid', endpoint: '/invalid', public: true, upstream: [invalid.origin] }),
    ],
  });
  const token = `Authorization: Bearer ${await issueToken()}`;
  const calls: [string, string[], number][] = [
    ['/open?secret=1', [], 200],
    ['/open/teapot', [], 418],
    ['/open', ['Authorization: Bearer nonsense'], 401],
    ['/roles', [], 401],
    ['/roles', [token], 403],
    ['/none', [token], 404],
    ['/open/%2e%2e', [], 400],
    ['/down', [], 502],
    ['/invalid', [], 502],
  ];
  for (const [target, headers, status] of calls) {
    expect((await exchangeRaw(running.port, [`GET ${target} HTTP/1.1`, ...headers]))[0]!.status).toBe(status);
  }
  const gone = send(running.port, { path: '/silent' }).end();
  await vi.waitFor(() => expect(running.gateway.client.connections().active).toBe(1));
  gone.destroy();
  await expectAtRest(running);
  expect(outcomes(running)).toEqual({
    'open 200 ok': 1,
    'open 418 ok': 1,
    'open 401 token_invalid': 1,
    'roles 401 token_missing': 1,
    'roles 403 access_denied': 1,
    'none 404 no_such_service': 1,
    'none 400 ambiguous_path': 1,
    'down 502 upstream_unreachable': 1,
    'invalid 502 upstream_invalid': 1,
    'silent 0 client_gone': 1,
  });
  const log = running.accessLog();
  expect(log).toHaveLength(calls.length + 1);
  expect(log.map(({ status }) => status)).toEqual([...calls.map(([, , status]) => status), 0]);
  expect(log[0]).toMatchObject({
    method: 'GET',
    host: 'api.example.com',
    path: '/open',
    route: 'open',
    code: null,
    bytesOut: 4,
    upstream: upstream.origin,
    user: null,
    protocol: '1.1',
    client: '127.0.0.1',
  });
  expect(log[4]).toMatchObject({
    code: 'access_denied',
    route: 'roles',
    user: 'alice',
    upstream: null,
    upstreamMs: null,
  });
  expect(log[0]!['upstreamMs']).toBeGreaterThan(0);
  expect(JSON.stringify(log)).not.toContain(token.slice(22));
  expect(JSON.stringify(log)).not.toContain('secret');
});

test('the access log can be switched off and on while the gateway runs', async () => {
  const upstream = await startUpstream();
  const running = await gatewayTo([upstream.origin], { settings: { accessLog: false } });
  await exchangeRaw(running.port, GET);
  expect(running.accessLog()).toEqual([]);
  running.gateway.apply({ gateway: { ...running.gateway.settings, accessLog: true } });
  await exchangeRaw(running.port, GET);
  expect(running.accessLog()).toHaveLength(1);
});

test('a bug in a handler costs its request 500, and the log tells of it under the request id', async () => {
  const upstream = await startUpstream();
  const running = await gatewayTo([upstream.origin]);
  const bug = vi.spyOn(running.gateway, 'match').mockImplementationOnce(() => {
    throw new TypeError('a bug');
  });
  const [answer] = await exchangeRaw(running.port, GET);
  bug.mockRestore();
  const { requestId, code } = JSON.parse(answer!.body) as Record<string, string>;
  expect([answer!.status, code]).toEqual([500, 'internal_error']);
  expect(answer!.body).not.toContain('a bug');
  expect(running.logged).toMatchObject([{ fields: { requestId }, message: 'A request handler failed' }]);
  expect((await exchangeRaw(running.port, GET))[0]!.status).toBe(200);
  await expectAtRest(running);
});

test('draining answers what is in progress, ends idle connections, and takes no new ones', async () => {
  const service = await slowService();
  const running = await gatewayTo([service.origin]);
  const response = await responseTo(send(running.port).end());
  const idle = rawRequest(running.port, '');
  await vi.waitFor(() => expect(running.server.connections).toBe(2));
  const drained = running.server.drain();
  expect((await idle).closed).toBe(true);
  service.open[0]!.end('last');
  expect(await bodyOf(response)).toBe('first,last');
  await drained;
  await expect(
    rawRequest(running.port, 'GET / HTTP/1.1\r\n', { until: untilResponses(1) }),
  ).rejects.toThrow();
  await expectAtRest(running);
});

test('an answer that is given just as the drain begins arrives', async () => {
  const running = await gatewayTo([(await startUpstream()).origin]);
  const { promise: drained, resolve } = Promise.withResolvers<unknown>();
  vi.spyOn(running.gateway.metrics.route('hello'), 'observe').mockImplementationOnce(() =>
    queueMicrotask(() => resolve(running.server.drain())),
  );
  const [answer] = await exchangeRaw(running.port, GET);
  expect(answer).toMatchObject({ status: 200 });
  await drained;
  await expectAtRest(running);
});

test('what is not finished by the end of the drain is cut', async () => {
  const service = await slowService();
  const running = await gatewayTo([service.origin]);
  const response = await responseTo(send(running.port).end());
  const { settings } = running.gateway;
  running.gateway.apply({ gateway: { ...settings, timeouts: { ...settings.timeouts, drain: 50 } } });
  const cut = expect(bodyOf(response)).rejects.toThrow('aborted');
  await running.server.drain();
  await cut;
  await expectAtRest(running);
});

test('the end of the drain completes no answer that has no length', async () => {
  const service = await slowService();
  const running = await gatewayTo([service.origin]);
  const cut = rawRequest(running.port, 'GET / HTTP/1.0\r\nHost: a\r\n\r\n');
  await vi.waitFor(() => expect(service.open).toHaveLength(1));
  const { settings } = running.gateway;
  running.gateway.apply({ gateway: { ...settings, timeouts: { ...settings.timeouts, drain: 50 } } });
  await running.server.drain();
  expect(await cut).toMatchObject({ closed: true, reset: true });
  await expectAtRest(running);
});
