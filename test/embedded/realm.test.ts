import { once } from 'node:events';
import { readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { get } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { startEmbeddedRealm } from '../../src/embedded/realm.ts';
import { RealmStorage } from '../../src/embedded/storage.ts';
import { SETTINGS, ask, basic, introspect, post, refresh, signIn, startRealm } from './harness.ts';

const certs = (url: string) => createRemoteJWKSet(new URL(`${url}/protocol/openid-connect/certs`));
const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };

afterEach(() => vi.useRealTimers());

describe('signing in', () => {
  test('answers in the shape of Keycloak, never to be cached', async () => {
    const realm = await startRealm();
    const answer = await signIn(realm);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.json).toEqual({
      access_token: expect.any(String) as string,
      expires_in: 300,
      refresh_expires_in: 1800,
      refresh_token: expect.any(String) as string,
      token_type: 'Bearer',
      'not-before-policy': 0,
      session_state: decodeJwt(String(answer.json['access_token']))['sid'],
      scope: 'email profile',
    });
  });

  test('gives an access token with the claims of Keycloak that the published key verifies', async () => {
    const realm = await startRealm();
    const { json } = await signIn(realm);
    const { payload, protectedHeader } = await jwtVerify(String(json['access_token']), certs(realm.url), {
      issuer: realm.url,
      audience: 'account',
    });
    expect(protectedHeader).toEqual({ alg: 'RS256', typ: 'JWT', kid: expect.any(String) as string });
    expect(payload.exp! - payload.iat!).toBe(300);
    expect(payload).toEqual({
      exp: payload.exp,
      iat: payload.iat,
      jti: expect.any(String) as string,
      iss: realm.url,
      aud: 'account',
      sub: '096c2794-e468-5204-ba4e-78daf5ce14be',
      typ: 'Bearer',
      azp: 'istio',
      sid: json['session_state'],
      acr: '1',
      'allowed-origins': ['/*'],
      realm_access: { roles: ['default-roles-demo', 'offline_access', 'uma_authorization', 'editor'] },
      resource_access: { account: { roles: ['manage-account', 'manage-account-links', 'view-profile'] } },
      scope: 'email profile',
      email_verified: true,
      name: 'Alice Demo',
      preferred_username: 'alice',
      given_name: 'Alice',
      family_name: 'Demo',
      email: 'alice@demo.example',
    });
  });

  test('gives an ID token of type ID only when the scope openid was asked for', async () => {
    const realm = await startRealm();
    const { json } = await signIn(realm, { scope: 'openid' });
    expect(json['scope']).toBe('openid email profile');
    const { payload } = await jwtVerify(String(json['id_token']), certs(realm.url), { audience: 'istio' });
    expect(payload).toMatchObject({ typ: 'ID', azp: 'istio', preferred_username: 'alice' });
  });

  test('takes a username in any case, and the secret that a public client need not send', async () => {
    const realm = await startRealm();
    expect(await signIn(realm, { username: 'Alice' })).toMatchObject({ status: 200 });
    expect(await signIn(realm, { client_secret: 'whatever' })).toMatchObject({ status: 200 });
  });

  const credentials = 'Invalid client or Invalid client credentials';
  test.each([
    ['a wrong password', { password: 'x' }, 400, 'invalid_grant', 'Invalid user credentials'],
    ['no password', { password: '' }, 400, 'invalid_grant', 'Invalid user credentials'],
    ['an unknown user', { username: 'bob' }, 400, 'invalid_grant', 'Invalid user credentials'],
    [
      'a name of Object.prototype',
      { username: 'toString' },
      400,
      'invalid_grant',
      'Invalid user credentials',
    ],
    ['an empty user', { username: '' }, 400, 'invalid_grant', 'Invalid user credentials'],
    ['an unknown client', { client_id: 'nobody' }, 401, 'invalid_client', credentials],
    ['no client', { client_id: '' }, 401, 'invalid_client', credentials],
    [
      'a confidential client without its secret',
      { client_id: 'gateway' },
      401,
      'unauthorized_client',
      credentials,
    ],
    ['an unknown grant', { grant_type: 'magic' }, 400, 'unsupported_grant_type', 'Unsupported grant_type'],
    ['an empty grant', { grant_type: '' }, 400, 'unsupported_grant_type', 'Unsupported grant_type'],
    ['an unknown scope', { scope: 'email money' }, 400, 'invalid_scope', 'Invalid scopes: email money'],
  ])('refuses %s as Keycloak does', async (_what, form, status, error, description) => {
    const realm = await startRealm();
    const answer = await signIn(realm, form);
    expect(answer).toMatchObject({ status, json: { error, error_description: description } });
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'content-type': 'application/json',
      'cache-control': 'no-store',
      pragma: 'no-cache',
    });
    expect(answer.headers.has('www-authenticate')).toBe(false);
  });

  test.each([
    [
      'a user',
      { grant_type: 'password', client_id: 'istio' },
      401,
      'invalid_request',
      'Missing parameter: username',
    ],
    ['a grant', { client_id: 'istio' }, 400, 'invalid_request', 'Missing form parameter: grant_type'],
    ['a client', { grant_type: 'password', username: 'alice' }, 401, 'invalid_client', credentials],
    [
      'a service account',
      { grant_type: 'client_credentials', client_id: 'istio' },
      401,
      'unauthorized_client',
      'Public client not allowed to retrieve service account',
    ],
  ])('refuses a form without %s as Keycloak does', async (_what, form, status, error, description) => {
    const realm = await startRealm();
    const answer = await post(realm, 'token', form);
    expect(answer).toMatchObject({ status, json: { error, error_description: description } });
  });

  test('refuses a doubled field, another content type and a body over 64 KiB', async () => {
    const realm = await startRealm();
    const url = `${realm.url}/protocol/openid-connect/token`;
    const form = 'application/x-www-form-urlencoded';
    const send = (type: string, body: string) =>
      ask(url, { method: 'POST', headers: { 'content-type': type }, body });
    const doubled = 'grant_type=password&client_id=istio&username=alice&username=admin&password=admin';
    expect(await send(form, doubled)).toMatchObject({
      status: 400,
      json: { error: 'invalid_request', error_description: 'duplicated parameter' },
    });
    expect(await send('application/json', '{"grant_type":"password"}')).toMatchObject({ status: 415 });
    expect(await send(form, `password=${'x'.repeat(70_000)}`)).toMatchObject({ status: 413 });
  });

  test('logs neither passwords nor tokens', async () => {
    const realm = await startRealm();
    const { json } = await signIn(realm);
    await signIn(realm, { password: 'not-wonderland' });
    const text = JSON.stringify(realm.logged);
    expect(text).not.toContain('wonderland');
    expect(text).not.toContain(String(json['access_token']));
    expect(text).not.toContain(realm.introspection.clientSecret);
  });
});

