import { expect, test } from 'vitest';
import type { Route } from '../../src/contracts/settings.ts';
import { ISSUER, issueToken, realmSnapshot, route, startGateway, startUpstream } from '../support/gateway.ts';
import { headerValues } from '../support/parse-responses.ts';
import { ask, json } from './realm-wire.ts';

const GOOD = `Authorization: Bearer ${await issueToken()}`;
const BASIC = 'Authorization: Basic YWxpY2U6c2VjcmV0';

async function startOpen(changes: Partial<Route> = {}) {
  const upstream = await startUpstream();
  const gateway = await startGateway({
    routes: [
      route({ name: 'open', endpoint: '/open', public: true, upstream: [upstream.origin], ...changes }),
      route({ upstream: [upstream.origin] }),
    ],
  });
  return { ...gateway, upstream };
}

function identityOf(headers: Readonly<Record<string, unknown>>): string[] {
  return Object.keys(headers).filter((name) =>
    ['user', 'preferred-username', 'email', 'groups'].includes(name.replace('x-forwarded-', '')),
  );
}

test('a public route is served without a token, and then tells of nobody', async () => {
  const { port, upstream } = await startOpen();
  const claimed = ['X-Forwarded-User: root', 'X-Forwarded-Groups: admin', 'X-Forwarded-Email: a@b'];
  expect((await ask(port, 'GET', '/open', claimed)).status).toBe(200);
  expect(identityOf(upstream.seen[0]!.headers)).toEqual([]);
});

test('a token shown on a public route counts as identity', async () => {
  const { port, upstream } = await startOpen();
  expect((await ask(port, 'GET', '/open', [GOOD])).status).toBe(200);
  expect(upstream.seen[0]!.headers).toMatchObject({
    'x-forwarded-user': 'alice-id',
    'x-forwarded-preferred-username': 'alice',
    'x-forwarded-groups': 'user',
  });
  expect(upstream.seen[0]!.headers.authorization).toBeUndefined();
});

test.each([
  ['that is expired', await issueToken({ exp: 1 }), 'token_expired'],
  ['of another issuer', await issueToken({ iss: `${ISSUER}x` }), 'token_invalid'],
  ['of another client', await issueToken({ azp: 'other' }), 'token_invalid'],
  ['that is garbage', 'garbage', 'token_invalid'],
])('a token %s is 401 on a public route too', async (_, token, code) => {
  const { port, upstream } = await startOpen();
  const answer = await ask(port, 'GET', '/open', [`Authorization: Bearer ${token}`]);
  expect(answer.status).toBe(401);
  expect(json(answer)).toMatchObject({ code });
  expect(headerValues(answer, 'www-authenticate')[0]).toContain('error="invalid_token"');
  expect(upstream.seen).toEqual([]);
});

test.each(['', 'Bearer', 'Bearer ', 'Basic', 'Bearer\ttoken', '"Basic" x', 'eyJhbGciOiJub25lIn0.e30.'])(
  'the malformed credential %j is 401 token_invalid on every route',
  async (credential) => {
    const { port, upstream } = await startOpen();
    for (const target of ['/open', '/hello', '/nothing']) {
      const answer = await ask(port, 'GET', target, [`Authorization: ${credential}`]);
      expect(answer.status).toBe(401);
      expect(json(answer)).toMatchObject({ code: 'token_invalid' });
    }
    expect(upstream.seen).toEqual([]);
  },
);

test.each([BASIC, 'Authorization: Negotiate abc==', 'Authorization: Digest username="a", realm="b"'])(
  '%s is no token: a public route is served, any other is 401 token_missing',
  async (credential) => {
    const { port, upstream } = await startOpen();
    expect((await ask(port, 'GET', '/open', [credential])).status).toBe(200);
    expect(identityOf(upstream.seen[0]!.headers)).toEqual([]);
    expect(upstream.seen[0]!.headers.authorization).toBeUndefined();
    for (const target of ['/hello', '/nothing']) {
      const answer = await ask(port, 'GET', target, [credential]);
      expect(answer.status).toBe(401);
      expect(json(answer)).toMatchObject({ code: 'token_missing' });
      expect(headerValues(answer, 'www-authenticate')).toEqual(['Bearer realm="demo"']);
    }
    expect(upstream.seen).toHaveLength(1);
  },
);

test('with forwardToken a public service sees a credential of another scheme, which is its own', async () => {
  const { port, upstream } = await startOpen({ forwardToken: true });
  expect((await ask(port, 'GET', '/open', [BASIC])).status).toBe(200);
  expect((await ask(port, 'GET', '/open', [GOOD])).status).toBe(200);
  expect(upstream.seen.map(({ headers }) => `Authorization: ${headers.authorization ?? ''}`)).toEqual([
    BASIC,
    GOOD,
  ]);
});

