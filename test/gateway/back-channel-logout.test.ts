import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { expect, onTestFinished, test } from 'vitest';
import { Realms } from '../../src/app/realms.ts';
import type { RealmSettings } from '../../src/contracts/settings.ts';
import { issueToken, realmSnapshot, route, startGateway, startUpstream } from '../support/gateway.ts';
import { headerValues, untilResponses } from '../support/parse-responses.ts';
import { rawRequest } from '../support/raw-request.ts';
import { ask, json, postForm, startRealmWire } from './realm-wire.ts';

const PATH = '/auth/realms/demo/backchannel-logout';

/** A gateway that takes logout messages, with the tokens that reached the primary. `good` is the valid one. */
async function startTaking() {
  const wire = await startRealmWire({ backchannelLogout: true });
  const taken: string[] = [];
  wire.control.onLogout = (token) => {
    taken.push(token);
    return Promise.resolve(token === 'good');
  };
  return { ...wire, taken };
}

test('a good logout token is 200 and nothing else', async () => {
  const { port, taken, realm } = await startTaking();
  const answer = await postForm(port, 'logout_token=good&x=1', [], PATH);
  expect(answer).toMatchObject({ status: 200, body: '' });
  expect(headerValues(answer, 'cache-control')).toEqual(['no-store']);
  expect(taken).toEqual(['good']);
  expect(realm.seen).toEqual([]);
});

test.each([
  ['that is not valid', 'logout_token=bad', ['bad']],
  ['without a token', 'other=good', []],
  ['with two tokens', 'logout_token=good&logout%5Ftoken=good', []],
  ['with a line break', 'logout_token=good\n', []],
  ['without anything', '', []],
])('a logout %s is 400 in the form of OpenID Connect', async (_, form, reached) => {
  const { port, taken } = await startTaking();
  const answer = await postForm(port, form, [], PATH);
  expect(answer.status).toBe(400);
  expect(headerValues(answer, 'content-type')).toEqual(['application/json']);
  expect(headerValues(answer, 'cache-control')).toEqual(['no-store']);
  expect(json(answer)).toMatchObject({ error: 'invalid_request' });
  expect(taken).toEqual(reached);
});

test('logout messages are posted as forms: other methods are 405, other types 415, large ones 413', async () => {
  const { port, taken } = await startTaking();
  for (const method of ['GET', 'PUT', 'OPTIONS']) expect((await ask(port, method, PATH)).status).toBe(405);
  const typed = await postForm(port, 'logout_token=good', ['Content-Type: application/jwt'], PATH);
  expect(json(typed)).toMatchObject({ status: 415, code: 'unsupported_media_type' });
  const large = await postForm(port, `logout_token=${'x'.repeat(32 * 1024)}`, [], PATH);
  expect(json(large)).toMatchObject({ status: 413, code: 'body_too_large' });
  expect(taken).toEqual([]);
});

test('where it is not enabled the path is 404, like paths below and beside it', async () => {
  const disabled = await startRealmWire();
  expect((await postForm(disabled.port, 'logout_token=good', [], PATH)).status).toBe(404);
  const { port, taken } = await startTaking();
  for (const path of [`${PATH}/`, `${PATH}/x`, PATH.toUpperCase(), PATH.replace('demo', 'other')]) {
    expect((await postForm(port, 'logout_token=good', [], path)).status).toBe(
      path.startsWith('/auth') ? 404 : 401,
    );
  }
  expect(taken).toEqual([]);
});