describe('refreshing', () => {
  test('keeps the session and gives new tokens; the used refresh token stays good', async () => {
    const realm = await startRealm();
    const first = (await signIn(realm)).json;
    expect(decodeJwt(String(first['refresh_token']))).toMatchObject({ typ: 'Refresh', azp: 'istio' });
    const second = await refresh(realm, first['refresh_token']);
    expect(second).toMatchObject({ status: 200, json: { session_state: first['session_state'] } });
    expect(second.json['access_token']).not.toBe(first['access_token']);
    expect(second.json['refresh_token']).not.toBe(first['refresh_token']);
    expect(await refresh(realm, first['refresh_token'])).toMatchObject({ status: 200 });
  });

  test('follows the idle time of Keycloak: used within 30 minutes it lives on, later it is over', async () => {
    const realm = await startRealm();
    const first = (await signIn(realm)).json;
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 1_500_000 });
    const second = (await refresh(realm, first['refresh_token'])).json;
    expect(second['refresh_expires_in']).toBe(1800);
    vi.setSystemTime(Date.now() + 1_500_000);
    expect(await refresh(realm, second['refresh_token'])).toMatchObject({ status: 200 });
    expect(await refresh(realm, first['refresh_token'])).toMatchObject({
      status: 400,
      json: { error: 'invalid_grant', error_description: 'Token is not active' },
    });
  });

  test('ends with the longest session, 10 hours, however often it was refreshed', async () => {
    const realm = await startRealm();
    let { json } = await signIn(realm);
    const start = Date.now();
    vi.useFakeTimers({ toFake: ['Date'], now: start });
    for (let minutes = 25; minutes < 600; minutes += 25) {
      vi.setSystemTime(start + minutes * 60_000);
      json = (await refresh(realm, json['refresh_token'])).json;
    }
    expect(json['refresh_expires_in']).toBeLessThanOrEqual(1500);
    vi.setSystemTime(start + 601 * 60_000);
    expect(await refresh(realm, json['refresh_token'])).toMatchObject({ status: 400 });
  });

  test.each([
    ['an access token', 'access_token'],
    ['an ID token', 'id_token'],
  ])('refuses %s in its place', async (_what, name) => {
    const realm = await startRealm();
    const { json } = await signIn(realm, { scope: 'openid' });
    expect(await refresh(realm, json[name])).toMatchObject({
      status: 400,
      json: { error: 'invalid_grant', error_description: 'Invalid refresh token' },
    });
  });

  test('refuses the bare handle inside a refresh token, and a changed token', async () => {
    const realm = await startRealm();
    const token = String((await signIn(realm)).json['refresh_token']);
    expect(await refresh(realm, decodeJwt(token).jti)).toMatchObject({ status: 400 });
    const [head, , signature] = token.split('.');
    const claims = Buffer.from(JSON.stringify({ ...decodeJwt(token), exp: 4e9 })).toString('base64url');
    expect(await refresh(realm, [head, claims, signature].join('.'))).toMatchObject({ status: 400 });
  });

  test('is over after a logout with the refresh token', async () => {
    const realm = await startRealm();
    const { json } = await signIn(realm);
    const logout = { client_id: 'istio', refresh_token: String(json['refresh_token']) };
    expect(await post(realm, 'logout', { ...logout, client_id: 'other' })).toMatchObject({ status: 400 });
    expect(await post(realm, 'logout', logout)).toMatchObject({ status: 204 });
    expect(await refresh(realm, json['refresh_token'])).toMatchObject({
      status: 400,
      json: { error_description: 'Session not active' },
    });
    expect((await introspect(realm, json['access_token'])).json).toEqual({ active: false });
  });
});

