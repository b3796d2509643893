import { expect, test } from 'vitest';
import { issueToken, route, startGateway, startUpstream } from '../support/gateway.ts';
import { ask, json } from './realm-wire.ts';

const BEARER = `Authorization: Bearer ${await issueToken()}`;

interface ViewOptions {
  readonly trustedProxies?: readonly string[];
  readonly publicUrl?: string;
}

/** A gateway with one service for every host, and one for `admin.example.com`. */
async function startView(settings: ViewOptions = {}) {
  const [everyone, admin] = [await startUpstream(), await startUpstream()];
  const gateway = await startGateway({
    settings,
    routes: [
      route({ upstream: [everyone.origin] }),
      route({ name: 'admin', endpoint: null, host: 'admin.example.com', upstream: [admin.origin] }),
    ],
  });
  return { ...gateway, everyone, admin };
}

type Started = Awaited<ReturnType<typeof startView>>;

/** What the service sees of a request with these header lines. */
async function seen({ port, everyone }: Started, headers: readonly string[]) {
  expect((await ask(port, 'GET', '/hello', [BEARER, ...headers])).status).toBe(200);
  return everyone.seen.at(-1)!.headers;
}

const TRUSTING = { trustedProxies: ['127.0.0.0/8'] };

test('without trusted proxies a service is told of the connection and nothing else', async () => {
  const started = await startView();
  const headers = await seen(started, [
    'X-Forwarded-For: 203.0.113.9',
    'X-Forwarded-Host: evil.example',
    'X-Forwarded-Proto: https',
    'X-Request-Id: chosen',
  ]);
  expect(headers).toMatchObject({
    'x-forwarded-for': '127.0.0.1',
    'x-forwarded-host': 'api.example.com',
    'x-forwarded-proto': 'http',
  });
  expect(headers['x-request-id']).toMatch(/^[\w-]{16,}$/);
  expect(headers['x-request-id']).not.toBe('chosen');
  expect(started.accessLog()[0]).toMatchObject({ client: '127.0.0.1', host: 'api.example.com' });
});

test('a peer outside of the trusted blocks is believed as little', async () => {
  const started = await startView({ trustedProxies: ['10.0.0.0/8', '2001:db8::/32'] });
  const headers = await seen(started, ['X-Forwarded-For: 10.0.0.1', 'X-Forwarded-Host: evil.example']);
  expect(headers).toMatchObject({
    'x-forwarded-for': '127.0.0.1',
    'x-forwarded-host': 'api.example.com',
  });
});

test('a trusted proxy tells where a request came from', async () => {
  const started = await startView(TRUSTING);
  const headers = await seen(started, [
    'X-Forwarded-For: 1.1.1.1, 203.0.113.9',
    'X-Forwarded-For: 127.0.0.2',
    'X-Forwarded-Host: Public.Example:8443',
    'X-Forwarded-Proto: HTTPS',
    'X-Request-Id: 0f3c-abc.1_~:/+=',
  ]);
  expect(headers).toMatchObject({
    'x-forwarded-for': '203.0.113.9, 127.0.0.2, 127.0.0.1',
    'x-forwarded-host': 'public.example:8443',
    'x-forwarded-proto': 'https',
    'x-request-id': '0f3c-abc.1_~:/+=',
  });
  expect(started.accessLog()[0]).toMatchObject({
    client: '203.0.113.9',
    host: 'public.example:8443',
    requestId: '0f3c-abc.1_~:/+=',
  });
});

test('a trusted proxy that says nothing is the client itself', async () => {
  const headers = await seen(await startView(TRUSTING), []);
  expect(headers).toMatchObject({
    'x-forwarded-for': '127.0.0.1',
    'x-forwarded-host': 'api.example.com',
    'x-forwarded-proto': 'http',
  });
});

test.each([
  'evil.example, other.example',
  'evil.example/path',
  'user@evil.example',
  'evil.example:99999',
  'evil.example:',
  'evil example',
  '[::1',
  '',
])('X-Forwarded-Host %j of a trusted proxy is no host and counts for nothing', async (value) => {
  const headers = await seen(await startView(TRUSTING), [`X-Forwarded-Host: ${value}`]);
  expect(headers['x-forwarded-host']).toBe('api.example.com');
});

