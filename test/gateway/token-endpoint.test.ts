import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { startRealm } from '../embedded/harness.ts';
import { headerValues } from '../support/parse-responses.ts';
import { rawRequest } from '../support/raw-request.ts';
import { freePort } from '../support/free-port.ts';
import {
  ask,
  gatewayTo,
  json,
  PASSWORD_FORM,
  postForm,
  startExactRealm,
  startRealmWire,
  TOKEN_PATH,
} from './realm-wire.ts';

const FORM_TYPE = 'Content-Type: application/x-www-form-urlencoded';

test('the password grant and the refresh grant of a real realm work through the gateway', async () => {
  const realm = await startRealm();
  const { port } = await gatewayTo(realm.url);
  const granted = await postForm(port, PASSWORD_FORM);
  expect(granted.status).toBe(200);
  expect(headerValues(granted, 'cache-control')).toEqual(['no-store']);
  const { access_token: first, refresh_token: refresh } = json(granted);
  expect(first).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/);

  const renewed = await postForm(
    port,
    `grant_type=refresh_token&client_id=istio&refresh_token=${encodeURIComponent(String(refresh))}`,
  );
  expect(renewed.status).toBe(200);
  expect(json(renewed)['access_token']).not.toBe(first);
});

test('a wrong password comes back as the realm says it', async () => {
  const realm = await startRealm();
  const { port } = await gatewayTo(realm.url);
  const answer = await postForm(port, PASSWORD_FORM.replace('wonderland', 'wrong'));
  const direct = await fetch(`${realm.url}/protocol/openid-connect/token`, {
    method: 'POST',
    body: new URLSearchParams(PASSWORD_FORM.replace('wonderland', 'wrong')),
  });
  expect(answer.status).toBe(direct.status);
  expect(answer.body).toBe(await direct.text());
});

test('the realm’s status, reason, fields and body return unchanged to the byte', async () => {
  const body = '{"error":"invalid_grant","error_description":"Invalid user \xc3\xa9 credentials"}\n';
  const fields = [
    'Cache-Control: no-store, must-revalidate, max-age=0',
    'pragma: no-cache',
    'WWW-Authenticate: DPoP error="use_dpop_nonce"',
    'DPoP-Nonce: eyJ7S_zG.eyJH0-Z.HX4w-7v',
    'Content-Type: application/json',
    'Set-Cookie: a=1; Path=/',
    'Set-Cookie: b=2; Path=/',
    `Content-Length: ${body.length}`,
  ];
  const realm = await startExactRealm(
    `HTTP/1.1 401 Nope\r\n${fields.join('\r\n')}\r\n\r\n${body}`,
    PASSWORD_FORM.length,
  );
  const { port } = await gatewayTo(`${realm.origin}/auth/realms/demo`);
  const answer = await postForm(port, PASSWORD_FORM);
  expect(answer).toMatchObject({ status: 401, reason: 'Nope', body });
  const kept = answer.headers.filter(([name]) => !/^(?:date|connection|keep-alive)$/i.test(name));
  expect(kept.map(([name, value]) => `${name}: ${value}`)).toEqual(fields);
});

test('the form, DPoP and Authorization reach the realm as they were sent', async () => {
  const { port, realm } = await startRealmWire();
  await postForm(port, PASSWORD_FORM, [
    'DPoP: proof.of.key',
    'Authorization: Basic aXN0aW86czNjcmV0',
    'X-Other: 1',
  ]);
  const [seen] = realm.seen;
  expect(seen).toMatchObject({ method: 'POST', url: TOKEN_PATH, body: PASSWORD_FORM });
  expect(seen!.headers).toMatchObject({
    dpop: 'proof.of.key',
    authorization: 'Basic aXN0aW86czNjcmV0',
    'content-type': 'application/x-www-form-urlencoded',
    'content-length': String(PASSWORD_FORM.length),
    'x-other': '1',
  });
});

test('a chunked form reaches the realm with its length', async () => {
  const { port, realm } = await startRealmWire();
  const [one, two] = [PASSWORD_FORM.slice(0, 20), PASSWORD_FORM.slice(20)];
  const chunks = [one, two].map((part) => `${part.length.toString(16)}\r\n${part}\r\n`).join('');
  const answer = await ask(
    port,
    'POST',
    TOKEN_PATH,
    [FORM_TYPE, 'Transfer-Encoding: chunked'],
    `${chunks}0\r\n\r\n`,
  );
  expect(answer.status).toBe(200);
  expect(realm.seen[0]).toMatchObject({ body: PASSWORD_FORM });
  expect(realm.seen[0]!.headers['content-length']).toBe(String(PASSWORD_FORM.length));
});