describe('introspection', () => {
  test('tells the confidential client the claims of an active token', async () => {
    const realm = await startRealm();
    const { json } = await signIn(realm);
    expect((await introspect(realm, json['access_token'])).json).toEqual({
      ...decodeJwt(String(json['access_token'])),
      client_id: 'istio',
      username: 'alice',
      token_type: 'Bearer',
      active: true,
    });
  });

  test('calls everything else inactive, the bare handle of a token included', async () => {
    const realm = await startRealm();
    const { json } = await signIn(realm, { scope: 'openid' });
    const handle = decodeJwt(String(json['access_token'])).jti;
    for (const token of ['x', 'a.b.c', handle, json['id_token']]) {
      expect((await introspect(realm, token)).json).toEqual({ active: false });
    }
  });

  test('calls an expired token inactive', async () => {
    const realm = await startRealm();
    const { json } = await signIn(realm);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 301_000 });
    expect((await introspect(realm, json['access_token'])).json).toEqual({ active: false });
  });

  test('is refused to a public client and to a wrong secret', async () => {
    const realm = await startRealm();
    const token = String((await signIn(realm)).json['access_token']);
    for (const shown of [token, 'x']) {
      expect(await post(realm, 'token/introspect', { client_id: 'istio', token: shown })).toMatchObject({
        status: 403,
        json: { error: 'invalid_request', error_description: 'Client not allowed.' },
      });
    }
    const wrong = { ...realm, introspection: { clientId: 'gateway', clientSecret: 'x' } };
    expect(await introspect(wrong, token)).toMatchObject({
      status: 401,
      json: { error: 'invalid_client', error_description: 'Client authentication failed.' },
    });
    expect(await post(realm, 'token', { grant_type: 'client_credentials' }, basic(realm))).toMatchObject({
      status: 400,
    });
  });
});

