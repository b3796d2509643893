import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import type { PassthroughEndpoint } from '../../src/contracts/settings.ts';
import { startRealm } from '../embedded/harness.ts';
import { issueToken, realmSnapshot, route, startGateway, startUpstream } from '../support/gateway.ts';
import { headerValues } from '../support/parse-responses.ts';
import { ask, gatewayTo, json, postForm, startExactRealm, startRealmWire } from './realm-wire.ts';

const REALM = '/auth/realms/demo';
const OIDC = `${REALM}/protocol/openid-connect`;

/** One path of each endpoint, with a method that it takes. */
const ENDPOINTS: readonly (readonly [PassthroughEndpoint, string, string])[] = [
  ['token', 'POST', `${OIDC}/token`],
  ['certs', 'GET', `${OIDC}/certs`],
  ['openid-configuration', 'GET', `${REALM}/.well-known/openid-configuration`],
  ['auth', 'GET', `${OIDC}/auth?client_id=istio&state=a%2Fb`],
  ['auth', 'POST', `${REALM}/login-actions/authenticate?session_code=x`],
  ['logout', 'GET', `${OIDC}/logout`],
  ['userinfo', 'GET', `${OIDC}/userinfo`],
  ['device', 'POST', `${OIDC}/auth/device`],
  ['resources', 'GET', '/auth/resources/abc/login/theme.css'],
];

const FORM = ['Content-Type: application/x-www-form-urlencoded'];

function call(port: number, method: string, target: string, headers: readonly string[] = []) {
  if (method !== 'POST') return ask(port, method, target, headers);
  return postForm(port, 'grant_type=password&client_id=a&username=b', [...FORM, ...headers], target);
}

test.each(ENDPOINTS)(
  '%s by %s %s reaches the realm only when it is configured',
  async (endpoint, method, target) => {
    const open = await startRealmWire({ passthrough: { endpoints: [endpoint] } });
    expect((await call(open.port, method, target)).status).toBe(200);
    expect(open.realm.seen).toMatchObject([{ method, url: target }]);

    const others = ENDPOINTS.map(([name]) => name).filter((name) => name !== endpoint);
    const closed = await startRealmWire({ passthrough: { endpoints: others } });
    const answer = await call(closed.port, method, target);
    expect(answer.status).toBe(404);
    expect(json(answer)).toMatchObject({ code: 'no_such_service' });
    expect(closed.realm.seen).toEqual([]);
  },
);

test('without configuration it is the token endpoint and the two documents that are published', async () => {
  const { port } = await startRealmWire();
  const published: string[] = [];
  for (const [endpoint, method, target] of ENDPOINTS) {
    if ((await call(port, method, target)).status === 200) published.push(endpoint);
  }
  expect(published).toEqual(['token', 'certs', 'openid-configuration']);
});

test('the realm’s own documents come through the gateway', async () => {
  const realm = await startRealm();
  const { port } = await gatewayTo(realm.url);
  const discovery = await ask(port, 'GET', `${REALM}/.well-known/openid-configuration`);
  expect(json(discovery)).toMatchObject({ issuer: realm.url });
  const certs = await ask(port, 'GET', `${OIDC}/certs`);
  expect(certs.body).toBe(await (await fetch(`${realm.url}/protocol/openid-connect/certs`)).text());
});

test.each(['certs', 'openid-configuration'])(
  '%s can be read and asked about, and nothing else',
  async (endpoint) => {
    const { port, realm } = await startRealmWire();
    const target = endpoint === 'certs' ? `${OIDC}/certs` : `${REALM}/.well-known/openid-configuration`;
    for (const method of ['GET', 'HEAD', 'OPTIONS'])
      expect((await ask(port, method, target)).status).toBe(200);
    for (const method of ['PUT', 'DELETE', 'PATCH']) {
      const answer = await ask(port, method, target);
      expect(answer.status).toBe(405);
      expect(json(answer)).toMatchObject({ code: 'method_not_allowed' });
    }
    expect((await postForm(port, 'a=b', [], target)).status).toBe(405);
    expect(realm.seen.map(({ method }) => method)).toEqual(['GET', 'HEAD', 'OPTIONS']);
  },
);

test.each([
  '/auth/',
  '/auth/admin',
  '/auth/admin/realms/demo/users',
  '/auth/realms/',
  '/auth/realms/demo',
  '/auth/realms/demo/',
  '/auth/realms/master/protocol/openid-connect/token',
  '/auth/realms/Demo/protocol/openid-connect/certs',
  '/auth/realms/demo/account',
  '/auth/realms/demo/clients-registrations/openid-connect',
  `${OIDC}/certs/`,
  `${OIDC}/Certs`,
  `${OIDC}/token/introspect`,
  `${OIDC}/token;x=1`,
  `${REALM};x=1/protocol/openid-connect/certs`,
  `${REALM}%20/protocol/openid-connect/certs`,
  `/auth/realms/demo%3Fx/protocol/openid-connect/certs`,
  `/auth/resources/`,
  '/auth/resources/abc/theme.css',
  `${REALM}/backchannel-logout`,
])('%s is 404 for everyone, with a token or without', async (target) => {
  const catchAll = await startUpstream();
  const { port, realm } = await startRealmWire({
    routes: [route({ name: 'all', endpoint: '/', public: true, upstream: [catchAll.origin] })],
  });
  const bearer = `Authorization: Bearer ${await issueToken()}`;
  for (const headers of [[], [bearer], ['Authorization: Bearer nonsense']]) {
    const answer = await ask(port, 'GET', target, headers);
    expect(answer.status).toBe(404);
    expect(json(answer)).toMatchObject({ code: 'no_such_service' });
    expect(headerValues(answer, 'www-authenticate')).toEqual([]);
  }
  expect(realm.seen).toEqual([]);
  expect(catchAll.seen).toEqual([]);
});

