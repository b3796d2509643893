import { expect, test } from 'vitest';
import { route } from '../support/gateway.ts';
import {
  exchange,
  expectAnswered,
  expectQuiet,
  expectRefused,
  HOST,
  seenOf,
  startWire,
} from '../gateway/wire.ts';

const IDENTITY = {
  'x-forwarded-user': 'alice-id',
  'x-forwarded-preferred-username': 'alice',
  'x-forwarded-email': 'alice@example.com',
  'x-forwarded-groups': 'user',
};

test('CVE-2025-64484: identity fields spelled with underscores do not reach the service', async () => {
  const wire = await startWire();
  const seen = await seenOf(
    wire,
    '/hello',
    'X_Forwarded_User: forged\r\nX-Forwarded_User: forged\r\nx_forwarded-email: forged\r\nX_FORWARDED_GROUPS: forged\r\n' +
      'X_Forwarded_Preferred_Username: forged\r\n_X-Forwarded-User: kept\r\n',
  );
  expect(seen.headers).toMatchObject(IDENTITY);
  expect(JSON.stringify(seen.rawHeaders)).not.toContain('forged');
});

test('CVE-2026-39858: forwarding fields spelled with underscores are neither believed nor passed on', async () => {
  const wire = await startWire({ settings: { trustedProxies: ['127.0.0.0/8'] } });
  const seen = await seenOf(
    wire,
    '/open',
    'X_Forwarded_Proto: https\r\nX_Forwarded_Host: forged.example.com\r\nX_Forwarded_For: 1.2.3.4\r\n' +
      'X_Real_IP: 1.2.3.4\r\nX_Request_Id: forged\r\nX_Forwarded_Prefix: /forged\r\n',
  );
  expect(seen.headers).toMatchObject({
    'x-forwarded-proto': 'http',
    'x-forwarded-host': 'api.example.com',
    'x-forwarded-for': '127.0.0.1',
    'x-forwarded-prefix': '/open',
  });
  expect(seen.rawHeaders.filter((_, i) => i % 2 === 0 && seen.rawHeaders[i]!.includes('_'))).toEqual([]);
});

test('CVE-2026-40575: no header field stands for the path that is checked', async () => {
  const wire = await startWire();
  const names = [
    'X-Forwarded-Uri',
    'X-Forwarded-Path',
    'X-Original-URL',
    'X-Original-URI',
    'X-Rewrite-URL',
    'X-Forwarded-Method',
  ];
  const forged = names.map((name) => `${name}: /open\r\n`).join('');
  await expectAnswered(wire, `GET /hello HTTP/1.1\r\n${HOST}${forged}\r\n`, 401, 'token_missing');
  const seen = await seenOf(wire, '/open', forged.replaceAll('/open', '/forged'));
  expect(JSON.stringify(seen.rawHeaders)).not.toContain('forged');
  await expectQuiet(wire);
});

test('CVE-2025-48865: Connection does not remove a field that the gateway sets', async () => {
  const wire = await startWire();
  const seen = await seenOf(
    wire,
    '/hello',
    'Connection: X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Proto, X-Forwarded-Prefix\r\n' +
      'Connection: x-forwarded-user, X-Forwarded-Email, X-Forwarded-Groups, X-Forwarded-Preferred-Username, Host\r\n',
  );
  expect(seen.headers).toMatchObject({
    ...IDENTITY,
    host: wire.upstream.origin.slice('http://'.length),
    'x-forwarded-for': '127.0.0.1',
    'x-forwarded-host': 'api.example.com',
    'x-forwarded-proto': 'http',
    'x-forwarded-prefix': '/hello',
  });
});

test('CVE-2026-31838: a second value of a field that decides is refused, not overlooked', async () => {
  const wire = await startWire();
  const twice = (name: string, a: string, b: string) =>
    `GET /hello HTTP/1.1\r\n${HOST}${wire.bearer}${name}: ${a}\r\n${name}: ${b}\r\n\r\n`;
  await expectRefused(wire, twice('Authorization', 'Bearer a', 'Bearer b'), 400, 'malformed_request');
  await expectRefused(wire, twice('Host', 'api.example.com', 'open.example.com'), 400, 'malformed_request');
  await expectRefused(
    wire,
    twice('Origin', 'https://a.example', 'https://b.example'),
    400,
    'malformed_request',
  );
  await expectRefused(wire, twice('Content-Type', 'text/plain', 'text/html'), 400, 'malformed_request');
  const list = `Authorization: Bearer x, ${wire.bearer.slice('Authorization: '.length)}`;
  await expectAnswered(wire, `GET /hello HTTP/1.1\r\n${HOST}${list}\r\n`, 401, 'token_invalid');
  await expectQuiet(wire);
});

test('CVE-2026-44087: identity fields of a client are removed where no token tells who it is', async () => {
  const wire = await startWire();
  const forged = Object.keys(IDENTITY)
    .map((name) => `${name}: forged\r\n`)
    .join('');
  const bytes = `GET /open HTTP/1.1\r\n${HOST}Connection: close\r\n${forged}\r\n`;
  expect(await exchange(wire, bytes)).toMatchObject([{ status: 200 }]);
  for (const name of Object.keys(IDENTITY)) expect(wire.upstream.seen[0]!.headers[name]).toBeUndefined();
  await expectAnswered(
    await startWire(),
    `GET /hello HTTP/1.1\r\n${HOST}${forged}\r\n`,
    401,
    'token_missing',
  );
});

test('CVE-2026-3635: forwarding fields of an address that is not trusted are not believed', async () => {
  const routes = (origin: string) => [
    route({ upstream: [origin] }),
    route({ name: 'host', endpoint: null, host: 'public.example.com', public: true, upstream: [origin] }),
  ];
  const forged =
    'X-Forwarded-Proto: https\r\nX-Forwarded-Host: public.example.com\r\nX-Forwarded-For: 10.0.0.1\r\nX-Request-Id: forged\r\n';
  const wire = await startWire({ routes, settings: { trustedProxies: ['10.0.0.0/8'] } });
  await expectAnswered(wire, `GET / HTTP/1.1\r\n${HOST}${forged}\r\n`, 401, 'token_missing');
  const seen = await seenOf(wire, '/hello', forged);
  expect(seen.headers).toMatchObject({
    'x-forwarded-proto': 'http',
    'x-forwarded-host': 'api.example.com',
    'x-forwarded-for': '127.0.0.1',
  });
  expect(seen.headers['x-request-id']).not.toBe('forged');
  // The same from a proxy that is trusted.
  const trusting = await startWire({ routes, settings: { trustedProxies: ['127.0.0.0/8'] } });
  expect((await seenOf(trusting, '/', forged)).headers).toMatchObject({
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'public.example.com',
    'x-request-id': 'forged',
  });
});

test('CVE-2023-27487: an original path that the client claims is neither checked, logged nor passed on', async () => {
  const wire = await startWire();
  const forged = 'x-envoy-original-path: /open/forged\r\n';
  await expectAnswered(wire, `GET /hello HTTP/1.1\r\n${HOST}${forged}\r\n`, 401, 'token_missing');
  const seen = await seenOf(wire, '/hello', forged);
  expect(JSON.stringify(seen.rawHeaders)).not.toContain('forged');
  expect(wire.accessLog().map(({ path }) => path)).toEqual(['/hello', '/hello']);
});