describe('endpoints', () => {
  test('stand where Keycloak has them, whatever host a request names', async () => {
    const realm = await startRealm();
    const headers = {
      'x-forwarded-host': 'evil.example',
      'x-forwarded-proto': 'https',
      forwarded: 'host=evil',
    };
    const { json } = await ask(`${realm.url}/.well-known/openid-configuration`, { headers });
    const base = `${realm.url}/protocol/openid-connect`;
    expect(json).toMatchObject({
      issuer: realm.url,
      authorization_endpoint: `${base}/auth`,
      token_endpoint: `${base}/token`,
      introspection_endpoint: `${base}/token/introspect`,
      userinfo_endpoint: `${base}/userinfo`,
      end_session_endpoint: `${base}/logout`,
      jwks_uri: `${base}/certs`,
      revocation_endpoint: `${base}/revoke`,
      device_authorization_endpoint: `${base}/auth/device`,
    });
    expect(json['grant_types_supported']).toContain('password');
    const signed = await post(
      realm,
      'token',
      { grant_type: 'password', client_id: 'istio', username: 'alice', password: 'wonderland' },
      headers,
    );
    expect(decodeJwt(String(signed.json['access_token'])).iss).toBe(realm.url);
  });

  test('take the issuer from the listener, not from the Host header', async () => {
    const realm = await startRealm();
    const { pathname, port } = new URL(realm.url);
    const path = `${pathname}/.well-known/openid-configuration`;
    const asked = get({ host: '127.0.0.1', port, path, headers: { host: 'evil.example' }, agent: false });
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    const document = (await response.setEncoding('utf8').toArray()).join('');
    expect(document).not.toContain('evil.example');
    expect(JSON.parse(document)).toMatchObject({ issuer: realm.url });
  });

  test('publish the public key alone', async () => {
    const realm = await startRealm();
    const { json } = await ask(`${realm.url}/protocol/openid-connect/certs`);
    const [key] = json['keys'] as Record<string, string>[];
    expect(Object.keys(key!).sort()).toEqual(['alg', 'e', 'kid', 'kty', 'n', 'use']);
    const info = await ask(realm.url);
    expect(info.json).toMatchObject({
      realm: 'demo',
      'token-service': `${realm.url}/protocol/openid-connect`,
    });
    const der = Buffer.from(String(info.json['public_key']), 'base64');
    expect(der.includes(Buffer.from(key!['n']!, 'base64url'))).toBe(true);
  });

  test('answer userinfo for a token with the scope openid', async () => {
    const realm = await startRealm();
    const bearer = async (form: Record<string, string>) => ({
      authorization: `Bearer ${String((await signIn(realm, form)).json['access_token'])}`,
    });
    const url = `${realm.url}/protocol/openid-connect/userinfo`;
    const answer = await ask(url, { headers: await bearer({ scope: 'openid' }) });
    expect(answer.json).toMatchObject({ preferred_username: 'alice', email: 'alice@demo.example' });
    const refused = async (headers: Record<string, string>) => {
      const { status, headers: sent, text } = await ask(url, { headers });
      return [status, sent.get('www-authenticate'), text];
    };
    expect(await refused(await bearer({}))).toEqual([
      403,
      'Bearer realm="demo", error="insufficient_scope", error_description="Missing openid scope"',
      '',
    ]);
    expect(await refused({ authorization: 'Bearer x' })).toEqual([
      401,
      'Bearer realm="demo", error="invalid_token", error_description="Token verification failed"',
      '',
    ]);
    expect(await refused({})).toEqual([401, 'Bearer realm="demo"', '']);
  });

  test('revoke a token for its own client', async () => {
    const realm = await startRealm();
    const { json } = await signIn(realm);
    const token = String(json['access_token']);
    await post(realm, 'revoke', { token }, basic(realm));
    expect((await introspect(realm, token)).json['active']).toBe(true);
    expect(await post(realm, 'revoke', { token, client_id: 'istio' })).toMatchObject({ status: 200 });
    expect((await introspect(realm, token)).json['active']).toBe(false);
  });

  test('say 404 for another realm and any other path, also in another case, and 405 for another method', async () => {
    const realm = await startRealm();
    const origin = new URL(realm.url).origin;
    expect(await ask(`${origin}/auth/realms/other`)).toMatchObject({
      status: 404,
      json: { error: 'Realm does not exist' },
    });
    for (const path of ['/', '/auth', '/auth/admin', '/auth/realms/demo/interaction/x', '/auth/realms/%']) {
      expect(await ask(`${origin}${path}`)).toMatchObject({ status: 404 });
    }
    expect(await ask(`${realm.url}/protocol/openid-connect/TOKEN`, { method: 'POST' })).toMatchObject({
      status: 404,
    });
    expect(await ask(`${realm.url}/protocol/openid-connect/token`)).toMatchObject({ status: 405 });
  });

  test('let only pages of this machine read the answers of the token endpoint', async () => {
    const realm = await startRealm();
    const form = { grant_type: 'password', client_id: 'istio', username: 'alice', password: 'wonderland' };
    const allowed = async (origin: string) =>
      (await post(realm, 'token', form, { origin })).headers.get('access-control-allow-origin');
    expect(await allowed('http://localhost:3000')).toBe('http://localhost:3000');
    expect(await allowed('https://evil.example')).toBeNull();
    expect(await allowed('null')).toBeNull();
  });
});