test('a client that waits for 100 Continue gets it before it sends the form', async () => {
  const { port } = await startRealmWire();
  const socket = connect(port, '127.0.0.1').setEncoding('latin1');
  socket.write(
    `POST ${TOKEN_PATH} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${FORM_TYPE}\r\n` +
      `Expect: 100-continue\r\nContent-Length: ${PASSWORD_FORM.length}\r\n\r\n`,
  );
  const [first] = (await once(socket, 'data')) as [string];
  expect(first).toBe('HTTP/1.1 100 Continue\r\n\r\n');
  let rest = '';
  socket.on('data', (chunk: string) => (rest += chunk));
  socket.write(PASSWORD_FORM);
  await once(socket, 'end');
  expect(rest).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
});

test.each([
  ['no content type', []],
  ['JSON', ['Content-Type: application/json']],
  ['a multipart form', ['Content-Type: multipart/form-data; boundary=x']],
  ['another charset', [`${FORM_TYPE}; charset=utf-16`]],
  ['a second charset', [`${FORM_TYPE}; charset=utf-8; charset=utf-16`]],
  ['an unbalanced quote', [`${FORM_TYPE}; charset="utf-8`]],
  ['a longer type', [`${FORM_TYPE}x`]],
  ['a content coding', [FORM_TYPE, 'Content-Encoding: gzip']],
  ['the identity coding', [FORM_TYPE, 'content-encoding: identity']],
])('with %s the token endpoint answers 415 and the realm sees nothing', async (_, headers) => {
  const { port, realm } = await startRealmWire();
  const answer = await ask(
    port,
    'POST',
    TOKEN_PATH,
    [...headers, `Content-Length: ${PASSWORD_FORM.length}`],
    PASSWORD_FORM,
  );
  expect(answer.status).toBe(415);
  expect(headerValues(answer, 'content-type')).toEqual(['application/problem+json']);
  expect(json(answer)).toMatchObject({ code: 'unsupported_media_type', status: 415 });
  expect(realm.seen).toEqual([]);
});

test.each([
  FORM_TYPE,
  `${FORM_TYPE};charset=UTF-8`,
  `${FORM_TYPE} ; charset="utf-8"`,
  `${FORM_TYPE};`,
  'content-type: APPLICATION/X-WWW-FORM-URLENCODED',
])('%s is a form', async (type) => {
  const { port } = await startRealmWire();
  expect((await postForm(port, PASSWORD_FORM, [type])).status).toBe(200);
});

test('a form of exactly 64 KiB passes and one byte more is 413, by its length before any of it was sent', async () => {
  const { port, realm } = await startRealmWire();
  const filler = `${PASSWORD_FORM}&x=`;
  const largest = filler + 'y'.repeat(64 * 1024 - filler.length);
  expect((await postForm(port, largest)).status).toBe(200);
  const answer = await ask(port, 'POST', TOKEN_PATH, [FORM_TYPE, 'Content-Length: 65537']);
  expect(answer.status).toBe(413);
  expect(json(answer)).toMatchObject({ code: 'body_too_large' });
  expect(realm.seen).toHaveLength(1);
});

test('a chunked form over 64 KiB is 413 although it never ends', async () => {
  const { port, realm } = await startRealmWire();
  const chunk = `1000\r\n${'y'.repeat(4096)}\r\n`;
  const answer = await ask(
    port,
    'POST',
    TOKEN_PATH,
    [FORM_TYPE, 'Transfer-Encoding: chunked'],
    chunk.repeat(17),
  );
  expect(answer.status).toBe(413);
  expect(realm.seen).toEqual([]);
});

test.each([
  'client_credentials',
  'authorization_code',
  'urn:ietf:params:oauth:grant-type:token-exchange',
  'Password',
  'password ',
  'password\u0000',
])('the grant %j is refused in OAuth’s own form', async (grant) => {
  const { port, realm } = await startRealmWire();
  const answer = await postForm(
    port,
    `grant_type=${encodeURIComponent(grant)}&client_id=istio&username=alice`,
  );
  expect(answer.status).toBe(400);
  expect(headerValues(answer, 'content-type')).toEqual(['application/json']);
  expect(headerValues(answer, 'cache-control')).toEqual(['no-store']);
  expect(json(answer)).toEqual({
    error: 'unauthorized_client',
    error_description: expect.any(String) as string,
  });
  expect(realm.seen).toEqual([]);
});

test('a grant that is configured passes, and one that is not configured does not', async () => {
  const { port } = await startRealmWire({ passthrough: { grants: ['client_credentials'] } });
  expect((await postForm(port, 'grant_type=client_credentials&client_id=a')).status).toBe(200);
  expect(json(await postForm(port, PASSWORD_FORM))).toMatchObject({ error: 'unauthorized_client' });
});

