import { generateKeyPair, SignJWT } from 'jose';
import { beforeEach, expect, test, vi } from 'vitest';
import type { Explanation, ExplainQuestion } from '../../src/contracts/explain.ts';
import { explain } from '../../src/gateway/explain.ts';
import {
  gatewaySettings,
  ISSUER,
  issueToken,
  realmSnapshot,
  route,
  startGateway,
  startUpstream,
  type TestGateway,
  type TestUpstream,
} from '../support/gateway.ts';
import { parseResponses, untilResponses } from '../support/parse-responses.ts';
import { rawRequest } from '../support/raw-request.ts';

const { limits } = gatewaySettings();
const NOBODY = { roles: [], scopes: [], clients: [] };
const HEADERS_OF_A_HANDSHAKE = {
  connection: 'keep-alive, Upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
};

let running: TestGateway;
let upstream: TestUpstream;

beforeEach(async () => {
  upstream = await startUpstream();
  const { origin } = upstream;
  const cors = { origins: ['https://app.example.com'] };
  const at = (name: string, changes: object) =>
    route({ name, endpoint: `/${name}`, upstream: [origin], ...changes });
  running = await startGateway({
    settings: { limits: { ...limits, bodyBytes: 100, tokenBytes: 4096 } },
    routes: [
      at('hello', {}),
      at('open', { public: true }),
      at('admins', { access: { ...NOBODY, roles: ['realm:admin', 'client:api/editor'] } }),
      at('readers', { access: { ...NOBODY, scopes: ['read'] } }),
      at('others', { access: { ...NOBODY, clients: ['mobile'] } }),
      at('limited', {
        public: true,
        limit: { rate: { count: 1, window: 1e9 }, perIdentity: false, concurrency: null },
      }),
      at('page', { cors }),
      at('down', { upstream: [] }),
      at('dark', { realm: 'dark', public: true }),
      route({ name: 'by-host', endpoint: null, host: 'hello.example.com', upstream: [origin], public: true }),
    ],
    services: [at('asleep', { upstream: [], holdFor: 50, public: true })],
    realms: [
      realmSnapshot(
        { url: `${origin}/auth/realms/demo`, revocation: { backchannelLogout: true } },
        { revocations: [{ sid: 'ended', sub: null, before: Date.now() + 1e6, forgetAt: Date.now() + 1e9 }] },
      ),
      realmSnapshot(
        { name: 'dark' },
        { issuers: ['https://dark'], keys: { jwks: [], fetchedAt: null, cooldownUntil: 0 } },
      ),
    ],
  });
});

type Case = Partial<Omit<ExplainQuestion, 'token'>> & {
  readonly token?: string | null | (() => Promise<string>);
};

async function questionOf({ token = null, ...changes }: Case): Promise<ExplainQuestion> {
  return {
    method: 'GET',
    path: '/hello',
    headers: {},
    ...changes,
    token: typeof token === 'function' ? await token() : token,
  };
}