describe('starting', () => {
  test('warns that it is for development only', async () => {
    const realm = await startRealm();
    expect(realm.logged).toMatchObject([
      { level: 'warn', message: expect.stringMatching(/development/i) as string },
    ]);
  });

  test('writes nothing to the console', async () => {
    const spies = (['log', 'info', 'warn', 'error'] as const).map((name) => vi.spyOn(console, name));
    const realm = await startRealm();
    await refresh(realm, (await signIn(realm, { scope: 'openid' })).json['refresh_token']);
    for (const spy of spies) expect(spy).not.toHaveBeenCalled();
  });

  test.each(['0.0.0.0', '::', '192.0.2.1', '128.0.0.1', '::2', 'name.invalid'])(
    'refuses to listen on %s',
    async (host) => {
      const settings = { ...SETTINGS, listen: { host, port: 0 } };
      await expect(startEmbeddedRealm(settings, { dataDir: tmpdir(), log: silent })).rejects.toThrow(
        /loopback addresses only|cannot be resolved/,
      );
    },
  );

  test('rejects a taken port, and leaves nothing behind that keeps the data', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    const realm = await startRealm();
    await realm.close();
    await expect(startRealm({ listen: { host: '127.0.0.1', port } }, realm.dataDir)).rejects.toThrow(
      'EADDRINUSE',
    );
    taken.close();
    // SQLite removes its journal when the last one closes the database.
    expect(await readdir(join(realm.dataDir, 'embedded'))).toEqual(['keys.json', 'realm.sqlite']);
    const again = await startRealm({ listen: { host: '127.0.0.1', port: 0 } }, realm.dataDir);
    expect(await signIn(again)).toMatchObject({ status: 200 });
  });

  test('refuses two users with one name', async () => {
    const users = [...SETTINGS.users, { username: 'ALICE', password: 'x', roles: [] }];
    await expect(startRealm({ users })).rejects.toThrow('two users named alice');
  });
});