test('a thousand sessions that end at once from one address are all taken, a few at a time', async () => {
  const { port, control, gateway } = await startTaking();
  let now = 0;
  let most = 0;
  let done = 0;
  control.onLogout = async () => {
    most = Math.max(most, ++now);
    await new Promise(setImmediate);
    now--;
    done++;
    return true;
  };
  const body = 'logout_token=good';
  const request =
    `POST ${PATH} HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n` +
    `Content-Length: ${body.length}\r\n\r\n${body}`;
  const sent = Array.from({ length: 20 }, () =>
    rawRequest(port, request.repeat(50), { until: untilResponses(50) }),
  );
  const answers = await Promise.all(sent);
  for (const { text } of answers) expect(text.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(50);
  expect(done).toBe(1000);
  expect(most).toBe(4);
  expect(gateway.inFlight).toBe(0);
});

test('a primary that cannot keep the logout is a failure of the gateway, so that the realm tries again', async () => {
  const { port, control } = await startTaking();
  control.onLogout = () => Promise.reject(new Error('the disk is full'));
  const answer = await postForm(port, 'logout_token=good', [], PATH);
  expect(json(answer)).toMatchObject({ status: 500, code: 'internal_error' });
  expect(answer.body).not.toContain('disk');
});

test('a session that ends takes its tokens with it at once, those that were served before as well', async () => {
  const upstream = await startUpstream();
  const routes = [route({ upstream: [upstream.origin] })];
  const { port, gateway } = await startGateway({ routes });
  const mine = `Authorization: Bearer ${await issueToken()}`;
  const other = `Authorization: Bearer ${await issueToken({ sid: 'session-2' })}`;
  for (const token of [mine, other]) expect((await ask(port, 'GET', '/hello', [token])).status).toBe(200);
  const ended = { sid: 'session-1', sub: null, before: Date.now(), forgetAt: Date.now() + 60_000 };
  gateway.apply({ realms: [realmSnapshot({}, { revocations: [ended] })] });
  const answer = await ask(port, 'GET', '/hello', [mine]);
  expect(json(answer)).toMatchObject({ status: 401, code: 'token_revoked' });
  expect(headerValues(answer, 'www-authenticate')[0]).toContain('error="invalid_token"');
  expect((await ask(port, 'GET', '/hello', [other])).status).toBe(200);
  expect(upstream.seen).toHaveLength(3);
});

test('from the realm’s message to the refused token: the whole way with a real keeper', async () => {
  const { publicKey, privateKey } = await generateKeyPair('RS256', { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid: 'key-1', alg: 'RS256', use: 'sig' };
  const keycloak = await startUpstream((request, response) => {
    const certs = request.url?.endsWith('/certs') === true;
    response.setHeader('Content-Type', 'application/json');
    response.end(
      JSON.stringify(
        certs ? { keys: [jwk] } : { issuer, jwks_uri: `${issuer}/protocol/openid-connect/certs` },
      ),
    );
  });
  const issuer = `${keycloak.origin}/auth/realms/demo`;
  const sign = (claims: Record<string, unknown>) =>
    new SignJWT({ iss: issuer, iat: Math.floor(Date.now() / 1000), ...claims })
      .setProtectedHeader({ alg: 'RS256', kid: 'key-1' })
      .sign(privateKey);

  const { jwks, passthrough } = realmSnapshot().settings;
  const settings: RealmSettings = {
    name: 'demo',
    url: issuer,
    issuers: null,
    clients: ['istio'],
    algorithms: ['RS256'],
    clockSkew: 0,
    jwks,
    introspection: null,
    revocation: { backchannelLogout: true },
    passthrough,
  };
  const dataDir = await mkdtemp(join(tmpdir(), 'realmgate-logout-'));
  const quiet = () => undefined;
  const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
  const realms = new Realms({ dataDir, log }, (snapshots) => gateway.apply({ realms: snapshots }));
  onTestFinished(async () => {
    await realms.stop();
    await rm(dataDir, { recursive: true, force: true });
  });
  await realms.apply([settings], null);
  const service = await startUpstream();
  const { port, gateway, control } = await startGateway({
    realms: realms.snapshots(),
    routes: [route({ upstream: [service.origin] })],
  });
  control.onLogout = (token) => realms.backchannelLogout('demo', token);

  const exp = Math.floor(Date.now() / 1000) + 60;
  const token = await sign({ sub: 'alice', azp: 'istio', typ: 'Bearer', sid: 'session-7', exp });
  const call = () => ask(port, 'GET', '/hello', [`Authorization: Bearer ${token}`]);
  expect((await call()).status).toBe(200);

  const events = { 'http://schemas.openid.net/event/backchannel-logout': {} };
  const logout = await sign({ aud: 'istio', sid: 'session-7', jti: 'one', events, exp });
  expect((await postForm(port, `logout_token=${logout}x`, [], PATH)).status).toBe(400);
  expect((await call()).status).toBe(200);
  expect((await postForm(port, `logout_token=${logout}`, [], PATH)).status).toBe(200);
  expect(json(await call())).toMatchObject({ status: 401, code: 'token_revoked' });
  expect((await postForm(port, `logout_token=${logout}`, [], PATH)).status).toBe(400);
});