/** What the gateway answers to the very request. */
async function answerTo({ method, path, headers, token }: ExplainQuestion) {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  if (!Object.keys(headers).some((name) => name.toLowerCase() === 'host'))
    lines.push('Host: api.example.com');
  if (token !== null) lines.push(`Authorization: Bearer ${token}`);
  const { text } = await rawRequest(
    running.port,
    `${method} ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`,
    {
      until: untilResponses(1, [method]),
    },
  );
  const [response] = parseResponses(text, [method]);
  const { status, body } = response!;
  const isProblem = /^\{.*"(?:code|error)":/.test(body);
  const problem = isProblem ? (JSON.parse(body) as { code?: string; error?: string }) : {};
  return { status, code: problem.code ?? problem.error ?? null };
}

const good = (): Promise<string> => issueToken();
const now = (): number => Math.floor(Date.now() / 1000);

async function forged(): Promise<string> {
  const { privateKey } = await generateKeyPair('RS256');
  return new SignJWT({ iss: ISSUER, sub: 'eve', azp: 'istio', exp: now() + 60 })
    .setProtectedHeader({ alg: 'RS256', kid: 'test-key' })
    .sign(privateKey);
}

async function ofUnknownKey(): Promise<string> {
  const { privateKey } = await generateKeyPair('RS256');
  return new SignJWT({ iss: ISSUER, sub: 'eve', azp: 'istio', exp: now() + 60 })
    .setProtectedHeader({ alg: 'RS256', kid: 'another' })
    .sign(privateKey);
}

/** Name, request, and the check that decides about it. */
const CASES: readonly (readonly [string, Case, string])[] = [
  ['a good token', { token: good }, 'upstream'],
  ['a query', { token: good, path: '/hello/x%7Ey?a=//b' }, 'upstream'],
  ['a public route without a token', { path: '/open' }, 'upstream'],
  ['a public route with a bad token', { path: '/open', token: 'x.y.z' }, 'token'],
  ['a host route', { path: '/anything', headers: { Host: 'hello.example.com' } }, 'upstream'],
  ['a route without a replica', { path: '/down', token: good }, 'upstream'],
  ['a limit', { path: '/limited' }, 'upstream'],
  ['no token', {}, 'token'],
  ['another scheme', { headers: { authorization: 'Basic YTpi' } }, 'token'],
  ['a scheme without a token', { headers: { authorization: 'Bearer ' } }, 'token'],
  ['a token that is too long', { token: 'a'.repeat(4097) }, 'token'],
  ['an opaque token', { token: 'opaque' }, 'token'],
  ['a token of odd characters', { token: 'a"b' }, 'token'],
  ['a token of another realm', { token: () => issueToken({ iss: 'https://elsewhere' }) }, 'issuer'],
  ['an expired token', { token: () => issueToken({ exp: now() - 10 }) }, 'time'],
  ['a token of tomorrow', { token: () => issueToken({ nbf: now() + 1000 }) }, 'time'],
  ['an ID token', { token: () => issueToken({ typ: 'ID' }) }, 'type'],
  ['a token of another client', { token: () => issueToken({ azp: 'unknown' }) }, 'client'],
  ['a subject that is none', { token: () => issueToken({ sub: 7 }) }, 'subject'],
  ['a token without a subject', { token: () => issueToken({ sub: undefined }) }, 'introspection'],
  ['a forged token', { token: forged }, 'signature'],
  ['a token of an unknown key', { token: ofUnknownKey }, 'signature'],
  ['an ended session', { token: () => issueToken({ sid: 'ended' }) }, 'session'],
  ['a realm without keys', { path: '/dark', token: () => issueToken({ iss: 'https://dark' }) }, 'signature'],
  ['no such route', { path: '/nothing', token: good }, 'route'],
  ['no such route without a token', { path: '/nothing' }, 'token'],
  ['parameters in the path', { path: '/admins;x=1', token: good }, 'route'],
  ['a role that is missing', { path: '/admins', token: good }, 'access'],
  ['one of the roles', { path: '/admins', token: () => issueToken({ realm_access: { roles: ['admin'] } }) }, 'upstream'],
  ['a scope that is missing', { path: '/readers', token: good }, 'access'],
  ['a client that the route does not take', { path: '/others', token: good }, 'access'],
  ['an empty segment', { path: '/hello//x', token: good }, 'path'],
  ['an encoded slash', { path: '/hello/%2f', token: good }, 'path'],
  ['a dot segment', { path: '/hello/../admins', token: good }, 'path'],
  ['a path that is none', { path: 'hello', token: good }, 'request'],
  ['a path that is none, with two credentials', { path: 'hello', headers: { authorization: 'Bearer x' }, token: good }, 'request'],
  ['a control character in the path, with two hosts', { path: '/hello?\u007f', headers: { Host: 'a', host: 'a' } }, 'request'],
  ['an absolute form of another host', { path: 'http://elsewhere/hello', token: good }, 'path'],
  ['an absolute form', { path: 'http://api.example.com/hello', token: good, headers: { host: 'api.example.com' } }, 'upstream'],
  ['a space in the path', { path: '/hello x', token: good }, 'request'],
  ['an unknown method', { method: 'BREW', token: good }, 'request'],
  ['a method in lower case', { method: 'get', token: good }, 'request'],
  ['CONNECT', { method: 'CONNECT', path: 'api.example.com:443' }, 'request'],
  ['a header name that is none', { headers: { 'a b': '1' }, token: good }, 'request'],
  ['a control character in a header', { headers: { a: '\u0001' }, token: good }, 'request'],
  ['two hosts', { headers: { Host: 'a', host: 'a' }, token: good }, 'request'],
  ['a host that is none', { headers: { host: 'a b' }, token: good }, 'request'],
  ['two credentials', { headers: { authorization: 'Bearer x' }, token: good }, 'request'],
  ['conflicting framing', { method: 'POST', headers: { 'content-length': '1', 'transfer-encoding': 'chunked' } }, 'request'],
  ['an expectation that is none', { headers: { expect: 'wonders' }, token: good }, 'request'],
  ['headers that are too large', { headers: { 'x-large': 'a'.repeat(32 * 1024) }, token: good }, 'request'],
  ['a body that is too large', { method: 'POST', headers: { 'content-length': '101' }, token: good }, 'body'],
  ['a body that is too large of one who may not call', { method: 'POST', headers: { 'content-length': '101' } }, 'token'],
  ['a preflight', { method: 'OPTIONS', path: '/page', headers: { origin: 'https://app.example.com', 'access-control-request-method': 'PUT' } }, 'cors'],
  ['a preflight of another origin', { method: 'OPTIONS', path: '/page', headers: { origin: 'https://evil', 'access-control-request-method': 'PUT' } }, 'cors'],
  ['a handshake', { path: '/hello', headers: HEADERS_OF_A_HANDSHAKE, token: good }, 'upstream'],
  ['two tokens in a handshake', { path: '/hello', headers: { ...HEADERS_OF_A_HANDSHAKE, 'sec-websocket-protocol': 'base64url.bearer.authorization.k8s.io.YQ' }, token: good }, 'token'],
  ['a token in a subprotocol without a handshake', { path: '/hello', headers: { 'sec-websocket-protocol': 'base64url.bearer.authorization.k8s.io.YQ' } }, 'token'],
  ['the keys of a realm', { path: '/auth/realms/demo/protocol/openid-connect/certs' }, 'upstream'],
  ['a change of the keys', { method: 'DELETE', path: '/auth/realms/demo/protocol/openid-connect/certs' }, 'passthrough'],
  ['the console of a realm', { path: '/auth/admin/' }, 'passthrough'],
  ['an endpoint that is not published', { path: '/auth/realms/demo/account' }, 'passthrough'],
  ['a realm that is none', { path: '/auth/realms/none/protocol/openid-connect/certs' }, 'passthrough'],
  ['the token endpoint with GET', { path: '/auth/realms/demo/protocol/openid-connect/token' }, 'passthrough'],
  ['the token endpoint without a form', { method: 'POST', path: '/auth/realms/demo/protocol/openid-connect/token', headers: { 'content-length': '0' } }, 'passthrough'],
  ['the token endpoint with a query', { method: 'POST', path: '/auth/realms/demo/protocol/openid-connect/token?a=b', headers: { 'content-length': '0' } }, 'passthrough'],
  ['a preflight of the token endpoint', { method: 'OPTIONS', path: '/auth/realms/demo/protocol/openid-connect/token' }, 'upstream'],
  ['a logout with GET', { path: '/auth/realms/demo/backchannel-logout' }, 'passthrough'],
  ['a logout without a form', { method: 'POST', path: '/auth/realms/demo/backchannel-logout', headers: { 'content-length': '0' } }, 'passthrough'],
]; // prettier-ignore

test.each(CASES)('%s is explained as it is answered', async (_name, changes, decisive) => {
  const question = await questionOf(changes);
  const explanation = await explain(running.gateway, question);
  const { status, code } = await answerTo(question);
  expect({ status: explanation.status, code: explanation.code }).toEqual({ status, code });
  expect(explanation.allowed).toBe(code === null);
  expect(explanation.checks.at(-1)!.name).toBe(decisive);
  expect(explanation.checks.map(({ ok }) => ok)).toEqual(
    explanation.checks.map((_check, i) => explanation.allowed || i < explanation.checks.length - 1),
  );
});

test('every step of a request that is forwarded is told, in its order', async () => {
  const { checks } = await explain(running.gateway, await questionOf({ token: good }));
  expect(checks.map(({ name }) => name)).toEqual([
    'request', 'path', 'passthrough', 'token', 'issuer', 'algorithm', 'time', 'type', 'client', 'subject', 'signature',
    'session', 'route', 'access', 'upstream',
  ]); // prettier-ignore
  expect(checks.find(({ name }) => name === 'subject')!.detail).toBe('The token speaks for alice');
});

test('the checks before the one that failed are told', async () => {
  const { checks } = await explain(running.gateway, await questionOf({ token: forged }));
  expect(checks.map(({ name, ok }) => `${name} ${ok}`)).toEqual([
    'request true', 'path true', 'passthrough true', 'token true', 'issuer true', 'algorithm true', 'time true',
    'type true', 'client true', 'subject true', 'signature false',
  ]); // prettier-ignore
  expect(checks.at(-1)!.detail).toBe('the signature is wrong');
});

test('an opaque token is introspected once, as a request’s is', async () => {
  running.gateway.apply({ realms: [realmSnapshot({}, { introspectionCache: 1000 })] });
  const asked = vi.fn().mockResolvedValue({ sub: 'bob', exp: now() + 60, client_id: 'istio', iss: ISSUER });
  running.control.onIntrospect = asked;
  const { checks, allowed } = await explain(running.gateway, await questionOf({ token: 'opaque' }));
  expect(allowed).toBe(true);
  expect(checks.map(({ name }) => name).slice(3, -3)).toEqual([
    'token', 'introspection', 'issuer', 'time', 'type', 'client', 'subject', 'session',
  ]); // prettier-ignore
  expect(asked).toHaveBeenCalledTimes(1);
});

test('a service that sleeps is not woken', async () => {
  const asked = vi.spyOn(running.control, 'awaitUpstream');
  const explanation = await explain(running.gateway, await questionOf({ path: '/asleep' }));
  expect(explanation).toMatchObject({ allowed: true, status: 200 });
  expect(explanation.checks.at(-1)).toMatchObject({
    name: 'upstream',
    detail: expect.stringContaining('waits') as string,
  });
  expect(asked).not.toHaveBeenCalled();
});

test('nothing is sent, counted, remembered or logged', async () => {
  const { gateway, control } = running;
  const taken = vi.spyOn(control, 'takeRate');
  const before = gateway.authenticator.stats();
  const token = await good();
  const explanations: Explanation[] = [];
  for (const path of ['/hello', '/limited', '/limited', '/auth/realms/demo/protocol/openid-connect/certs']) {
    explanations.push(await explain(gateway, await questionOf({ path, token })));
  }
  expect(explanations.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  expect(taken).not.toHaveBeenCalled();
  expect(upstream.seen).toHaveLength(0);
  expect(gateway.authenticator.stats()).toEqual(before);
  expect(gateway.inFlight).toBe(0);
  expect(running.accessLog()).toHaveLength(0);
  expect(JSON.stringify([explanations, running.logged])).not.toContain(token.slice(-40));
});

test('a fault of the gateway is told as what a request would get', async () => {
  vi.spyOn(running.gateway, 'match').mockImplementation(() => {
    throw new Error('a bug');
  });
  const explanation = await explain(running.gateway, await questionOf({ token: good }));
  expect(explanation).toMatchObject({ allowed: false, status: 500, code: 'internal_error' });
  expect(running.logged).toMatchObject([{ fields: { err: { message: 'a bug' } } }]);
});
