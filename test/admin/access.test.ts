import { describe, expect, it } from 'vitest';
import { OPERATIONS } from '../../src/admin/operations.ts';
import { rawRequest } from '../support/raw-request.ts';
import { problemOf, service, start, type Token } from './support/start.ts';

const guarded = OPERATIONS.filter(({ role }) => role !== null);
const rows = guarded.map(({ method, path, role }) => [method, path.replace(/\{\w+\}/, 'x'), role!] as const);

describe('a caller without a token', () => {
  it.each(rows)('%s %s is 401, and its body is not looked at', async (method, path) => {
    const { call, seen } = await start();
    const response = await call(null, method, path, method === 'GET' ? undefined : '{"broken');
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toBe('Bearer realm="demo"');
    expect(await problemOf(response)).toMatchObject({ code: 'token_missing' });
    expect(seen).toEqual([]);
  });

  it.each([
    ['GET', '/api'],
    ['GET', '/api/v1'],
    ['GET', '/api/v1/nothing'],
    ['GET', '/api/v2/services?x=1'],
    ['DELETE', '/api/v1/services'],
    ['OPTIONS', '/api/v1/services'],
    ['POST', '/api/openapi.json'],
  ])('does not learn whether there is anything at %s %s', async (method, path) => {
    const { call } = await start();
    expect((await call(null, method, path)).status).toBe(401);
  });

  it('gets no further with an encoded path', async () => {
    const { url } = await start();
    expect((await fetch(`${url}/api/v1/%73ervices`)).status).toBe(401);
  });

  it.each([
    ['a scheme that is not Bearer', 'Basic YWRtaW46YWRtaW4=', 'token_missing'],
    ['no token', 'Bearer', 'token_invalid'],
    ['a tab', 'Bearer\tadmin', 'token_invalid'],
    ['characters that no token has', 'Bearer ad"min', 'token_invalid'],
    ['more bytes than allowed', `Bearer ${'a'.repeat(1001)}`, 'token_invalid'],
  ])('that shows %s is 401 before anybody verifies it', async (_what, authorization, code) => {
    const { url, seen } = await start();
    const response = await fetch(`${url}/api/v1/services`, { headers: { authorization } });
    expect(response.status).toBe(401);
    expect(await problemOf(response)).toMatchObject({ code });
    expect(seen).toEqual([]);
  });

  it('that shows a cookie is a caller without a token', async () => {
    const { url } = await start();
    const cookie = 'access_token=admin; Authorization=Bearer%20admin';
    const response = await fetch(`${url}/api/v1/services?access_token=admin`, { headers: { cookie } });
    expect(await problemOf(response)).toMatchObject({ code: 'token_missing' });
  });
});

describe('a token', () => {
  it.each([
    ['stranger', 'token_invalid', 'the issuer is not accepted'],
    ['old', 'token_expired', 'the token has expired'],
  ])('%s is 401, and the challenge says why', async (token, code, why) => {
    const { url } = await start();
    const response = await fetch(`${url}/api/v1/services`, {
      headers: { authorization: `bearer  ${token}` },
    });
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toBe(
      `Bearer realm="demo", error="invalid_token", error_description="${why}"`,
    );
    expect(await problemOf(response)).toMatchObject({ code });
  });

  it('beside a second one is 400, even the same', async () => {
    const { url, seen } = await start();
    const head = 'GET /api/v1/services HTTP/1.1\r\nHost: x\r\nConnection: close\r\n';
    const { text } = await rawRequest(
      Number(new URL(url).port),
      `${head}Authorization: Bearer admin\r\nauthorization: Bearer admin\r\n\r\n`,
    );
    expect(text).toMatch(/^HTTP\/1\.1 400 [^]*"code":"malformed_request"/);
    expect(seen).toEqual([]);
  });

  it('is checked again at every request, against the roles of now', async () => {
    let viewer = 'looker';
    const { call, seen } = await start({
      access: () => ({
        realm: 'demo',
        roles: { admin: 'boss', developer: 'maker', viewer },
        tokenBytes: 1000,
      }),
    });
    expect((await call('viewer', 'GET', '/api/v1/services')).status).toBe(200);
    viewer = 'auditor';
    expect((await call('viewer', 'GET', '/api/v1/services')).status).toBe(403);
    expect(seen).toHaveLength(2);
  });

  it('whose check fails by a bug is 500, and the log has the cause without the token', async () => {
    const { url, logged } = await start();
    const response = await fetch(`${url}/api/v1/services`, { headers: { authorization: 'Bearer broken' } });
    expect(response.status).toBe(500);
    expect(logged).toMatchObject([{ err: new Error('a bug') }]);
  });
});

describe('a role', () => {
  const may: Readonly<Record<Token, readonly string[]>> = {
    admin: ['viewer', 'developer', 'admin'],
    developer: ['viewer', 'developer'],
    viewer: ['viewer'],
    nobody: [],
  };

  it.each(Object.keys(may) as Token[])('%s opens what it should and nothing else', async (token) => {
    const { call } = await start();
    for (const [method, path, role] of rows) {
      const response = await call(token, method, path, method === 'GET' ? undefined : '{"broken');
      const granted = may[token].includes(role);
      expect([method, path, response.status === 403]).toEqual([method, path, !granted]);
      await response.body?.cancel();
    }
  });

  it('that is too little is named, and the answer is 403 before the body is looked at', async () => {
    const { call } = await start();
    const response = await call('viewer', 'POST', '/api/v1/services', '{"broken');
    expect(response.headers.get('www-authenticate')).toMatch(
      /^Bearer realm="demo", error="insufficient_scope"/,
    );
    expect(await problemOf(response)).toMatchObject({
      code: 'access_denied',
      detail: 'This needs the role maker or boss of the realm demo',
    });
  });

  it('is needed to learn whether a place exists', async () => {
    const { call } = await start();
    expect((await call('nobody', 'GET', '/api/v1/nothing')).status).toBe(403);
    expect((await call('viewer', 'GET', '/api/v1/nothing')).status).toBe(404);
  });
});

describe('requests that change something', () => {
  it('are one line each with who asked, whether granted or not, and without the body', async () => {
    const { call, logged } = await start();
    await call('developer', 'POST', '/api/v1/services', service('a'));
    await call('viewer', 'PUT', '/api/v1/secrets/s', { data: { key: 'hidden' } });
    await call('developer', 'PUT', '/api/v1/secrets/s?x=hidden', { data: {} });
    await call('developer', 'GET', '/api/v1/services');
    await call('viewer', 'POST', '/api/v1/explain', { method: 'GET', path: '/', token: 'hidden' });
    await call(null, 'POST', '/api/v1/services', service('b'));
    expect(logged).toMatchObject([
      { event: 'admin', actor: 'developer', method: 'POST', path: '/api/v1/services', status: 201 },
      { event: 'admin', actor: 'id-of-viewer', method: 'PUT', path: '/api/v1/secrets/s', status: 403 },
      { event: 'admin', actor: 'developer', method: 'PUT', path: '/api/v1/secrets/s', status: 400 },
    ]);
    expect(JSON.stringify(logged)).not.toContain('hidden');
  });
});