test.each(['ftp', 'https,http', 'https://', ''])(
  'X-Forwarded-Proto %j of a trusted proxy is no scheme and counts for nothing',
  async (value) => {
    const headers = await seen(await startView(TRUSTING), [`X-Forwarded-Proto: ${value}`]);
    expect(headers['x-forwarded-proto']).toBe('http');
  },
);

test.each(['with space', 'x'.repeat(129), '<script>', 'a"b', 'é', ''])(
  'X-Request-Id %j of a trusted proxy is not well-formed and is replaced',
  async (value) => {
    const headers = await seen(await startView(TRUSTING), [`X-Request-Id: ${value}`]);
    expect(headers['x-request-id']).toMatch(/^[\w-]{16,}$/);
  },
);

test.each([
  ['nobody trusted', {}],
  ['the peer trusted', TRUSTING],
])('with %s, fields of which a request has two count for nothing', async (_, settings) => {
  const started = await startView(settings);
  const headers = await seen(started, [
    'X-Forwarded-Host: admin.example.com',
    'x-forwarded-host: admin.example.com',
    'X-Forwarded-Proto: https',
    'X-FORWARDED-PROTO: https',
    'X-Request-Id: one',
    'x-request-id: one',
  ]);
  expect(headers).toMatchObject({ 'x-forwarded-host': 'api.example.com', 'x-forwarded-proto': 'http' });
  expect(headers['x-request-id']).toMatch(/^[\w-]{16,}$/);
});

test('the request id of a trusted proxy stands in the problem details', async () => {
  const { port } = await startView(TRUSTING);
  const answer = await ask(port, 'GET', '/hello', ['X-Request-Id: edge-17']);
  expect(json(answer)).toMatchObject({ status: 401, requestId: 'edge-17' });
});

test('a host route follows the host that a trusted proxy names, and nobody else’s', async () => {
  const trusting = await startView(TRUSTING);
  const named = ['X-Forwarded-Host: ADMIN.example.com:443', BEARER];
  expect((await ask(trusting.port, 'GET', '/hello', named)).status).toBe(200);
  expect(trusting.admin.seen).toHaveLength(1);
  expect(trusting.everyone.seen).toEqual([]);

  const wary = await startView();
  expect((await ask(wary.port, 'GET', '/hello', named)).status).toBe(200);
  expect(wary.admin.seen).toEqual([]);
  expect(wary.everyone.seen).toHaveLength(1);
});

test('publicUrl tells services the scheme that clients use, and a trusted proxy knows better', async () => {
  const settings = { ...TRUSTING, publicUrl: 'https://services.example.com' };
  const started = await startView(settings);
  expect((await seen(started, []))['x-forwarded-proto']).toBe('https');
  expect((await seen(started, ['X-Forwarded-Proto: http']))['x-forwarded-proto']).toBe('http');
});

test('trusted proxies that were taken away are not believed any longer', async () => {
  const started = await startView(TRUSTING);
  const claim = ['X-Forwarded-For: 203.0.113.9'];
  expect((await seen(started, claim))['x-forwarded-for']).toBe('203.0.113.9, 127.0.0.1');
  const { gateway } = started;
  gateway.apply({ gateway: { ...gateway.settings, trustedProxies: [] } });
  expect((await seen(started, claim))['x-forwarded-for']).toBe('127.0.0.1');
});

test('a traceparent passes when it is well-formed, and is made otherwise', async () => {
  const started = await startView();
  const good = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  expect((await seen(started, [`traceparent: ${good}`]))['traceparent']).toBe(good);
  for (const bad of ['00-0-0-01', good.replace('00-', 'ff-'), `${good}\r\ntraceparent: ${good}`]) {
    const { traceparent } = await seen(started, [`traceparent: ${bad}`]);
    expect(traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/);
    expect(traceparent).not.toContain('4bf92f35');
  }
});
