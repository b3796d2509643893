import { decodeJwt } from 'jose';
import { beforeAll, describe, expect, test } from 'vitest';

import { freePort } from '../support/free-port.ts';
import { requireParts } from '../support/require.ts';
import { call, outcomeOf, refresh, signIn } from './call.ts';
import { type Echo, type EchoService, startEchoService } from './echo-service.ts';
import type { KeycloakRealm } from './keycloak-realm.ts';
import { type Serving, serve, workersThatServed } from './serve.ts';
import { sharedKeycloak } from './shared-keycloak.ts';

const PUBLIC_URL = 'https://services.example.com';
const PUBLIC_ISSUER = `${PUBLIC_URL}/auth/realms/sign-in`;
const AS_PUBLIC = { 'x-forwarded-host': 'services.example.com', 'x-forwarded-proto': 'https' };

/** Header fields of one hop, and those that every answer has anew. */
const OF_THE_HOP = ['connection', 'keep-alive', 'transfer-encoding', 'date', 'x-request-id'];

describe.skipIf(!requireParts('keycloak', 'java'))('signing in through the gateway', () => {
  let realm: KeycloakRealm;
  let service: EchoService;

  beforeAll(async () => {
    const keycloak = await sharedKeycloak();
    realm = await keycloak.createRealm('sign-in');
    await realm.createPublicClient('istio');
    await realm.createConfidentialClient('machine', 'machine-secret');
    await realm.createRole('reports');
    await realm.createRole('a, b');
    await realm.createUser('alice', 'wonderland', { realm: ['reports', 'a, b'] });
    service = await startEchoService();
    return () => service.close();
  });

  const routes = () => [{ name: 'hello', endpoint: '/hello', upstream: [service.origin] }];

  describe('with a public URL', () => {
    let gateway: Serving;
    let tokenEndpoint: string;

    beforeAll(async () => {
      gateway = await serve({
        gateway: { publicUrl: PUBLIC_URL },
        admin: { realm: 'sign-in' },
        realms: [{ name: 'sign-in', url: realm.url, clients: ['istio'] }],
        routes: routes(),
      });
      tokenEndpoint = `${gateway.gatewayUrl}/auth/realms/sign-in/protocol/openid-connect/token`;
      return () => gateway.stop();
    });

    test('the password grant gives a token of the public issuer, and a call with it reaches the service with the identity', async () => {
      const { access_token: token } = await signIn(tokenEndpoint, 'alice', 'wonderland');

      const claims = decodeJwt(token);
      expect(claims.iss).toBe(PUBLIC_ISSUER);
      const answer = await call(`${gateway.gatewayUrl}/hello/world?x=1`, { token });
      expect(outcomeOf(answer)).toBe('200');
      const { url, headers } = answer.json as unknown as Echo;
      expect(url).toBe('/world?x=1');
      expect(headers).toMatchObject({
        'x-forwarded-user': claims.sub,
        'x-forwarded-preferred-username': 'alice',
        'x-forwarded-email': 'alice@example.com',
        'x-forwarded-prefix': '/hello',
      });
      expect(headers).not.toHaveProperty('authorization');
      expect(headers['x-forwarded-groups']!.split(',').toSorted()).toEqual(
        ['reports', 'a%2C b', 'default-roles-sign-in', 'offline_access', 'uma_authorization'].toSorted(),
      );
    });

    test('every worker takes the token', async () => {
      const { access_token: token } = await signIn(tokenEndpoint, 'alice', 'wonderland');

      const answers = [];
      for (let i = 0; i < 4; i++) answers.push(await call(`${gateway.gatewayUrl}/hello`, { token }));

      expect(answers.map(outcomeOf)).toEqual(['200', '200', '200', '200']);
      // The access log is written a moment after the answers.
      await expect.poll(() => workersThatServed(gateway, 'hello')).toEqual(['worker-1', 'worker-2']);
    });

    test('a token of another issuer of the same realm is refused', async () => {
      const { access_token: token } = await realm.passwordGrant('alice', 'wonderland');

      expect(decodeJwt(token).iss).toBe(realm.url);
      expect(outcomeOf(await call(`${gateway.gatewayUrl}/hello`, { token }))).toBe('401 token_invalid');
    });

    const form = { grant_type: 'password', client_id: 'istio', username: 'alice', password: 'wonderland' };
    test.each([
      ['a wrong password', { ...form, password: 'looking-glass' }, 400],
      ['an unknown user', { ...form, username: 'bob' }, 400],
      ['an unknown client', { ...form, client_id: 'nobody' }, 401],
      ['a scope that there is not', { ...form, scope: 'money' }, 400],
      [
        'a refresh token that is none',
        { grant_type: 'refresh_token', client_id: 'istio', refresh_token: 'x' },
        400,
      ],
    ])('%s gets what Keycloak answers, byte for byte', async (_what, wrong, status) => {
      const direct = await call(realm.tokenEndpoint, { form: wrong, headers: AS_PUBLIC });

      const through = await call(tokenEndpoint, { form: wrong });

      expect(direct.status).toBe(status);
      expect(through.status).toBe(status);
      expect(through.body.toString('latin1')).toBe(direct.body.toString('latin1'));
      expect(endToEnd(through.headers)).toEqual(endToEnd(direct.headers));
      expect(through.headers).toMatchObject({
        'content-type': 'application/json',
        'cache-control': 'no-store',
        pragma: 'no-cache',
      });
    });

    test('the refresh grant gives a token that is accepted', async () => {
      const first = await signIn(tokenEndpoint, 'alice', 'wonderland');

      const second = await refresh(tokenEndpoint, first.refresh_token);

      expect(second.access_token).not.toBe(first.access_token);
      const answer = await call(`${gateway.gatewayUrl}/hello`, { token: second.access_token });
      expect(outcomeOf(answer)).toBe('200');
    });

    test('other grants are refused before Keycloak sees them', async () => {
      const direct = {
        grant_type: 'client_credentials',
        client_id: 'machine',
        client_secret: 'machine-secret',
      };
      expect((await call(realm.tokenEndpoint, { form: direct })).status).toBe(200);

      const answer = await call(tokenEndpoint, { form: direct });

      expect(answer).toMatchObject({ status: 400, json: { error: 'unauthorized_client' } });
    });

    test('the keys are passed as they are', async () => {
      const path = '/protocol/openid-connect/certs';

      const through = await call(`${gateway.gatewayUrl}/auth/realms/sign-in${path}`);

      const direct = await call(realm.url + path);
      expect(through.status).toBe(200);
      expect(through.body.equals(direct.body)).toBe(true);
      expect(endToEnd(through.headers)).toEqual(endToEnd(direct.headers));
    });

    test('the discovery document names the public host everywhere', async () => {
      const url = `${gateway.gatewayUrl}/auth/realms/sign-in/.well-known/openid-configuration`;

      const { status, body, json } = await call(url);

      expect(status).toBe(200);
      expect(json).toMatchObject({
        issuer: PUBLIC_ISSUER,
        token_endpoint: `${PUBLIC_ISSUER}/protocol/openid-connect/token`,
        jwks_uri: `${PUBLIC_ISSUER}/protocol/openid-connect/certs`,
      });
      expect(body.toString()).not.toContain('127.0.0.1');
    });

    test('what a client says of its host does not reach Keycloak', async () => {
      const url = `${gateway.gatewayUrl}/auth/realms/sign-in/.well-known/openid-configuration`;
      const lies = {
        'x-forwarded-host': 'evil.example',
        forwarded: 'host=evil.example',
        host: 'evil.example',
      };

      const { json } = await call(url, { headers: lies });

      expect(json['issuer']).toBe(PUBLIC_ISSUER);
    });

    test('what is not published of Keycloak is 404, and so is another realm', async () => {
      for (const path of [
        '/auth/admin/realms',
        '/auth/realms/sign-in',
        '/auth/realms/sign-in/account',
        '/auth/realms/sign-in/protocol/openid-connect/userinfo',
        '/auth/realms/sign-in/protocol/openid-connect/token/introspect',
        '/auth/realms/master/protocol/openid-connect/certs',
      ]) {
        expect(outcomeOf(await call(gateway.gatewayUrl + path))).toBe('404 no_such_service');
      }
    });

    test('neither passwords nor tokens are in the log', async () => {
      const { access_token: token, refresh_token: other } = await signIn(
        tokenEndpoint,
        'alice',
        'wonderland',
      );
      await call(`${gateway.gatewayUrl}/hello?access_token=${token}`, { token });

      const text = JSON.stringify(gateway.log);

      expect(text).not.toContain('wonderland');
      expect(text).not.toContain(token.split('.')[1]);
      expect(text).not.toContain(other.split('.')[1]);
    });
  });

  test('without a public URL tokens name the host that was asked, and `issuers` says which count', async () => {
    const port = await freePort();
    const origin = `http://127.0.0.1:${port}`;
    const issuer = `${origin}/auth/realms/sign-in`;
    const gateway = await serve({
      gateway: { listen: `127.0.0.1:${port}` },
      admin: { realm: 'sign-in' },
      realms: [{ name: 'sign-in', url: realm.url, issuers: [issuer] }],
      routes: routes(),
    });
    try {
      const { access_token: token } = await signIn(
        `${issuer}/protocol/openid-connect/token`,
        'alice',
        'wonderland',
      );
      expect(decodeJwt(token).iss).toBe(issuer);
      expect(outcomeOf(await call(`${origin}/hello`, { token }))).toBe('200');

      const { access_token: direct } = await realm.passwordGrant('alice', 'wonderland');
      expect(outcomeOf(await call(`${origin}/hello`, { token: direct }))).toBe('401 token_invalid');
    } finally {
      await gateway.stop();
    }
  });
});

function endToEnd(headers: object): object {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !OF_THE_HOP.includes(name)));
}