test.each([
  ['no grant', 'client_id=istio&username=alice&password=x'],
  ['an empty grant', 'grant_type=&client_id=istio'],
  ['two grants', 'grant_type=password&client_id=istio&username=a&grant_type=client_credentials'],
  [
    'two grants, one with an encoded name',
    'grant_type=password&grant%5Ftype=client_credentials&client_id=istio&username=a',
  ],
  [
    'two grants, one after a plus and an escape',
    'grant%5ftype=password&client_id=istio&username=a&%67rant_type=x',
  ],
  ['no user name', 'grant_type=password&client_id=istio&password=x'],
  ['an empty user name', 'grant_type=password&client_id=istio&username=&password=x'],
  ['two user names', 'grant_type=password&client_id=istio&username=a&user%6Eame=b'],
  ['no client', 'grant_type=password&username=a&password=x'],
  ['two clients', 'grant_type=password&username=a&client_id=a&client%5Fid=b'],
  ['a question mark before the grant', '?grant_type=password&client_id=istio&username=a'],
  [
    'a line break, which some parsers take for the end',
    'grant_type=password&client_id=istio&username=a\r\n&x=1',
  ],
  ['a NUL', 'grant_type=password&client_id=istio&username=a\0'],
  ['an incomplete escape', 'grant_type=password&client_id=istio&username=a&password=100%'],
  ['an escape that is none', 'grant_type=password&client_id=istio&username=%zz'],
  ['bytes that are no UTF-8', 'grant_type=password&client_id=istio&username=\xe4'],
  ['escapes that are no UTF-8', 'grant_type=password&client_id=istio&username=%E4'],
  ['nothing at all', ''],
])('a form with %s is 400 invalid_request and the realm sees nothing', async (_, form) => {
  const { port, realm } = await startRealmWire();
  const answer = await postForm(port, form);
  expect(answer.status).toBe(400);
  expect(headerValues(answer, 'content-type')).toEqual(['application/json']);
  expect(json(answer)).toEqual({ error: 'invalid_request', error_description: expect.any(String) as string });
  expect(realm.seen).toEqual([]);
});

test.each([
  ['in Authorization', 'grant_type=password&username=a', ['Authorization: Basic YTpi']],
  ['in an assertion', 'grant_type=password&username=a&client_assertion=x.y.z', []],
])('a client may name itself %s instead of client_id', async (_, form, headers) => {
  const { port } = await startRealmWire();
  expect((await postForm(port, form, headers)).status).toBe(200);
});

test('parameters in the query are refused, where a realm might read them beside the form', async () => {
  const { port, realm } = await startRealmWire();
  for (const query of ['?grant_type=client_credentials', '?', '?x=1']) {
    const answer = await postForm(port, PASSWORD_FORM, [], TOKEN_PATH + query);
    expect(answer.status).toBe(400);
    expect(json(answer)).toMatchObject({ error: 'invalid_request' });
  }
  expect(realm.seen).toEqual([]);
});

test('the token endpoint takes POST, and preflights without a body go to the realm', async () => {
  const { port, realm } = await startRealmWire();
  for (const method of ['GET', 'PUT', 'DELETE']) {
    const answer = await ask(port, method, TOKEN_PATH);
    expect(answer.status).toBe(405);
    expect(headerValues(answer, 'allow')).toEqual(['POST, OPTIONS']);
    expect(json(answer)).toMatchObject({ code: 'method_not_allowed' });
  }
  const preflight = ['Origin: https://app.example.com', 'Access-Control-Request-Method: POST'];
  expect((await ask(port, 'OPTIONS', TOKEN_PATH, preflight)).status).toBe(200);
  expect((await ask(port, 'OPTIONS', TOKEN_PATH, [...preflight, 'Content-Length: 0'])).status).toBe(200);
  expect(realm.seen.map(({ method }) => method)).toEqual(['OPTIONS', 'OPTIONS']);
  const length = `Content-Length: ${PASSWORD_FORM.length}`;
  const smuggled = await ask(port, 'OPTIONS', TOKEN_PATH, [FORM_TYPE, length], PASSWORD_FORM);
  expect(smuggled.status).toBe(400);
  expect(realm.seen).toHaveLength(2);
});

