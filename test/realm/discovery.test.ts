import { describe, expect, it } from 'vitest';
import { rebase } from '../../src/realm/discovery.ts';
import {
  discoveryDocument,
  ecKey,
  type Handler,
  json,
  keep,
  realmSettings,
  startRealm,
  text,
} from './support.ts';

const a = ecKey('a');
const b = ecKey('b');
const PUBLIC = 'https://services.example.com/auth/realms/demo';

const redirect: Handler = (_request, response) => response.writeHead(302, { location: '/' }).end();

describe('the discovery document', () => {
  it('gives the public issuer, and is asked for in its name', async () => {
    const realm = await startRealm([a], PUBLIC);
    const { keeper } = await keep(realmSettings(realm.url), { publicUrl: 'https://services.example.com' });
    await keeper.start();
    expect(keeper.snapshot().issuers).toEqual([PUBLIC]);
    for (const { request } of realm.requests) {
      expect(request.headers).toMatchObject({
        'x-forwarded-proto': 'https',
        'x-forwarded-host': 'services.example.com',
        'x-forwarded-port': '443',
      });
    }
  });

  it('is asked for with the port of a public URL that has one', async () => {
    const realm = await startRealm([a]);
    const { keeper } = await keep(realmSettings(realm.url), { publicUrl: 'http://127.0.0.1:8080' });
    await keeper.start();
    expect(realm.requests[0]!.request.headers).toMatchObject({
      'x-forwarded-proto': 'http',
      'x-forwarded-host': '127.0.0.1:8080',
      'x-forwarded-port': '8080',
    });
  });

  it('is asked for without X-Forwarded-* where there is no public URL', async () => {
    const realm = await startRealm([a]);
    const { keeper } = await keep(realmSettings(realm.url));
    await keeper.start();
    const names = realm.requests.flatMap(({ request }) => Object.keys(request.headers));
    expect(names.filter((name) => name.startsWith('x-forwarded'))).toEqual([]);
  });

  it('does not lead through the public address: the keys are fetched where the realm was said to be', async () => {
    const realm = await startRealm([a], PUBLIC);
    const { keeper, kids } = await keep(realmSettings(realm.url));
    await keeper.start();
    expect(kids()).toEqual(['a']);
  });

  it('may have the keys elsewhere under the realm', async () => {
    const realm = await startRealm([b]);
    realm.handlers.introspect = json({ keys: [a.jwk] });
    realm.handlers.discovery = json({
      issuer: PUBLIC,
      jwks_uri: `${PUBLIC}/protocol/openid-connect/token/introspect`,
    });
    const { keeper, kids } = await keep(realmSettings(realm.url));
    await keeper.start();
    expect(kids()).toEqual(['a']);
  });

  it('cannot send the gateway to another host', async () => {
    const realm = await startRealm([a]);
    const other = await startRealm([b]);
    realm.handlers.discovery = json({ ...discoveryDocument(other.url), issuer: PUBLIC });
    const { keeper, kids } = await keep(realmSettings(realm.url));
    await keeper.start();
    expect(kids()).toEqual(['a']);
    expect(other.requests).toEqual([]);
  });

  it.each([
    ['an issuer that is no string', json({ issuer: ['x'] })],
    ['an issuer that is no URL', json({ issuer: 'javascript:alert(1)' })],
    ['an issuer with a query', json({ issuer: `${PUBLIC}?a` })],
    ['an issuer of endless length', json({ issuer: `${PUBLIC}/${'x'.repeat(3000)}` })],
    ['no JSON', text('{')],
    ['no object', json([])],
    ['another content type', text('{}', 'text/html')],
    ['too much', text(JSON.stringify({ issuer: PUBLIC, x: 'x'.repeat(1024 * 1024) }))],
    ['a redirect', redirect],
  ])('with %s is not used', async (_what, handler) => {
    const realm = await startRealm([a]);
    realm.handlers.discovery = handler;
    const { keeper } = await keep(realmSettings(realm.url));
    await keeper.start();
    expect(keeper.snapshot()).toMatchObject({ issuers: [], keys: { jwks: [] } });
    expect(keeper.status().lastError).toEqual(expect.any(String));
  });

  it('never shows up in the reason why it failed', async () => {
    const realm = await startRealm([a]);
    realm.handlers.discovery = text('sensitive-body');
    const { keeper, logged } = await keep(realmSettings(realm.url));
    await keeper.start();
    expect(JSON.stringify([keeper.status(), logged])).not.toContain('sensitive');
  });
});

describe('an endpoint', () => {
  const url = 'http://keycloak:8080/auth/realms/demo';

  it.each([
    [`${PUBLIC}/protocol/x`, `${url}/protocol/x`],
    [`${url}/protocol/x`, `${url}/protocol/x`],
    [`${PUBLIC}/a?b=c`, `${url}/a?b=c`],
    [`${PUBLIC}x/a`, null],
    [PUBLIC, null],
    ['https://elsewhere.example.com/auth/realms/demo/a', null],
    [`${PUBLIC}/../../../admin`, null],
    [`${PUBLIC}/%2e%2e/other/a`, null],
    [`${PUBLIC}/a#b`, null],
    [['x'], null],
    [undefined, null],
  ])('%s becomes %s', (endpoint, target) => {
    expect(rebase(endpoint, PUBLIC, url)).toBe(target);
  });

  it('is found under an issuer that ends in a slash', () => {
    expect(rebase(`${PUBLIC}/a`, `${PUBLIC}/`, url)).toBe(`${url}/a`);
  });
});
