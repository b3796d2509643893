import { decodeProtectedHeader } from 'jose';
import { beforeAll, describe, expect, test } from 'vitest';

import { requireParts } from '../support/require.ts';
import { call, outcomeOf, refresh } from './call.ts';
import { constantLoad } from './constant-load.ts';
import { type EchoService, startEchoService } from './echo-service.ts';
import type { KeycloakRealm } from './keycloak-realm.ts';
import { type Serving, serve } from './serve.ts';
import { sharedKeycloak } from './shared-keycloak.ts';

/** Milliseconds between two calls. */
const PACE = 40;

describe.skipIf(!requireParts('keycloak', 'java'))('a key rotation in the running realm', () => {
  let realm: KeycloakRealm;
  let service: EchoService;
  /** Learns of new keys from unknown key ids alone, as with the defaults. */
  let lazy: Serving;
  /** Asks for the keys every second. */
  let eager: Serving;

  beforeAll(async () => {
    const keycloak = await sharedKeycloak();
    realm = await keycloak.createRealm('keys');
    await realm.createPublicClient('istio');
    await realm.createUser('alice', 'wonderland');
    service = await startEchoService();
    const start = (jwks: object) =>
      serve({
        admin: { realm: 'keys' },
        realms: [{ name: 'keys', url: realm.url, clients: ['istio'], jwks }],
        routes: [{ name: 'hello', endpoint: '/hello', upstream: [service.origin] }],
      });
    [lazy, eager] = await Promise.all([start({}), start({ refresh: '1s', cooldown: '100ms' })]);
    return async () => {
      service.close();
      await Promise.all([lazy.stop(), eager.stop()]);
    };
  });

  /** `200` where both gateways take the token. */
  const judge = async (token: string): Promise<string> => {
    const answers = await Promise.all(
      [lazy, eager].map(({ gatewayUrl }) => call(`${gatewayUrl}/hello`, { token })),
    );
    return [...new Set(answers.map(outcomeOf))].join(' and ');
  };

  test(
    'is followed without refusing one valid token, and removed keys stop counting',
    { timeout: 150_000 },
    async () => {
      const { refresh_token: refreshToken } = await realm.passwordGrant('alice', 'wonderland');
      const issue = async () => (await refresh(realm.tokenEndpoint, refreshToken)).access_token;
      const old = await Promise.all(Array.from({ length: 40 }, issue));
      const oldKey = await realm.activeKey();
      const seenKeys = new Set<string | undefined>();

      const oldTokens = constantLoad(PACE, (n) => judge(old[n % old.length]!));
      const newTokens = constantLoad(PACE, async () => {
        const token = await issue();
        seenKeys.add(decodeProtectedHeader(token).kid);
        return judge(token);
      });
      const newKey = await realm.rotateKeys();
      await expect.poll(() => [...seenKeys], { timeout: 60_000 }).toContain(newKey);
      for (const load of [oldTokens, newTokens]) expect(Object.keys(await load.lap())).toEqual(['200']);
      // Enough of both after the rotation, too.
      await expect.poll(() => newTokens.tally['200'] ?? 0, { timeout: 60_000 }).toBeGreaterThan(50);
      await expect.poll(() => oldTokens.tally['200'] ?? 0, { timeout: 60_000 }).toBeGreaterThan(50);
      expect(Object.keys(await oldTokens.stop())).toEqual(['200']);
      expect(Object.keys(await newTokens.lap())).toEqual(['200']);
      expect(newKey).not.toBe(oldKey);

      await realm.removeOldKeys();
      const removedAt = Date.now();
      await expect.poll(() => keysFetchedAt(eager), { timeout: 20_000 }).toBeGreaterThan(removedAt);
      for (const token of old) {
        const answer = await call(`${eager.gatewayUrl}/hello`, { token });
        expect(outcomeOf(answer)).toBe('401 token_invalid');
      }
      expect(Object.keys(await newTokens.stop())).toEqual(['200']);
    },
  );
});

/** When the gateway's keys were last fetched, in ms since the epoch, to the precision of its metric. */
async function keysFetchedAt({ adminUrl }: Serving): Promise<number> {
  const { body } = await call(`${adminUrl}/metrics`);
  const age = /^realmgate_realm_keys_age_seconds\{[^}]*\} ([0-9.e-]+)$/m.exec(body.toString())?.[1];
  if (age === undefined) throw new Error('there is no age of keys among the metrics');
  return Date.now() - Number(age) * 1000;
}