test('the realm is told what the client used, and nothing that the client says of it', async () => {
  const { port, realm } = await startRealmWire();
  const lies = ['For', 'Host', 'Proto', 'Port', 'Prefix', 'Server', 'User', 'Groups', 'Anything'];
  await postForm(port, PASSWORD_FORM, [
    ...lies.map((name) => `X-Forwarded-${name}: lie`),
    'X_Forwarded_Port: 1',
    'Forwarded: for=1.2.3.4;host=evil.example',
    'X-Real-IP: 1.2.3.4',
  ]);
  const { headers } = realm.seen[0]!;
  const told = Object.fromEntries(
    Object.entries(headers).filter(([name]) => /forwarded|real-ip/i.test(name)),
  );
  expect(told).toEqual({
    'x-forwarded-for': '127.0.0.1',
    'x-forwarded-host': 'api.example.com',
    'x-forwarded-proto': 'http',
    'x-forwarded-port': '80',
  });
});

test('with publicUrl the realm is told the public host, whatever the client or a trusted proxy used', async () => {
  const { port, realm } = await startRealmWire({
    settings: { publicUrl: 'https://services.example.com:8443', trustedProxies: ['127.0.0.1'] },
  });
  await postForm(port, PASSWORD_FORM, [
    'X-Forwarded-For: 203.0.113.9',
    'X-Forwarded-Host: evil.example',
    'X-Forwarded-Proto: http',
  ]);
  expect(realm.seen[0]!.headers).toMatchObject({
    'x-forwarded-for': '203.0.113.9, 127.0.0.1',
    'x-forwarded-host': 'services.example.com:8443',
    'x-forwarded-proto': 'https',
    'x-forwarded-port': '8443',
  });
});

test('behind a trusted proxy the realm is told the host and scheme of the proxy', async () => {
  const { port, realm } = await startRealmWire({ settings: { trustedProxies: ['127.0.0.0/8'] } });
  await postForm(port, PASSWORD_FORM, ['X-Forwarded-Host: public.example', 'X-Forwarded-Proto: https']);
  expect(realm.seen[0]!.headers).toMatchObject({
    'x-forwarded-host': 'public.example',
    'x-forwarded-proto': 'https',
    'x-forwarded-port': '443',
  });
});

test('no line of the log says anything of a user name, a password or a token', async () => {
  const wire = await startRealmWire();
  const { port, logged } = wire;
  await postForm(port, PASSWORD_FORM, ['Authorization: Basic c2VjcmV0OnNlY3JldA==', 'DPoP: secret-proof']);
  await postForm(port, `${PASSWORD_FORM}&grant_type=x`);
  await postForm(port, PASSWORD_FORM, [], `${TOKEN_PATH}?password=wonderland`);
  const down = await gatewayTo(`http://127.0.0.1:${await freePort()}/auth/realms/demo`);
  await postForm(down.port, PASSWORD_FORM);
  const text = JSON.stringify([wire.accessLog(), logged, down.accessLog(), down.logged]);
  expect(wire.accessLog()).toHaveLength(3);
  expect(down.logged).not.toEqual([]);
  expect(text).not.toMatch(/alice|wonderland|secret|c2VjcmV0|grant_type/);
  expect(wire.accessLog()[0]).toMatchObject({
    route: 'realm:demo',
    path: TOKEN_PATH,
    status: 200,
    user: null,
  });
});

test('attempts for one user are limited whatever the spelling, and other users are not', async () => {
  const { port, realm } = await startRealmWire({
    passthrough: {
      limit: { perUser: { count: 2, window: 60_000 }, perAddress: { count: 100, window: 60_000 } },
    },
  });
  const attempt = (username: string) =>
    postForm(port, `grant_type=password&client_id=istio&username=${encodeURIComponent(username)}&password=x`);
  expect((await attempt('alice')).status).toBe(200);
  expect((await attempt('ALICE ')).status).toBe(200);
  for (const spelling of ['Alice', 'ａｌｉｃｅ', '\u00a0alice']) {
    const answer = await attempt(spelling);
    expect(answer.status).toBe(429);
    expect(json(answer)).toMatchObject({ code: 'rate_limited' });
    expect(headerValues(answer, 'retry-after')).toEqual(['30']);
  }
  expect((await attempt('bob')).status).toBe(200);
  expect(realm.seen).toHaveLength(3);
});

test('attempts from one address are limited, and count for no user while they are refused', async () => {
  const { port, control } = await startRealmWire({
    passthrough: {
      limit: { perUser: { count: 2, window: 60_000 }, perAddress: { count: 1, window: 60_000 } },
    },
  });
  expect((await postForm(port, PASSWORD_FORM)).status).toBe(200);
  expect((await postForm(port, PASSWORD_FORM)).status).toBe(429);
  expect((await postForm(port, 'grant_type=refresh_token&client_id=istio&refresh_token=x')).status).toBe(429);
  const user = { key: 'realm:demo:user:alice', count: 2, window: 60_000 };
  expect(control.rates.take([user])).toEqual({ ok: true });
  expect(control.rates.take([user])).toMatchObject({ ok: false });
});

