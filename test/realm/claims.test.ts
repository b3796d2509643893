import { describe, expect, it } from 'vitest';
import { principalFromClaims } from '../../src/realm/claims.ts';

const from = (claims: Readonly<Record<string, unknown>>) => principalFromClaims('demo', claims, 30_000);
const fromJson = (claims: string) => from(JSON.parse(claims) as Record<string, unknown>);

describe("Keycloak's claims", () => {
  it('become a principal', () => {
    expect(
      from({
        sub: 'u-1',
        preferred_username: 'alice',
        email: 'alice@example.com',
        realm_access: { roles: ['offline_access', 'a,b'] },
        resource_access: { api: { roles: ['editor'] }, account: { roles: ['view-profile'] } },
        scope: 'openid  profile',
        azp: 'istio',
        aud: ['account', 'api'],
        sid: 's-1',
        iat: 1000,
        exp: 1300,
      }),
    ).toMatchObject({
      realm: 'demo',
      subject: 'u-1',
      username: 'alice',
      email: 'alice@example.com',
      groups: ['offline_access', 'a,b'],
      roles: new Set([
        'realm:offline_access',
        'realm:a,b',
        'client:api/editor',
        'client:account/view-profile',
      ]),
      scopes: new Set(['openid', 'profile']),
      clients: new Set(['account', 'api', 'istio']),
      sessionId: 's-1',
      issuedAt: 1_000_000,
      notAfter: 1_330_000,
    });
  });

  it('give an empty principal when there are none, over since ever', () => {
    const principal = from({});
    expect(principal).toMatchObject({
      subject: '',
      username: null,
      email: null,
      groups: [],
      sessionId: null,
    });
    expect(principal).toMatchObject({ issuedAt: 0, notAfter: 0 });
    expect([principal.roles.size, principal.scopes.size, principal.clients.size]).toEqual([0, 0, 0]);
  });

  it('name the client by client_id where azp is missing or no string, and the audience may be one string', () => {
    expect(from({ client_id: 'robot', aud: 'api' }).clients).toEqual(new Set(['api', 'robot']));
    expect(from({ azp: ['x'], client_id: 'robot' }).clients).toEqual(new Set(['robot']));
    expect(from({ azp: 'istio', client_id: 'robot' }).clients).toEqual(new Set(['istio']));
  });

  it('name the session by session_state where sid is missing', () => {
    expect(from({ session_state: 'old' }).sessionId).toBe('old');
    expect(from({ sid: 'new', session_state: 'old' }).sessionId).toBe('new');
  });
});

describe('claims of the wrong type', () => {
  it('are absent: a list of roles given as a string, encoded or not, is no roles (istio#58433)', () => {
    for (const roles of ['admin', 'WyJhZG1pbiJd', '["admin"]', { 0: 'admin', length: 1 }, 1, true, null]) {
      const principal = from({ realm_access: { roles }, resource_access: { api: { roles } } });
      expect(principal.groups).toEqual([]);
      expect(principal.roles.size).toBe(0);
    }
  });

  it('never throw, at any level', () => {
    for (const wrong of [null, 1, 'x', true, [], [1], {}, [['admin']]]) {
      const names = [
        'realm_access',
        'resource_access',
        'azp',
        'aud',
        'sub',
        'sid',
        'email',
        'iat',
        'exp',
        'scope',
      ];
      const principal = from(Object.fromEntries(names.map((name) => [name, wrong])));
      expect(principal.roles.size).toBe(0);
      expect(from({ realm_access: { roles: wrong }, resource_access: { api: wrong } }).roles.size).toBe(0);
    }
  });

  it('leave the good members of a list standing', () => {
    expect(from({ realm_access: { roles: ['a', 1, null, ['admin'], '', 'b'] } }).groups).toEqual(['a', 'b']);
    expect(from({ aud: ['a', 1, null, ''] }).clients).toEqual(new Set(['a']));
  });

  it('make no token live for ever: an infinite or missing exp is over', () => {
    expect(fromJson('{"exp": 1e999}').notAfter).toBe(0);
    expect(fromJson('{"exp": 1e308}').notAfter).toBe(0);
    expect(fromJson('{"exp": "9999999999"}').notAfter).toBe(0);
  });
});

describe('hostile names', () => {
  it('of prototypes are roles like any other and reach no prototype', () => {
    const principal = fromJson(
      '{"realm_access": {"roles": ["__proto__", "constructor"]}, "resource_access": {"__proto__": {"roles": ["x"]}}}',
    );
    expect(principal.roles).toEqual(new Set(['realm:__proto__', 'realm:constructor', 'client:__proto__/x']));
    expect(({} as Record<string, unknown>)['roles']).toBeUndefined();
  });

  it('of prototypes give no roles by inheritance', () => {
    expect(fromJson('{"realm_access": {"__proto__": {"roles": ["admin"]}}}').groups).toEqual([]);
    const inherited = { realm_access: Object.create({ roles: ['admin'] }) as object };
    expect(from(inherited).groups).toEqual([]);
  });

  it("with a slash in the client never forge another client's role", () => {
    const forged = from({ resource_access: { 'a/b': { roles: ['c'] } } });
    expect(forged.roles).toEqual(new Set(['client:a%2Fb/c']));
    expect(from({ resource_access: { a: { roles: ['b/c'] } } }).roles).toEqual(new Set(['client:a/b/c']));
    expect(from({ resource_access: { 'a%2Fb': { roles: ['c'] } } }).roles).toEqual(
      new Set(['client:a%252Fb/c']),
    );
  });

  it('that are empty name nobody', () => {
    expect(from({ resource_access: { '': { roles: ['x'] }, a: { roles: [''] } } }).roles.size).toBe(0);
  });

  it('with a colon in a realm role never forge a client role', () => {
    expect(from({ realm_access: { roles: ['client:api/editor'] } }).roles).toEqual(
      new Set(['realm:client:api/editor']),
    );
  });
});
