import { rmSync } from 'node:fs';

import { beforeAll, describe, expect, test } from 'vitest';

import { requireParts } from '../support/require.ts';
import { call, outcomeOf, refresh, signIn } from './call.ts';
import { constantLoad } from './constant-load.ts';
import { type EchoService, startEchoService } from './echo-service.ts';
import type { Keycloak } from './keycloak.ts';
import type { KeycloakRealm, TokenAnswer } from './keycloak-realm.ts';
import { makeServeFolder, type Serving, serve } from './serve.ts';
import { sharedKeycloak } from './shared-keycloak.ts';

/** Milliseconds between two calls of each kind. */
const PACE = 40;
const FRESH_TOKENS = 200;

describe.skipIf(!requireParts('keycloak', 'java'))('an outage of Keycloak', () => {
  let keycloak: Keycloak;
  let realm: KeycloakRealm;
  let service: EchoService;
  let folder: string;

  beforeAll(async () => {
    keycloak = await sharedKeycloak();
    realm = await keycloak.createRealm('outage', { accessTokenLifespan: 600 });
    await realm.createPublicClient('istio');
    await realm.createUser('alice', 'wonderland');
    service = await startEchoService();
    folder = makeServeFolder();
    return async () => {
      service.close();
      rmSync(folder, { recursive: true, force: true });
      // The other files need it.
      if (!keycloak.running) await keycloak.start();
    };
  });

  const start = (options: { folder?: string } = {}): Promise<Serving> =>
    serve(
      {
        admin: { realm: 'outage' },
        realms: [
          {
            name: 'outage',
            url: realm.url,
            // Tokens are asked for through the gateway and, past it, from Keycloak itself.
            issuers: [realm.url],
            clients: ['istio'],
            jwks: { refresh: '1s', cooldown: '1s' },
            passthrough: { limit: { perUser: '10000/m', perAddress: '10000/m' } },
          },
        ],
        routes: [{ name: 'hello', endpoint: '/hello', upstream: [service.origin] }],
      },
      options,
    );
  const hello = async ({ gatewayUrl }: Serving, token: string) =>
    outcomeOf(await call(`${gatewayUrl}/hello`, { token }));
  const ready = async ({ adminUrl }: Serving) => (await call(`${adminUrl}/readyz`)).status;

  test(
    'refuses no known token, and everything works again by itself afterwards',
    { timeout: 400_000 },
    async () => {
      const steady = await start();
      const restarted = await start({ folder });
      const stops: (() => Promise<unknown>)[] = [() => steady.stop(), () => restarted.stop()];
      try {
        const granted = await realm.passwordGrant('alice', 'wonderland');
        const known = granted.access_token;
        expect(await hello(steady, known)).toBe('200');
        const fresh: string[] = [];
        for (let i = 0; i < FRESH_TOKENS; i++) {
          fresh.push((await refresh(realm.tokenEndpoint, granted.refresh_token)).access_token);
        }
        await restarted.stop();

        const tokenEndpoint = `${steady.gatewayUrl}/auth/realms/outage/protocol/openid-connect/token`;
        const knownTokens = constantLoad(PACE, () => hello(steady, known));
        // Signed with a known key, but new to the gateway: every one has to be verified.
        const newTokens = constantLoad(PACE * 5, (n) => hello(steady, fresh[n % fresh.length]!));
        const signIns = constantLoad(PACE * 5, async () =>
          problemOf(await call(tokenEndpoint, { form: passwordForm('wonderland') })),
        );
        stops.push(
          () => knownTokens.stop(),
          () => newTokens.stop(),
          () => signIns.stop(),
        );
        await expect.poll(() => signIns.tally['200'] ?? 0, { timeout: 30_000 }).toBeGreaterThan(3);

        await keycloak.kill();
        await signIns.lap();
        await expect
          .poll(() => signIns.tally['502 upstream_unreachable application/problem+json'] ?? 0, {
            timeout: 30_000,
          })
          .toBeGreaterThan(10);
        expect(Object.keys(await signIns.lap())).toEqual([
          '502 upstream_unreachable application/problem+json',
        ]);

        const born = await start();
        stops.push(() => born.stop());
        expect(await ready(born)).toBe(503);
        expect(await hello(born, known)).toBe('503 keys_unavailable');

        const again = await start({ folder });
        stops.push(() => again.stop());
        expect(await ready(again)).toBe(200);
        expect(await hello(again, known)).toBe('200');
        expect(await hello(again, fresh[0]!)).toBe('200');

        await keycloak.start();
        await expect.poll(() => ready(born), { timeout: 60_000, interval: 100 }).toBe(200);
        expect(await hello(born, known)).toBe('200');
        await signIns.lap();
        await expect.poll(() => signIns.tally['200'] ?? 0, { timeout: 30_000 }).toBeGreaterThan(3);
        expect(Object.keys(await signIns.stop())).toEqual(['200']);
        const after: TokenAnswer = await realm.passwordGrant('alice', 'wonderland');
        for (const gateway of [steady, born, again]) {
          expect(await hello(gateway, after.access_token)).toBe('200');
        }
        expect((await signIn(tokenEndpoint, 'alice', 'wonderland')).token_type).toBe('Bearer');

        const knownOutcomes = await knownTokens.stop();
        expect(Object.keys(knownOutcomes)).toEqual(['200']);
        expect(knownOutcomes['200']).toBeGreaterThan(100);
        expect(Object.keys(await newTokens.stop())).toEqual(['200']);
      } finally {
        for (const stop of stops.toReversed()) await stop();
      }
    },
  );
});

function passwordForm(password: string): Record<string, string> {
  return { grant_type: 'password', client_id: 'istio', username: 'alice', password };
}

/** `200`, or status, code and content type. */
function problemOf(answer: Awaited<ReturnType<typeof call>>): string {
  const outcome = outcomeOf(answer);
  return outcome === '200' ? outcome : `${outcome} ${answer.headers['content-type'] ?? ''}`;
}