test('what is refused here counts against no limit', async () => {
  const { port } = await startRealmWire({
    passthrough: {
      limit: { perUser: { count: 1, window: 60_000 }, perAddress: { count: 1, window: 60_000 } },
    },
  });
  expect((await postForm(port, 'grant_type=client_credentials&client_id=a&username=alice')).status).toBe(400);
  expect((await postForm(port, PASSWORD_FORM)).status).toBe(200);
});

test('clients in one IPv6 /64 share a limit by address, and the next network has its own', async () => {
  const { port } = await startRealmWire({
    settings: { trustedProxies: ['127.0.0.1'] },
    passthrough: {
      limit: { perUser: { count: 9, window: 60_000 }, perAddress: { count: 1, window: 60_000 } },
    },
  });
  const from = async (address: string) =>
    (await postForm(port, PASSWORD_FORM, [`X-Forwarded-For: ${address}`])).status;
  expect(await from('2001:db8:0:1::1')).toBe(200);
  expect(await from('2001:DB8::1:ffff:0:0:9')).toBe(429);
  expect(await from('2001:db8:0:2::1')).toBe(200);
  expect(await from('::ffff:203.0.113.1')).toBe(200);
  expect(await from('::ffff:203.0.113.2')).toBe(200);
  expect(await from('203.0.113.1')).toBe(429);
});

test('a realm that is down is 502 with problem details', async () => {
  const { port, logged } = await gatewayTo(`http://127.0.0.1:${await freePort()}/auth/realms/demo`);
  const answer = await postForm(port, PASSWORD_FORM);
  expect(answer.status).toBe(502);
  expect(headerValues(answer, 'content-type')).toEqual(['application/problem+json']);
  expect(json(answer)).toMatchObject({ code: 'upstream_unreachable', status: 502 });
  expect(logged).toMatchObject([{ fields: { route: 'realm:demo', kind: 'unreachable' } }]);
});

test('a form that arrives too slowly is 408 and the realm sees nothing', async () => {
  const { port, realm, gateway } = await startRealmWire({
    settings: { timeouts: { header: 200, connect: 2_000, response: 60_000, idle: 300_000, drain: 30_000 } },
  });
  const answer = await ask(port, 'POST', TOKEN_PATH, [FORM_TYPE, 'Content-Length: 100'], 'grant_type=');
  expect(answer.status).toBe(408);
  expect(json(answer)).toMatchObject({ code: 'request_timeout' });
  expect(realm.seen).toEqual([]);
  expect(gateway.deadlines.size).toBe(0);
});

test('a client that goes away amid its form leaves nothing behind', async () => {
  const wire = await startRealmWire();
  const { port, realm, gateway } = wire;
  const socket = connect(port, '127.0.0.1');
  socket.write(`POST ${TOKEN_PATH} HTTP/1.1\r\nHost: a\r\n${FORM_TYPE}\r\nContent-Length: 100\r\n\r\ngrant_`);
  await expect.poll(() => gateway.deadlines.size).toBe(1);
  socket.resetAndDestroy();
  await expect.poll(() => gateway.inFlight).toBe(0);
  expect(gateway.deadlines.size).toBe(0);
  expect(wire.accessLog()).toMatchObject([{ status: 0, bytesIn: 6 }]);
  expect(realm.seen).toEqual([]);
});

test('a form that ends before its length is 400 and the realm sees nothing', async () => {
  const { port, realm } = await startRealmWire();
  const head = `POST ${TOKEN_PATH} HTTP/1.1\r\nHost: a\r\n${FORM_TYPE}\r\nContent-Length: 1000\r\n\r\n`;
  const { text } = await rawRequest(port, head + PASSWORD_FORM, { halfClose: true });
  expect(text).toMatch(/^HTTP\/1\.1 400 /);
  expect(realm.seen).toEqual([]);
});

test('a refused form does not take the next request of its connection with it', async () => {
  const { port } = await startRealmWire();
  const request = (form: string, more = '') =>
    `POST ${TOKEN_PATH} HTTP/1.1\r\nHost: a\r\n${FORM_TYPE}\r\n${more}Content-Length: ${form.length}\r\n\r\n${form}`;
  const { text } = await rawRequest(
    port,
    request('grant_type=x&client_id=a') + request(PASSWORD_FORM, 'Connection: close\r\n'),
  );
  expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 400', 'HTTP/1.1 200']);
});
