import { describe, expect, it } from 'vitest';
import { isSecretName, maskText, redactValue } from '../../src/telemetry/redact.ts';

const JWS = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl-_';
const SECRET = 'hunter2-S3CRET';

describe('names of secret fields', () => {
  it.each([
    'authorization',
    'Authorization',
    'Proxy-Authorization',
    'cookie',
    'Set-Cookie',
    'password',
    'DB_PASSWORD',
    'client_secret',
    'clientSecret',
    'KC_SECRET',
    'access_token',
    'accessToken',
    'refresh_token',
    'id_token',
    'token',
    'tokens',
    'id_token_hint',
    'client_assertion',
    'code_verifier',
    'X-Api-Key',
    'privateKey',
    'Sec-WebSocket-Protocol',
    'X-Forwarded-Access-Token',
    'credentials',
  ])('%s is one', (name) => {
    expect(isSecretName(name)).toBe(true);
  });

  it.each(['token_endpoint', 'tokenBytes', 'passwordPolicy', 'user', 'kid', 'path', 'cookieless', 'jwks'])(
    '%s is none',
    (name) => {
      expect(isSecretName(name)).toBe(false);
    },
  );
});

describe('redactValue', () => {
  it.each([
    ['at the top', { password: SECRET }],
    ['deep inside', { a: { b: { c: { d: { e: { clientSecret: SECRET } } } } } }],
    ['beyond the depth that is shown', { a: { a: { a: { a: { a: { a: { a: { a: { a: SECRET } } } } } } } } }],
    ['in an array', { list: [{ token: SECRET }] }],
    ['in a flat header list', { rawHeaders: ['Host', 'x', 'AUTHORIZATION', SECRET] }],
    ['in a list of pairs', { headers: [['set-cookie', SECRET]] }],
    ['as a list', { 'set-cookie': [SECRET] }],
    ['as an object', { secret: { value: SECRET } }],
    ['as a number', { password: 7355608 }],
    ['in a Map', { headers: new Map([['cookie', SECRET]]) }],
    ['in Headers', { headers: new Headers({ authorization: SECRET }) }],
    ['in a buffer', { body: Buffer.from(SECRET) }],
    ['in a field of an error', Object.assign(new Error('x'), { config: { headers: { Cookie: SECRET } } })],
    ['in the cause of an error', new Error('x', { cause: { password: SECRET } })],
    ['in an aggregate error', new AggregateError([Object.assign(new Error('x'), { token: SECRET })])],
    ['behind toJSON', { toJSON: () => ({ refresh_token: SECRET }) }],
  ])('hides a secret %s', (_where, value) => {
    const shown = JSON.stringify(redactValue(value));
    expect(shown).not.toContain(SECRET);
    expect(shown).not.toContain('7355608');
    expect(shown).not.toContain(Buffer.from(SECRET).join(','));
  });

  it('leaves what it was given as it was', () => {
    const given = { headers: { authorization: SECRET } };
    redactValue(given);
    expect(given.headers.authorization).toBe(SECRET);
  });

  it('keeps everything else, and absent secrets', () => {
    const value = { a: [1, 'x', true, null], secret: null, token: false, error: { code: 'E' } };
    expect(redactValue(value)).toEqual(value);
  });

  it('survives cycles, throwing getters, huge and hostile objects', () => {
    const cycle: Record<string, unknown> = {};
    cycle['self'] = cycle;
    const wide = (depth: number): unknown =>
      depth === 0 ? 1 : Array.from({ length: 30 }, () => wide(depth - 1));
    const throwing = {
      get boom(): never {
        throw new Error('no');
      },
    };
    const proto = JSON.parse('{"__proto__": {"password": "x"}}') as unknown;
    for (const value of [cycle, throwing, wide(4), proto, Object.create(null), 10n, Symbol('s')]) {
      expect(JSON.stringify(redactValue(value)).length).toBeLessThan(20_000);
    }
    expect(Object.hasOwn({}, 'password')).toBe(false);
  });
});

describe('maskText', () => {
  it.each([
    ['a compact JWS', `failed on ${JWS} today`],
    ['a JWS inside of a word', `x${JWS}`],
    ['a JWS that was cut', JWS.slice(0, 40)],
    ['a JWE', 'eyJhbGciOiJkaXIifQ..c2VjcmV0.c2VjcmV0.c2VjcmV0'],
    ['a bearer credential', 'authorization was Bearer c2VjcmV0'],
    ['a bearer credential in another case', 'bEARER   c2VjcmV0'],
    ['a bearer credential in a URL', '/x?auth=Bearer%20c2VjcmV0'],
    ['the WebSocket subprotocol', 'base64url.bearer.authorization.k8s.io.c2VjcmV0'],
    ['basic credentials', `Basic ${Buffer.from('gateway:c2VjcmV0').toString('base64')}`],
    ['a form body', 'grant_type=password&username=a&password=c2VjcmV0&x=1'],
    ['a form body of a client', 'client_id=a&client_secret=c2VjcmV0'],
    ['a query', 'GET /x?access_token=c2VjcmV0&y=1'],
    ['a quoted value', 'password="c2VjcmV0 c2VjcmV0"'],
    ['a single-quoted value', "password='c2VjcmV0 c2VjcmV0'"],
    ['an inspected object', "{ password: 'c2VjcmV0', refresh_token: 'c2VjcmV0' }"],
    ['a cookie line', 'Cookie: a=c2VjcmV0; b="c2VjcmV0"'],
    ['a set-cookie line', 'set-cookie: KEYCLOAK_IDENTITY=c2VjcmV0; Path=/'],
    ['an authorization line', 'Authorization: Digest username="x", response="c2VjcmV0"'],
    ['the user information of a URL', 'cannot clone https://git:c2VjcmV0@git.example.com/app.git'],
    ['such a password with an @', 'https://git:c2V@c2VjcmV0@git.example.com/app.git'],
    ['an embedded JSON document', '{"error":"x","access_token":"c2VjcmV0","n":1}'],
    ['an embedded value with quotes', '{"password" : "a\\"c2VjcmV0\\\\","n":1}'],
    ['a doubly embedded document', JSON.stringify({ body: '{"client_secret":"c2V\\"c2VjcmV0"}' })],
    ['an embedded document that was cut', '{"password":"c2VjcmV0'],
  ])('masks %s in a JSON line, which stays valid', (_what, text) => {
    const line = maskText(JSON.stringify({ before: 1, msg: text, after: 'here' }));
    expect(line).toContain('[Redacted]');
    expect(line).not.toMatch(/c2VjcmV0|sIm|eyJzdWIi/);
    expect(JSON.parse(line)).toMatchObject({ before: 1, after: 'here' });
  });

  it.each([
    'A bearer token is required',
    'Bearer realm="demo"',
    'Basic authentication is not supported',
    'token: the signature does not match',
    'listening on http://127.0.0.1:8080 and http://[::1]:8081',
    'user alice@example.com signed in',
    'eyJ is how a token begins',
    'secrets are kept in the store',
  ])('leaves "%s"', (text) => {
    const line = JSON.stringify({ msg: text });
    expect(maskText(line)).toBe(line);
  });

  it.each([
    'eyJ',
    'bearer ',
    'bearer',
    'password',
    'password=',
    '://',
    '\\',
    'basic a',
    'secret\\"',
    'cookie:',
    'secret  ',
  ])('takes linear time on %j again and again (quadratic would reach the time-out)', (piece) => {
    const text = piece.repeat(2_000_000 / piece.length);
    expect(maskText(text).length).toBeGreaterThan(0);
  });
});
