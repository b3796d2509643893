import { expect, test } from 'vitest';
import { route } from '../support/gateway.ts';
import {
  exchange,
  expectAnswered,
  expectQuiet,
  HOST,
  seenOf,
  startWire,
  type Wire,
} from '../gateway/wire.ts';

/** `/admin` wants a role that alice lacks; `/public`, and whatever has no other route, is open to everyone. */
function startGuarded(): Promise<Wire> {
  return startWire({
    routes: (origin) => [
      route({
        name: 'admin',
        endpoint: '/admin',
        stripPrefix: false,
        upstream: [origin],
        access: { roles: ['realm:admin'], scopes: [], clients: [] },
      }),
      route({ name: 'public', endpoint: '/public', public: true, upstream: [origin] }),
      route({ name: 'root', endpoint: '/', public: true, upstream: [origin] }),
    ],
  });
}

async function expectAmbiguous(targets: readonly string[]): Promise<void> {
  const wire = await startGuarded();
  for (const target of targets) {
    for (const token of ['', wire.bearer]) {
      await expectAnswered(wire, `GET ${target} HTTP/1.1\r\n${HOST}${token}\r\n`, 400, 'ambiguous_path');
    }
  }
  await expectQuiet(wire);
}

/** The target is one for `/admin`: its policy decides, and nothing reaches the service. */
async function expectGuarded(wire: Wire, target: string, host = HOST): Promise<void> {
  await expectAnswered(wire, `GET ${target} HTTP/1.1\r\n${host}\r\n`, 401, 'token_missing');
  await expectAnswered(wire, `GET ${target} HTTP/1.1\r\n${host}${wire.bearer}\r\n`, 403, 'access_denied');
}

test('CVE-2021-29492: escaped slashes and backslashes do not hide a path from its policy', async () => {
  await expectAmbiguous([
    '/public%2F..%2Fadmin',
    '/public%2f..%2fadmin',
    '/public%5C..%5Cadmin',
    '/%5cadmin',
    '/admin%2fx',
  ]);
});

test('CVE-2021-31920: several slashes do not hide a path from its policy', async () => {
  await expectAmbiguous(['//admin', '///admin', '/public//admin', '/admin//', '/%2Fadmin', '/%5Cadmin']);
});

test('CVE-2021-39155: a host in another case is under the same policy', async () => {
  const wire = await startWire({
    routes: (origin) => [
      route({
        name: 'admin',
        endpoint: null,
        host: 'admin.example.com',
        upstream: [origin],
        access: { roles: ['realm:admin'], scopes: [], clients: [] },
      }),
      route({ name: 'root', endpoint: '/', public: true, upstream: [origin] }),
    ],
  });
  for (const host of [
    'admin.example.com',
    'Admin.Example.COM',
    'ADMIN.EXAMPLE.COM:80',
    'admin.example.com:8080',
  ]) {
    await expectGuarded(wire, '/', `Host: ${host}\r\n`);
    await expectGuarded(wire, `http://${host.toUpperCase()}/x`, `Host: ${host}\r\n`);
  }
  await expectQuiet(wire);
});

test('CVE-2021-39156: a fragment does not hide a path from its policy', async () => {
  await expectAmbiguous(['/admin#', '/admin#x', '/admin#/public', '/public#/../admin', '/public?x#y']);
});

test('CVE-2026-2880: what one router merges or cuts off does not escape the check of another', async () => {
  await expectAmbiguous(['//admin/x', '/admin//x', '/./admin', '/public/../admin/']);
  const wire = await startGuarded();
  for (const target of ['/admin/', '/admin/x/', '/admin?;x', '/admin/;x']) await expectGuarded(wire, target);
  for (const target of ['/admin;', '/admin;x/y']) {
    await expectAnswered(wire, `GET ${target} HTTP/1.1\r\n${HOST}\r\n`, 401, 'token_missing');
  }
});

test('CVE-2026-22037: an escaped letter is the letter, for the policy too', async () => {
  const wire = await startGuarded();
  for (const target of ['/%61dmin', '/%61%64%6D%69%6e', '/admi%6E/x', '/a%64min?x'])
    await expectGuarded(wire, target);
  await expectQuiet(wire);
});

test('CVE-2026-33808: two slashes and parameters do not take a path away from its policy', async () => {
  await expectAmbiguous(['//admin/dashboard', '/public/..;/admin', '/..;x=1/admin']);
  const wire = await startGuarded();
  for (const target of ['/admin;bypass', '/admin;/x', '/admin;a=b;c', '/%61dmin;x']) {
    await expectAnswered(wire, `GET ${target} HTTP/1.1\r\n${HOST}\r\n`, 401, 'token_missing');
    await expectAnswered(wire, `GET ${target} HTTP/1.1\r\n${HOST}${wire.bearer}\r\n`, 404, 'no_such_service');
  }
  await expectQuiet(wire);
});

test('CVE-2026-42274: dot segments are not left for the service to resolve', async () => {
  await expectAmbiguous([
    '/public/../admin', '/public/%2e%2e/admin', '/public/%2E%2e/admin', '/public/.%2e/admin', '/public/%2e%2e%2fadmin',
    '/public/./x', '/public/%2e/x', '/public/x/..', '/public/../../admin',
  ]); // prettier-ignore
});

test('CVE-2026-42272: an escaped slash is refused in lower case as in upper case', async () => {
  await expectAmbiguous(['/admin%2fsecret', '/admin%2Fsecret', '/public%2f..%2Fadmin', '/admin%5csecret']);
});

test('CVE-2026-26205: a path that begins with two slashes does not lose its start as an authority', async () => {
  await expectAmbiguous([
    '//admin/public',
    '//public/admin',
    '//api.example.com/admin',
    'http://api.example.com//admin',
  ]);
});

test('CVE-2026-40912: stripping a prefix with escapes in it makes no dot segment', async () => {
  await expectAmbiguous([
    '/public./../admin',
    '/public/%2e/admin',
    '/publi%63/./admin',
    '/publi%63/%2e%2e/admin',
  ]);
  const wire = await startGuarded();
  // The prefix takes more bytes as it was sent than as it is meant.
  expect(await seenOf(wire, '/%70%75%62%6c%69%63/x')).toMatchObject({ url: '/x' });
  expect(await seenOf(wire, '/%70ublic/.x')).toMatchObject({ url: '/.x' });
  expect(await seenOf(wire, '/public./x')).toMatchObject({ url: '/public./x' });
});

test('CVE-2026-55602: a host or path that only contains the one of a route is not routed by it', async () => {
  const wire = await startWire({
    routes: (origin) => [
      route({ name: 'host', endpoint: null, host: 'internal.example.com', public: true, upstream: [origin] }),
      route({ name: 'path', endpoint: '/internal', public: true, upstream: [origin] }),
    ],
  });
  for (const host of [
    'internal.example.com.evil.example', 'xinternal.example.com', 'evil-internal.example.com', 'example.com',
    'internal.example.co',
  ]) {
    for (const target of ['/', '/x/internal', '/internalx', '/xinternal', '/x/internal.example.com', '/intern']) {
      await expectAnswered(wire, `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`, 401, 'token_missing');
    }
  } // prettier-ignore
  const close = 'Host: internal.example.com\r\nConnection: close\r\n';
  expect(await exchange(wire, `GET /x HTTP/1.1\r\n${close}\r\n`)).toMatchObject([{ status: 200 }]);
  await expectQuiet(wire);
});
