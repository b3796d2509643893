import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { decodeJwt, decodeProtectedHeader } from 'jose';
import { beforeAll, describe, expect, test } from 'vitest';

import { type EmbeddedRealm, startEmbeddedRealm } from '../../src/embedded/realm.ts';
import { requireParts } from '../support/require.ts';
import { call, type CallAnswer, type CallOptions } from './call.ts';
import type { KeycloakRealm } from './keycloak-realm.ts';
import { sharedKeycloak } from './shared-keycloak.ts';

const TOKEN = '/protocol/openid-connect/token';
const LOGIN = { grant_type: 'password', client_id: 'istio', username: 'alice', password: 'wonderland' };

/** Endpoints of a discovery document that a program may ask for. */
const ENDPOINTS = [
  'issuer',
  'authorization_endpoint',
  'token_endpoint',
  'introspection_endpoint',
  'userinfo_endpoint',
  'end_session_endpoint',
  'jwks_uri',
  'revocation_endpoint',
  'device_authorization_endpoint',
];

describe.skipIf(!requireParts('keycloak', 'java'))('the embedded realm beside Keycloak', () => {
  let keycloak: KeycloakRealm;
  let embedded: EmbeddedRealm;
  let introspect: Record<'keycloak' | 'embedded', string>;

  beforeAll(async () => {
    keycloak = await (await sharedKeycloak()).createRealm('embedded');
    // As the console of Keycloak makes a client: its web origins are the same as its redirect URIs.
    await keycloak.createPublicClient('istio', { webOrigins: ['/*'] });
    await keycloak.createConfidentialClient('gateway', 'gateway-secret');
    await keycloak.addAudience('istio', 'gateway');
    await keycloak.createRole('editor');
    await keycloak.createUser('alice', 'wonderland', { realm: ['editor'] });
    const dataDir = mkdtempSync(join(tmpdir(), 'realmgate-embedded-'));
    const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
    embedded = await startEmbeddedRealm(
      {
        listen: { host: '127.0.0.1', port: 0 },
        name: 'embedded',
        users: [{ username: 'alice', password: 'wonderland', roles: ['editor'] }],
      },
      { dataDir, log },
    );
    introspect = { keycloak: 'gateway-secret', embedded: embedded.introspection.clientSecret };
    return async () => {
      await embedded.close();
      rmSync(dataDir, { recursive: true, force: true });
    };
  });

  /** The same request to both. */
  const both = async (path: string, options: CallOptions = {}): Promise<[CallAnswer, CallAnswer]> =>
    Promise.all([call(embedded.url + path, options), call(keycloak.url + path, options)]);

  /** What each realm answers to a sign-in. */
  const signIns = (form: Record<string, string> = {}) => both(TOKEN, { form: { ...LOGIN, ...form } });

  test.each([[''], ['openid'], ['openid offline_access']])(
    'answers a sign-in for the scope %j with the same members and headers',
    async (scope) => {
      const [ours, theirs] = await signIns(scope === '' ? {} : { scope });

      expect(ours.status).toBe(200);
      expect(shapeOf(ours.json)).toEqual(shapeOf(theirs.json));
      expect(semantics(ours)).toEqual(semantics(theirs));
      expect(scopesOf(ours.json)).toEqual(scopesOf(theirs.json));
      for (const name of ['token_type', 'not-before-policy']) {
        expect(ours.json[name]).toEqual(theirs.json[name]);
      }
      // Keycloak reads its clock twice, and a second may begin in between.
      for (const name of ['expires_in', 'refresh_expires_in']) {
        const lost = Number(ours.json[name]) - Number(theirs.json[name]);
        expect([0, 1], name).toContain(lost);
      }
    },
  );

  test.each([['access_token'], ['id_token']])('writes an %s of the same claims', async (name) => {
    const [ours, theirs] = (await signIns({ scope: 'openid' })).map(({ json }) => String(json[name]));

    const [claims, model] = [decodeJwt(ours!), decodeJwt(theirs!)];
    // Only because this test gives it an audience to introspect with.
    if (name === 'access_token') model.aud = 'account';
    expect(shapeOf(claims)).toEqual(shapeOf(model));
    for (const claim of ['aud', 'azp', 'typ', 'acr', 'resource_access', 'allowed-origins']) {
      expect(claims[claim]).toEqual(model[claim]);
    }
    expect(scopesOf(claims)).toEqual(scopesOf(model));
    expect(new Set(rolesOf(claims))).toEqual(new Set(rolesOf(model)));
    expect(shapeOf(decodeProtectedHeader(ours!))).toEqual(shapeOf(decodeProtectedHeader(theirs!)));
  });

  test.each([
    ['a wrong password', { ...LOGIN, password: 'x' }],
    ['an empty password', { ...LOGIN, password: '' }],
    ['an unknown user', { ...LOGIN, username: 'bob' }],
    ['an empty user', { ...LOGIN, username: '' }],
    ['no user', { grant_type: 'password', client_id: 'istio', password: 'x' }],
    ['no client', { grant_type: 'password', username: 'alice', password: 'wonderland' }],
    ['an unknown client', { ...LOGIN, client_id: 'nobody' }],
    ['a confidential client without its secret', { ...LOGIN, client_id: 'gateway' }],
    ['a confidential client with a wrong secret', { ...LOGIN, client_id: 'gateway', client_secret: 'x' }],
    ['an unknown scope', { ...LOGIN, scope: 'email money' }],
    ['no grant', { client_id: 'istio' }],
    ['an empty grant', { ...LOGIN, grant_type: '' }],
    ['an unknown grant', { ...LOGIN, grant_type: 'magic' }],
    ["a machine's grant for a public client", { grant_type: 'client_credentials', client_id: 'istio' }],
    ['no refresh token', { grant_type: 'refresh_token', client_id: 'istio' }],
    ['a wrong refresh token', { grant_type: 'refresh_token', client_id: 'istio', refresh_token: 'x' }],
  ])('refuses %s in the same words', async (_what, form) => {
    const [ours, theirs] = await both(TOKEN, { form: form });

    expect(semantics(ours)).toEqual(semantics(theirs));
    expect(ours.body.toString()).toBe(theirs.body.toString());
  });

  test('refuses a refresh after the logout in the same words', async () => {
    const granted = await signIns();
    const [ours, theirs] = await Promise.all(
      [embedded.url, keycloak.url].map(async (url, i) => {
        const form = { client_id: 'istio', refresh_token: String(granted[i]!.json['refresh_token']) };
        const logout = await call(`${url}/protocol/openid-connect/logout`, { form });
        const refused = await call(url + TOKEN, { form: { ...form, grant_type: 'refresh_token' } });
        return [logout.status, logout.body.toString(), semantics(refused), refused.body.toString()];
      }),
    );

    expect(ours).toEqual(theirs);
    expect(ours![0]).toBe(204);
  });

  test('introspects in the same shape', async () => {
    const [ours, theirs] = await signIns();
    const ask = async (realm: 'keycloak' | 'embedded', token: unknown, secret = introspect[realm]) => {
      const form = { token: String(token), client_id: 'gateway', client_secret: secret };
      return call(`${{ keycloak, embedded }[realm].url}${TOKEN}/introspect`, { form });
    };

    const [active, model] = await Promise.all([
      ask('embedded', ours.json['access_token']),
      ask('keycloak', theirs.json['access_token']),
    ]);
    expect({ ...shapeOf(active.json), aud: '' }).toEqual({ ...shapeOf(model.json), aud: '' });
    for (const [token, secret] of [
      ['x', undefined],
      ['x', 'wrong'],
    ] as const) {
      const [refused, likewise] = await Promise.all([
        ask('embedded', token, secret),
        ask('keycloak', token, secret),
      ]);
      expect([refused.status, refused.json]).toEqual([likewise.status, likewise.json]);
    }
    const [stranger, likewise] = await both(`${TOKEN}/introspect`, {
      form: { client_id: 'istio', token: 'x' },
    });
    expect([stranger.status, stranger.json]).toEqual([likewise.status, likewise.json]);
  });

  test('answers userinfo in the same shape, and refuses it with the same challenge', async () => {
    const path = '/protocol/openid-connect/userinfo';
    const ask = async (form: Record<string, string>) => {
      const [ours, theirs] = await signIns(form);
      return Promise.all([
        call(embedded.url + path, { token: String(ours.json['access_token']) }),
        call(keycloak.url + path, { token: String(theirs.json['access_token']) }),
      ]);
    };

    const [ours, theirs] = await ask({ scope: 'openid' });
    expect(shapeOf(ours.json)).toEqual(shapeOf(theirs.json));
    for (const [refused, likewise] of [await ask({}), await both(path, { token: 'x' }), await both(path)]) {
      expect(refused.status).toBe(likewise.status);
      expect(refused.headers['www-authenticate']).toBe(likewise.headers['www-authenticate']);
      expect(refused.body.toString()).toBe(likewise.body.toString());
    }
  });

  test('has its endpoints where Keycloak has them', async () => {
    const [ours, theirs] = await both('/.well-known/openid-configuration');

    const paths = ({ json }: CallAnswer, base: string) =>
      Object.fromEntries(ENDPOINTS.map((name) => [name, String(json[name]).replace(base, '')]));
    expect(paths(ours, embedded.url)).toEqual(paths(theirs, keycloak.url));
    expect(Object.keys(theirs.json)).toEqual(expect.arrayContaining(ENDPOINTS));
    for (const name of ['grant_types_supported', 'response_types_supported', 'scopes_supported']) {
      expect(theirs.json[name]).toEqual(expect.arrayContaining(ours.json[name] as string[]));
    }
    expect(semantics(ours)).toEqual(semantics(theirs));
  });

  test('publishes keys in the same form', async () => {
    const [ours, theirs] = await both('/protocol/openid-connect/certs');
    const signing = ({ json }: CallAnswer) =>
      (json['keys'] as Record<string, string>[]).find(({ use }) => use === 'sig')!;

    const model = shapeOf(signing(theirs));
    // The certificates that Keycloak makes for its keys have nobody to vouch for them, and nobody reads them.
    for (const certificate of ['x5c', 'x5t', 'x5t#S256']) Reflect.deleteProperty(model, certificate);
    expect(shapeOf(signing(ours))).toEqual(model);
    expect(semantics(ours)).toEqual(semantics(theirs));
  });

  test.each([['/nope'], ['/protocol/openid-connect/nope']])(
    'has nothing at %s in the same words',
    async (path) => {
      const [ours, theirs] = await both(path);

      expect([ours.status, ours.body.toString()]).toEqual([theirs.status, theirs.body.toString()]);
    },
  );
});

/** Names and types of members. */
function shapeOf(value: object): Record<string, string> {
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, Array.isArray(member) ? 'array' : typeof member]),
  );
}

/** What a client acts on besides the body. */
function semantics({ status, headers }: CallAnswer): object {
  const { 'content-type': type, 'cache-control': caching, pragma, 'www-authenticate': challenge } = headers;
  return { status, type, caching, pragma, challenge };
}

/** Keycloak keeps them in no order that would be the same in two realms. */
function scopesOf({ scope }: Readonly<Record<string, unknown>>): Set<string> | null {
  return typeof scope === 'string' ? new Set(scope.split(' ')) : null;
}

function rolesOf(claims: Readonly<Record<string, unknown>>): string[] {
  return (claims['realm_access'] as { roles: string[] } | undefined)?.roles ?? [];
}