test.each([
  '/auth/realms/demo/../demo/protocol/openid-connect/certs',
  '/auth/realms//protocol/openid-connect/certs',
  '//auth/realms/demo/protocol/openid-connect/certs',
  '/auth/realms/demo/%2e%2e/x',
  '/auth/realms/demo%2Fprotocol/openid-connect/certs',
  '/auth/realms/demo/protocol/openid-connect\\certs',
  '/auth/realms/demo;/..;/x',
])('%s is 400 before anybody asks whose path it is', async (target) => {
  const { port, realm } = await startRealmWire();
  const answer = await ask(port, 'GET', target);
  expect(answer.status).toBe(400);
  expect(json(answer)).toMatchObject({ code: 'ambiguous_path' });
  expect(realm.seen).toEqual([]);
});

test('an encoded letter in the realm’s name or the path is the letter', async () => {
  const { port, realm } = await startRealmWire();
  expect((await ask(port, 'GET', '/auth/realms/%64emo/protocol/openid%2Dconnect/cert%73')).status).toBe(200);
  expect(realm.seen[0]!.url).toBe(`${OIDC}/certs`);
});

test('a realm with another path at its own address is asked there', async () => {
  const upstream = await startUpstream();
  const { port } = await gatewayTo(`${upstream.origin}/kc/realms/inner`, {
    passthrough: { endpoints: ['certs', 'resources'] },
  });
  await ask(port, 'GET', `${OIDC}/certs?x=1`);
  await ask(port, 'GET', '/auth/resources/a/b.css');
  expect(upstream.seen.map(({ url }) => url)).toEqual([
    '/kc/realms/inner/protocol/openid-connect/certs?x=1',
    '/kc/resources/a/b.css',
  ]);
});

test('of two realms each path goes to its own', async () => {
  const [one, two] = [await startUpstream(), await startUpstream()];
  const { port } = await startGateway({
    realms: [
      realmSnapshot({ name: 'one', url: `${one.origin}/auth/realms/one` }),
      realmSnapshot({ name: 'two', url: `${two.origin}/auth/realms/two` }),
    ],
  });
  await ask(port, 'GET', '/auth/realms/two/protocol/openid-connect/certs');
  expect(one.seen).toEqual([]);
  expect(two.seen).toHaveLength(1);
});

test('a login form streams to the realm, also from a client that waits for 100 Continue', async () => {
  const { port } = await startRealmWire({ passthrough: { endpoints: ['auth'] } });
  const socket = connect(port, '127.0.0.1').setEncoding('latin1');
  socket.write(
    `POST ${REALM}/login-actions/authenticate HTTP/1.1\r\nHost: a\r\nConnection: close\r\n` +
      'Content-Type: application/x-www-form-urlencoded\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n',
  );
  const [first] = (await once(socket, 'data')) as [string];
  expect(first).toMatch(/^HTTP\/1\.1 100 Continue\r\n/);
  let rest = '';
  socket.on('data', (chunk: string) => (rest += chunk));
  socket.write('a=b');
  await once(socket, 'end');
  expect(rest).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
});

test('forms of the login and device pages are limited by address like tokens, their pages are not', async () => {
  const { port } = await startRealmWire({
    passthrough: {
      endpoints: ['auth', 'device', 'token'],
      limit: { perUser: { count: 9, window: 60_000 }, perAddress: { count: 2, window: 60_000 } },
    },
  });
  expect((await postForm(port, 'password=a', [], `${REALM}/login-actions/authenticate`)).status).toBe(200);
  expect((await postForm(port, 'user_code=a', [], `${REALM}/device`)).status).toBe(200);
  const answer = await postForm(port, 'password=b', [], `${REALM}/login-actions/authenticate`);
  expect(answer.status).toBe(429);
  expect(headerValues(answer, 'retry-after')).toEqual(['30']);
  expect((await call(port, 'POST', `${OIDC}/token`)).status).toBe(429);
  for (let i = 0; i < 3; i++) expect((await ask(port, 'GET', `${OIDC}/auth`)).status).toBe(200);
});

test('redirects, cookies and CORS fields of the realm return as they are', async () => {
  const fields = [
    'Location: https://app.example.com/cb?code=x',
    'Set-Cookie: AUTH_SESSION_ID=1; Path=/auth/realms/demo/; HttpOnly',
    'Access-Control-Allow-Origin: https://app.example.com',
    'Content-Length: 0',
  ];
  const realm = await startExactRealm(`HTTP/1.1 302 Found\r\n${fields.join('\r\n')}\r\n\r\n`, 0);
  const { port } = await gatewayTo(`${realm.origin}${REALM}`, { passthrough: { endpoints: ['auth'] } });
  const answer = await ask(port, 'GET', `${OIDC}/auth`);
  expect(answer.status).toBe(302);
  const kept = answer.headers.filter(([name]) => !/^(?:date|connection)$/i.test(name));
  expect(kept.map(([name, value]) => `${name}: ${value}`)).toEqual(fields);
});