describe('restarting', () => {
  test('keeps the key, the sessions and the subject', async () => {
    const first = await startRealm();
    const port = Number(new URL(first.url).port);
    const before = (await signIn(first)).json;
    await first.close();
    const second = await startRealm({ listen: { host: '127.0.0.1', port } }, first.dataDir);
    expect(second.url).toBe(first.url);
    expect(second.introspection).toEqual(first.introspection);
    await jwtVerify(String(before['access_token']), certs(second.url), { issuer: second.url });
    expect((await introspect(second, before['access_token'])).json).toMatchObject({ active: true });
    const after = await refresh(second, before['refresh_token']);
    expect(after).toMatchObject({ status: 200, json: { session_state: before['session_state'] } });
    expect(decodeJwt(String(after.json['access_token'])).sub).toBe(
      decodeJwt(String(before['access_token'])).sub,
    );
  });

  test('on another port is another issuer, which does not take the tokens of the old one', async () => {
    const first = await startRealm();
    const before = (await signIn(first)).json;
    const second = await startRealm({}, first.dataDir);
    expect(await refresh(second, before['refresh_token'])).toMatchObject({
      status: 400,
      json: { error_description: 'Invalid refresh token' },
    });
    expect((await introspect(second, before['access_token'])).json).toEqual({ active: false });
  });

  test('takes the session of a user who is gone from the configuration', async () => {
    const first = await startRealm();
    const port = Number(new URL(first.url).port);
    const before = (await signIn(first)).json;
    await first.close();
    const listen = { host: '127.0.0.1', port };
    const second = await startRealm({ listen, users: SETTINGS.users.slice(1) }, first.dataDir);
    expect(await refresh(second, before['refresh_token'])).toMatchObject({ status: 400 });
    expect((await introspect(second, before['access_token'])).json).toEqual({ active: false });
  });

  test('keeps its secrets from other users of the machine, and no half-written file', async () => {
    const realm = await startRealm();
    await signIn(realm);
    await realm.rotateKeys();
    const directory = join(realm.dataDir, 'embedded');
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
    for (const name of await readdir(directory)) {
      expect(name).not.toMatch(/tmp$/);
      expect((await stat(join(directory, name))).mode & 0o777).toBe(0o600);
    }
  });

  test('names a damaged key file instead of making new keys', async () => {
    const realm = await startRealm();
    await realm.close();
    const path = join(realm.dataDir, 'embedded', 'keys.json');
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.slice(0, 200));
    await expect(startRealm({}, realm.dataDir)).rejects.toThrow(path);
  });

  test('forgets what expired', async () => {
    const realm = await startRealm();
    await signIn(realm);
    expect(realm.sweep()).toBe(0);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 301_000 });
    expect(realm.sweep()).toBe(1);
    await realm.close();
    vi.setSystemTime(Date.now() + 36_000_000);
    const storage = new RealmStorage(join(realm.dataDir, 'embedded', 'realm.sqlite'));
    expect(storage.count()).toBe(0);
    storage.close();
  });
});

describe('rotating keys', () => {
  test('signs with a new key, publishes it alone, and calls older access tokens inactive', async () => {
    const realm = await startRealm();
    const before = (await signIn(realm)).json;
    await realm.rotateKeys();
    const after = await refresh(realm, before['refresh_token']);
    expect(after.status).toBe(200);
    const kid = (token: unknown) => decodeProtectedHeader(String(token)).kid;
    const { json } = await ask(`${realm.url}/protocol/openid-connect/certs`);
    expect((json['keys'] as { kid: string }[]).map((key) => key.kid)).toEqual([
      kid(after.json['access_token']),
    ]);
    expect(kid(after.json['access_token'])).not.toBe(kid(before['access_token']));
    await jwtVerify(String(after.json['access_token']), certs(realm.url));
    expect((await introspect(realm, before['access_token'])).json).toEqual({ active: false });
  });

  test('is kept over a restart', async () => {
    const first = await startRealm();
    await first.rotateKeys();
    const keys = (await ask(`${first.url}/protocol/openid-connect/certs`)).json;
    await first.close();
    const second = await startRealm({}, first.dataDir);
    expect((await ask(`${second.url}/protocol/openid-connect/certs`)).json).toEqual(keys);
  });
});