test('the access lists of a public route hold for a token that is shown', async () => {
  const { port, upstream } = await startOpen({
    access: { roles: ['realm:editor'], scopes: ['write'], clients: [] },
  });
  expect((await ask(port, 'GET', '/open')).status).toBe(200);
  expect((await ask(port, 'GET', '/open', [BASIC])).status).toBe(200);
  const refused = await ask(port, 'GET', '/open', [GOOD]);
  expect(refused.status).toBe(403);
  expect(json(refused)).toMatchObject({ code: 'access_denied' });
  const editor = { realm_access: { roles: ['editor'] } };
  const unscoped = await ask(port, 'GET', '/open', [`Authorization: Bearer ${await issueToken(editor)}`]);
  expect(unscoped.status).toBe(403);
  expect(headerValues(unscoped, 'www-authenticate')[0]).toContain('scope="write"');
  const allowed = await issueToken({ ...editor, scope: 'read write' });
  expect((await ask(port, 'GET', '/open', [`Authorization: Bearer ${allowed}`])).status).toBe(200);
  expect(upstream.seen).toHaveLength(3);
});

test('two Authorization headers are 400, also where one of them is no token', async () => {
  const { port, upstream } = await startOpen();
  for (const target of ['/open', '/hello']) {
    const answer = await ask(port, 'GET', target, [GOOD, BASIC]);
    expect(answer.status).toBe(400);
    expect(json(answer)).toMatchObject({ code: 'malformed_request' });
  }
  expect(upstream.seen).toEqual([]);
});

/** A gateway whose realm introspects, with what the realm says of each token. */
async function startIntrospecting(answers: Record<string, Record<string, unknown> | null>) {
  const upstream = await startUpstream();
  const gateway = await startGateway({
    realms: [realmSnapshot({}, { introspectionCache: 30_000 })],
    routes: [route({ upstream: [upstream.origin] })],
  });
  const asked: string[] = [];
  gateway.control.onIntrospect = (token) => {
    asked.push(token);
    return Promise.resolve(answers[token] ?? null);
  };
  return { ...gateway, upstream, asked };
}

const ACTIVE = {
  active: true,
  iss: ISSUER,
  sub: 'bob-id',
  azp: 'istio',
  exp: Math.floor(Date.now() / 1000) + 300,
  preferred_username: 'bob',
  sid: 'session-9',
};

test('an opaque token that the realm calls active is served with what the realm says of it, and kept', async () => {
  const { port, upstream, asked } = await startIntrospecting({ opaque: ACTIVE });
  for (let i = 0; i < 2; i++) {
    expect((await ask(port, 'GET', '/hello', ['Authorization: Bearer opaque'])).status).toBe(200);
  }
  expect(upstream.seen[0]!.headers).toMatchObject({
    'x-forwarded-user': 'bob-id',
    'x-forwarded-preferred-username': 'bob',
  });
  expect(asked).toEqual(['opaque']);
});

test('an opaque token that the realm does not call active is 401', async () => {
  const { port, upstream } = await startIntrospecting({
    expired: { ...ACTIVE, exp: 1 },
    foreign: { ...ACTIVE, azp: 'other' },
  });
  for (const [token, code] of [
    ['unknown', 'token_invalid'],
    ['expired', 'token_expired'],
    ['foreign', 'token_invalid'],
  ] as const) {
    const answer = await ask(port, 'GET', '/hello', [`Authorization: Bearer ${token}`]);
    expect(answer.status).toBe(401);
    expect(json(answer)).toMatchObject({ code });
  }
  expect(upstream.seen).toEqual([]);
});

test('while the realm cannot be asked, an opaque token is 503 and signed ones are served', async () => {
  const wire = await startIntrospecting({});
  wire.control.onIntrospect = () => Promise.reject(new Error('the realm is down'));
  const answer = await ask(wire.port, 'GET', '/hello', ['Authorization: Bearer opaque']);
  expect(answer.status).toBe(503);
  expect(json(answer)).toMatchObject({ code: 'keys_unavailable' });
  expect(headerValues(answer, 'retry-after')).toEqual(['1']);
  expect((await ask(wire.port, 'GET', '/hello', [GOOD])).status).toBe(200);
});

test('a session that ends takes an opaque token that is kept with it', async () => {
  const { port, gateway } = await startIntrospecting({ opaque: { ...ACTIVE, iat: 1 } });
  expect((await ask(port, 'GET', '/hello', ['Authorization: Bearer opaque'])).status).toBe(200);
  const ended = { sid: 'session-9', sub: null, before: Date.now(), forgetAt: Date.now() + 60_000 };
  gateway.apply({ realms: [realmSnapshot({}, { introspectionCache: 30_000, revocations: [ended] })] });
  const answer = await ask(port, 'GET', '/hello', ['Authorization: Bearer opaque']);
  expect(json(answer)).toMatchObject({ status: 401, code: 'token_revoked' });
});
