import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

import { decodeJwt, decodeProtectedHeader } from 'jose';
import { beforeAll, describe, expect, inject, onTestFinished, test, vi } from 'vitest';

import { groupMembers } from '../support/process-group.ts';
import { requireParts } from '../support/require.ts';
import { Keycloak } from './keycloak.ts';
import type { KeycloakRealm } from './keycloak-realm.ts';
import { sharedKeycloak } from './shared-keycloak.ts';

describe.skipIf(!requireParts('keycloak', 'java'))('a real Keycloak', () => {
  let keycloak: Keycloak;
  let realm: KeycloakRealm;

  beforeAll(async () => {
    keycloak = await sharedKeycloak();
    realm = await keycloak.createRealm('harness', { accessTokenLifespan: 300 });
    await realm.createPublicClient('istio');
    await realm.createPublicClient('api');
    await realm.createRole('reports');
    await realm.createClientRole('api', 'editor');
    await realm.createUser('alice', 'wonderland', { realm: ['reports'], client: { api: ['editor'] } });
  });

  test('gives a token with the password grant, in the shape that the gateway reads', async () => {
    const answer = await realm.passwordGrant('alice', 'wonderland');

    expect(decodeJwt(answer.access_token)).toMatchObject({
      iss: realm.url,
      typ: 'Bearer',
      azp: 'istio',
      preferred_username: 'alice',
      email: 'alice@example.com',
      realm_access: { roles: expect.arrayContaining(['reports']) as string[] },
      resource_access: { api: { roles: ['editor'] } },
      sid: expect.any(String) as string,
    });
  });

  test('takes the issuer from the forwarded host', async () => {
    const response = await realm.requestToken(
      { grant_type: 'password', client_id: 'istio', username: 'alice', password: 'wonderland' },
      { 'x-forwarded-host': 'services.example.com', 'x-forwarded-proto': 'https' },
    );

    const { access_token: token } = (await response.json()) as { access_token: string };
    expect(decodeJwt(token).iss).toBe('https://services.example.com/auth/realms/harness');
  });

  test('answers a wrong password with 400 invalid_grant, and nothing else', async () => {
    const response = await realm.requestToken({
      grant_type: 'password',
      client_id: 'istio',
      username: 'alice',
      password: 'looking-glass',
    });

    expect(response.status).toBe(400);
    expect(await response.text()).toBe(
      '{"error":"invalid_grant","error_description":"Invalid user credentials"}',
    );
  });

  test('introspects a token for the confidential client that the token is meant for', async () => {
    await realm.createConfidentialClient('gateway', 'gateway-secret');
    const introspect = async (): Promise<unknown> => {
      const { access_token: token } = await realm.passwordGrant('alice', 'wonderland');
      const form = new URLSearchParams({ token, client_id: 'gateway', client_secret: 'gateway-secret' });
      return (await fetch(`${realm.tokenEndpoint}/introspect`, { method: 'POST', body: form })).json();
    };

    expect(await introspect()).toStrictEqual({ active: false });

    await realm.addAudience('istio', 'gateway');
    expect(await introspect()).toMatchObject({ active: true, username: 'alice', client_id: 'istio' });
  });

  test('leaves user claims out of lightweight tokens', async () => {
    await realm.createPublicClient('light');
    await realm.useLightweightTokens('light');

    const { access_token: token } = await realm.passwordGrant('alice', 'wonderland', { client_id: 'light' });

    expect(decodeJwt(token)).toMatchObject({ azp: 'light', typ: 'Bearer' });
    expect(decodeJwt(token)).not.toHaveProperty('preferred_username');
    expect(decodeJwt(token)).not.toHaveProperty('realm_access');
  });

  test('calls the back-channel logout URL when a user is logged out', async () => {
    const received = Promise.withResolvers<string>();
    const server = createServer((request, response) => {
      void text(request).then(received.resolve, received.reject);
      response.end();
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    await realm.createPublicClient('watched');
    const { port } = server.address() as AddressInfo;
    await realm.setBackchannelLogoutUrl('watched', `http://127.0.0.1:${port}/logout`);
    const { access_token: token } = await realm.passwordGrant('alice', 'wonderland', {
      client_id: 'watched',
    });

    await realm.logoutUser('alice');

    const logoutToken = new URLSearchParams(await received.promise).get('logout_token') ?? '';
    expect(decodeProtectedHeader(logoutToken)).toMatchObject({ typ: 'logout+jwt' });
    expect(decodeJwt(logoutToken)).toMatchObject({ aud: 'watched', sid: decodeJwt(token)['sid'] });
  });

  test('signs with a new key after a rotation, and drops the old one when told to', async () => {
    const old = await realm.activeKey();

    const rotated = await realm.rotateKeys();

    const { access_token: token } = await realm.passwordGrant('alice', 'wonderland');
    expect(rotated).not.toBe(old);
    expect(decodeProtectedHeader(token).kid).toBe(rotated);
    expect(await publishedKeys(realm)).toEqual(expect.arrayContaining([old, rotated]));

    await realm.removeOldKeys();
    expect(await publishedKeys(realm)).toContain(rotated);
    expect(await publishedKeys(realm)).not.toContain(old);
  });

  test('is gone after stop, and has its realms, users and keys when it is started again', async () => {
    const kid = await realm.activeKey();
    const group = keycloak.processGroup!;
    expect(programs(group)).toContain('java');

    await keycloak.stop();

    expect(keycloak.running).toBe(false);
    expect(programs(group)).toEqual([]);
    await expect(fetch(realm.url)).rejects.toThrow();

    await keycloak.start();
    const { access_token: token } = await realm.passwordGrant('alice', 'wonderland');
    expect(decodeProtectedHeader(token).kid).toBe(kid);
  });

  test('is gone after kill, with every process', async () => {
    const group = keycloak.processGroup!;

    await keycloak.kill();

    expect(programs(group)).toEqual([]);
    await expect(fetch(realm.url)).rejects.toThrow();
  });

  test('ends with the process that owns it', async () => {
    const owner = spawn('sleep', ['600']);
    const orphaned = new Keycloak({ ...inject('keycloak')!, owner: owner.pid! });
    await orphaned.stop();
    await orphaned.start();
    const group = orphaned.processGroup!;

    owner.kill('SIGKILL');

    await vi.waitFor(() => expect(programs(group)).toEqual([]), { timeout: 20_000 });
  });
});

async function publishedKeys(realm: KeycloakRealm): Promise<(string | undefined)[]> {
  const response = await fetch(`${realm.url}/protocol/openid-connect/certs`);
  return ((await response.json()) as { keys: { kid?: string }[] }).keys.map((key) => key.kid);
}

/** Names of the programs that run in a process group. */
function programs(group: number): string[] {
  return groupMembers(group).map((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim());
}
