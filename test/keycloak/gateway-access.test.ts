import { beforeAll, describe, expect, test } from 'vitest';

import { requireParts } from '../support/require.ts';
import { call, outcomeOf } from './call.ts';
import { type Echo, type EchoService, startEchoService } from './echo-service.ts';
import type { Keycloak } from './keycloak.ts';
import type { KeycloakRealm } from './keycloak-realm.ts';
import { type Serving, serve } from './serve.ts';
import { sharedKeycloak } from './shared-keycloak.ts';

describe.skipIf(!requireParts('keycloak', 'java'))('access by what Keycloak says', () => {
  let keycloak: Keycloak;
  let realm: KeycloakRealm;
  let service: EchoService;
  let gateway: Serving;

  beforeAll(async () => {
    keycloak = await sharedKeycloak();
    realm = await keycloak.createRealm('access');
    await realm.createPublicClient('istio');
    await realm.createPublicClient('other');
    await realm.createPublicClient('api');
    await realm.createPublicClient('team/api');
    await realm.createRole('analyst');
    await realm.createClientRole('api', 'editor');
    await realm.createClientRole('team/api', 'editor');
    await realm.createUser('alice', 'wonderland', {
      realm: ['analyst'],
      client: { api: ['editor'], 'team/api': ['editor'] },
    });
    await realm.createUser('bob', 'builder');
    service = await startEchoService();
    const route = (name: string, access: object) => ({
      name,
      endpoint: `/${name}`,
      upstream: [service.origin],
      access,
    });
    gateway = await serve({
      admin: { realm: 'access' },
      realms: [{ name: 'access', url: realm.url, clients: ['istio', 'api'] }],
      routes: [
        route('any', {}),
        route('realm-role', { roles: ['realm:analyst'] }),
        route('client-role', { roles: ['client:api/editor'] }),
        route('slashed-client-role', { roles: ['client:team%2Fapi/editor'] }),
        route('either-role', { roles: ['realm:nobody', 'client:api/editor'] }),
        route('missing-role', { roles: ['realm:editor', 'client:istio/editor', 'client:api/analyst'] }),
        route('scope', { scopes: ['profile'] }),
        route('offline', { scopes: ['offline_access'] }),
        route('api-only', { clients: ['api'] }),
        route('all', { roles: ['realm:analyst'], scopes: ['email'], clients: ['istio'] }),
      ],
    });
    return async () => {
      service.close();
      await gateway.stop();
    };
  });

  const get = (path: string, token: string) => call(gateway.gatewayUrl + path, { token });
  const tokenOf = async (username: string, password: string, form: Record<string, string> = {}) =>
    (await realm.passwordGrant(username, password, form)).access_token;

  test('roles of the realm and of clients open what asks for them, and nothing else', async () => {
    const alice = await tokenOf('alice', 'wonderland');
    const bob = await tokenOf('bob', 'builder');
    const outcomes = async (token: string) => {
      const all: Record<string, string> = {};
      for (const name of [
        'any',
        'realm-role',
        'client-role',
        'slashed-client-role',
        'either-role',
        'missing-role',
        'scope',
        'api-only',
        'all',
      ]) {
        all[name] = outcomeOf(await get(`/${name}`, token));
      }
      return all;
    };

    expect(await outcomes(alice)).toEqual({
      any: '200',
      'realm-role': '200',
      'client-role': '200',
      'slashed-client-role': '200',
      'either-role': '200',
      'missing-role': '403 access_denied',
      scope: '200',
      // Keycloak names every client whose roles a token has in its `aud`.
      'api-only': '200',
      all: '200',
    });
    expect(await outcomes(bob)).toEqual({
      any: '200',
      'realm-role': '403 access_denied',
      'client-role': '403 access_denied',
      'slashed-client-role': '403 access_denied',
      'either-role': '403 access_denied',
      'missing-role': '403 access_denied',
      scope: '200',
      'api-only': '403 access_denied',
      all: '403 access_denied',
    });
  });

  test('a scope opens what asks for it once it is granted', async () => {
    const plain = await get('/offline', await tokenOf('alice', 'wonderland'));
    expect(outcomeOf(plain)).toBe('403 access_denied');
    expect(plain.headers['www-authenticate']).toMatch(/error="insufficient_scope".*scope="offline_access"/);

    const token = await tokenOf('alice', 'wonderland', { scope: 'offline_access' });
    expect(outcomeOf(await get('/offline', token))).toBe('200');
  });

  test('a token of another client is refused, and one of an accepted client is not', async () => {
    const other = await tokenOf('alice', 'wonderland', { client_id: 'other' });
    const api = await tokenOf('alice', 'wonderland', { client_id: 'api' });

    expect(outcomeOf(await get('/any', api))).toBe('200');
    expect(outcomeOf(await get('/api-only', api))).toBe('200');
    // alice has roles of `api`, so Keycloak means her tokens for it as well, whichever client got them.
    expect(outcomeOf(await get('/any', other))).toBe('200');
    const bob = await tokenOf('bob', 'builder', { client_id: 'other' });
    const refused = await get('/any', bob);
    expect(outcomeOf(refused)).toBe('401 token_invalid');
    expect(refused.headers['www-authenticate']).toContain('error="invalid_token"');
  });

  test('a client can neither add to the groups nor name another user', async () => {
    const token = await tokenOf('bob', 'builder');
    const claimed = {
      'X-Forwarded-Groups': 'analyst',
      x_forwarded_user: 'root',
      'X-Forwarded-Email': 'root@example.com',
    };

    const answer = await call(`${gateway.gatewayUrl}/any`, { token, headers: claimed });

    const { headers } = answer.json as unknown as Echo;
    expect(headers['x-forwarded-groups']!.split(',')).not.toContain('analyst');
    expect(headers['x-forwarded-email']).toBe('bob@example.com');
    expect(headers).not.toHaveProperty('x_forwarded_user');
  });

  test('an ID token and a refresh token are no credentials', async () => {
    const granted = await realm.passwordGrant('alice', 'wonderland', { scope: 'openid' });

    expect(outcomeOf(await get('/any', granted.access_token))).toBe('200');
    expect(outcomeOf(await get('/any', granted.id_token!))).toBe('401 token_invalid');
    expect(outcomeOf(await get('/any', granted.refresh_token))).toBe('401 token_invalid');
  });

  test('an offline token is no credential', async () => {
    const granted = await realm.passwordGrant('alice', 'wonderland', { scope: 'openid offline_access' });

    expect(outcomeOf(await get('/any', granted.refresh_token))).toBe('401 token_invalid');
  });

  test('a token of another realm of the same Keycloak is refused', async () => {
    const neighbour = await keycloak.createRealm('neighbour');
    await neighbour.createPublicClient('istio');
    await neighbour.createRole('analyst');
    await neighbour.createUser('alice', 'wonderland', { realm: ['analyst'] });
    const { access_token: token } = await neighbour.passwordGrant('alice', 'wonderland');

    expect(outcomeOf(await get('/any', token))).toBe('401 token_invalid');
    expect(outcomeOf(await get('/realm-role', token))).toBe('401 token_invalid');
  });

  test('a token is refused from its expiry on', async () => {
    await realm.updateClient('api', { attributes: { 'access.token.lifespan': '1' } });
    const token = await tokenOf('alice', 'wonderland', { client_id: 'api' });
    const strict = await serve({
      admin: { realm: 'access' },
      realms: [{ name: 'access', url: realm.url, clockSkew: '0s' }],
      routes: [{ name: 'any', endpoint: '/any', upstream: [service.origin] }],
    });
    try {
      // The start alone takes most of a second; whatever is left of the token's life is waited for.
      await expect
        .poll(async () => outcomeOf(await call(`${strict.gatewayUrl}/any`, { token })), { timeout: 5_000 })
        .toBe('401 token_expired');
    } finally {
      await strict.stop();
    }
  });
});
