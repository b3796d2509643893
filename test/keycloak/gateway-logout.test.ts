import { decodeJwt } from 'jose';
import { beforeAll, describe, expect, test } from 'vitest';

import { requireParts } from '../support/require.ts';
import { call, outcomeOf, signIn } from './call.ts';
import { type EchoService, startEchoService } from './echo-service.ts';
import type { KeycloakRealm } from './keycloak-realm.ts';
import { type Serving, serve, workersThatServed } from './serve.ts';
import { sharedKeycloak } from './shared-keycloak.ts';

describe.skipIf(!requireParts('keycloak', 'java'))('back-channel logout', () => {
  let realm: KeycloakRealm;
  let service: EchoService;
  let gateway: Serving;

  beforeAll(async () => {
    const keycloak = await sharedKeycloak();
    realm = await keycloak.createRealm('logout');
    await realm.createPublicClient('istio');
    await realm.createUser('alice', 'wonderland');
    await realm.createUser('bob', 'builder');
    service = await startEchoService();
    gateway = await serve({
      admin: { realm: 'logout' },
      realms: [
        { name: 'logout', url: realm.url, clients: ['istio'], revocation: { backchannelLogout: true } },
      ],
      routes: [{ name: 'hello', endpoint: '/hello', upstream: [service.origin] }],
    });
    const logoutUrl = `${gateway.gatewayUrl}/auth/realms/logout/backchannel-logout`;
    await realm.setBackchannelLogoutUrl('istio', logoutUrl);
    return async () => {
      service.close();
      await gateway.stop();
    };
  });

  /** What four calls in a row get, which is two for each worker. */
  const everywhere = async (token: string): Promise<string[]> => {
    const outcomes: string[] = [];
    for (let i = 0; i < 4; i++) {
      outcomes.push(outcomeOf(await call(`${gateway.gatewayUrl}/hello`, { token })));
    }
    return outcomes;
  };
  const four = (outcome: string) => Array.from({ length: 4 }, () => outcome);

  test('ends the tokens of the session on every worker, and of no other session', async () => {
    const { access_token: token } = await realm.passwordGrant('alice', 'wonderland');
    const { access_token: bystander } = await realm.passwordGrant('bob', 'builder');
    expect(await everywhere(token)).toEqual(four('200'));

    await realm.logoutUser('alice');

    await expect.poll(() => everywhere(token), { timeout: 20_000 }).toEqual(four('401 token_revoked'));
    expect(await everywhere(bystander)).toEqual(four('200'));
    await expect.poll(() => workersThatServed(gateway, 'hello')).toEqual(['worker-1', 'worker-2']);
  });

  test('ends a token that no worker has seen before', async () => {
    const { access_token: token } = await realm.passwordGrant('alice', 'wonderland');

    await realm.logoutUser('alice');

    await expect.poll(() => everywhere(token), { timeout: 20_000 }).toEqual(four('401 token_revoked'));
  });

  test('lets the user sign in again at once', async () => {
    const { access_token: before } = await realm.passwordGrant('alice', 'wonderland');
    await realm.logoutUser('alice');
    const { access_token: after } = await realm.passwordGrant('alice', 'wonderland');

    await expect.poll(() => everywhere(before), { timeout: 20_000 }).toEqual(four('401 token_revoked'));
    expect(decodeJwt(after)['sid']).not.toBe(decodeJwt(before)['sid']);
    expect(await everywhere(after)).toEqual(four('200'));
  });

  test('ends the tokens of the public issuer, whether the user signs out or an administrator ends the session', async () => {
    const clear = await serve({
      gateway: { publicUrl: 'https://services.example.com' },
      admin: { realm: 'logout' },
      realms: [
        {
          name: 'logout',
          url: realm.url,
          revocation: { backchannelLogout: true },
          passthrough: { endpoints: ['token', 'logout'] },
        },
      ],
      routes: [{ name: 'hello', endpoint: '/hello', upstream: [service.origin] }],
    });
    try {
      const endpoints = `${clear.gatewayUrl}/auth/realms/logout/protocol/openid-connect`;
      const logoutUrl = `${clear.gatewayUrl}/auth/realms/logout/backchannel-logout`;
      await realm.createPublicClient('public-issuer');
      await realm.setBackchannelLogoutUrl('public-issuer', logoutUrl);
      const client = { client_id: 'public-issuer' };
      const start = () => signIn(`${endpoints}/token`, 'alice', 'wonderland', client);
      const hello = async (token: string) => outcomeOf(await call(`${clear.gatewayUrl}/hello`, { token }));
      const { access_token: first, refresh_token: refreshToken } = await start();
      expect(await hello(first)).toBe('200');

      const form = { ...client, refresh_token: refreshToken };
      expect((await call(`${endpoints}/logout`, { form })).status).toBe(204);
      await expect.poll(() => hello(first), { timeout: 20_000 }).toBe('401 token_revoked');

      const { access_token: second } = await start();
      expect(await hello(second)).toBe('200');
      // The administrator is at another address of Keycloak; the logout token names the session's issuer.
      await realm.logoutUser('alice');
      await expect.poll(() => hello(second), { timeout: 20_000 }).toBe('401 token_revoked');
    } finally {
      await clear.stop();
    }
  });

  test('takes no logout token but that of the realm', async () => {
    const { access_token: token } = await realm.passwordGrant('bob', 'builder', { scope: 'openid' });
    const url = `${gateway.gatewayUrl}/auth/realms/logout/backchannel-logout`;

    for (const wrong of [token, 'garbage', '']) {
      expect((await call(url, { form: { logout_token: wrong } })).status).toBe(400);
    }

    expect(await everywhere(token)).toEqual(four('200'));
  });
});
