import { decodeJwt } from 'jose';
import { beforeAll, describe, expect, test } from 'vitest';

import { requireParts } from '../support/require.ts';
import { call, outcomeOf, signIn } from './call.ts';
import { type Echo, type EchoService, startEchoService } from './echo-service.ts';
import type { KeycloakRealm } from './keycloak-realm.ts';
import { type Serving, serve } from './serve.ts';
import { sharedKeycloak } from './shared-keycloak.ts';

describe.skipIf(!requireParts('keycloak', 'java'))('introspection', () => {
  let realm: KeycloakRealm;
  let service: EchoService;
  let gateway: Serving;

  beforeAll(async () => {
    const keycloak = await sharedKeycloak();
    realm = await keycloak.createRealm('introspection');
    await realm.createConfidentialClient('gateway', 'gateway-secret');
    for (const clientId of ['light', 'unmapped']) {
      await realm.createPublicClient(clientId);
      await realm.useLightweightTokens(clientId);
    }
    await realm.addAudience('light', 'gateway');
    await realm.createPublicClient('istio');
    await realm.createRole('analyst');
    await realm.createUser('alice', 'wonderland', { realm: ['analyst'] });
    await realm.createUser('bob', 'builder');
    service = await startEchoService();
    gateway = await serve({
      gateway: { publicUrl: 'https://services.example.com' },
      admin: { realm: 'introspection' },
      realms: [
        {
          name: 'introspection',
          url: realm.url,
          introspection: { clientId: 'gateway', clientSecret: 'gateway-secret', cache: '1s' },
        },
      ],
      routes: [
        { name: 'any', endpoint: '/any', upstream: [service.origin] },
        {
          name: 'analysts',
          endpoint: '/analysts',
          upstream: [service.origin],
          access: { roles: ['realm:analyst'] },
        },
      ],
    });
    return async () => {
      service.close();
      await gateway.stop();
    };
  });

  const get = (path: string, token: string) => call(gateway.gatewayUrl + path, { token });
  const tokenOf = async (username: string, password: string, clientId: string) => {
    const endpoint = `${gateway.gatewayUrl}/auth/realms/introspection/protocol/openid-connect/token`;
    return (await signIn(endpoint, username, password, { client_id: clientId })).access_token;
  };

  test('completes a lightweight token with the identity and the roles that it lacks', async () => {
    const token = await tokenOf('alice', 'wonderland', 'light');
    expect(decodeJwt(token)).toMatchObject({ iss: 'https://services.example.com/auth/realms/introspection' });
    expect(decodeJwt(token)).not.toHaveProperty('realm_access');

    const answer = await get('/analysts', token);

    expect(outcomeOf(answer)).toBe('200');
    const { headers } = answer.json as unknown as Echo;
    expect(headers).toMatchObject({
      'x-forwarded-user': expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
      'x-forwarded-preferred-username': 'alice',
      'x-forwarded-email': 'alice@example.com',
    });
    expect(headers['x-forwarded-groups']!.split(',')).toContain('analyst');
    expect(outcomeOf(await get('/analysts', await tokenOf('bob', 'builder', 'light')))).toBe(
      '403 access_denied',
    );
  });

  test('refuses a lightweight token that is not meant for the client that asks', async () => {
    const token = await tokenOf('alice', 'wonderland', 'unmapped');

    expect(outcomeOf(await get('/any', token))).toBe('401 token_invalid');
  });

  test('refuses opaque garbage and a lightweight token with a changed claim', async () => {
    const token = await tokenOf('alice', 'wonderland', 'light');
    const [head, payload, signature] = token.split('.');
    const claims = JSON.parse(Buffer.from(payload!, 'base64url').toString()) as object;
    const forged = Buffer.from(JSON.stringify({ ...claims, sub: 'admin' })).toString('base64url');

    for (const bad of ['garbage', 'x'.repeat(200), [head, forged, signature].join('.')]) {
      expect(outcomeOf(await get('/any', bad))).toBe('401 token_invalid');
    }
  });

  test('takes full tokens without asking', async () => {
    const token = await tokenOf('alice', 'wonderland', 'istio');

    // Keycloak would call it inactive: it is not meant for the client that asks.
    expect(outcomeOf(await get('/analysts', token))).toBe('200');
  });

  test('notices the end of a session once its answer is no longer fresh', async () => {
    const token = await tokenOf('bob', 'builder', 'light');
    expect(outcomeOf(await get('/any', token))).toBe('200');

    await realm.logoutUser('bob');

    await expect
      .poll(async () => outcomeOf(await get('/any', token)), { timeout: 20_000 })
      .toBe('401 token_invalid');
  });
});
