import { describe, expect, test } from 'vitest';
import type { Principal } from '../../src/contracts/principal.ts';
import type { Route } from '../../src/contracts/settings.ts';
import type { Refusal } from '../../src/errors.ts';
import { authorize } from '../../src/gateway/authorize.ts';
import { issueToken, route } from '../support/gateway.ts';
import { headerValues } from '../support/parse-responses.ts';
import { exchange, expectUntouched, HOST, problemOf, startWire } from './wire.ts';

const alice: Principal = {
  realm: 'demo',
  subject: 'alice-id',
  username: 'alice',
  email: null,
  groups: ['user'],
  roles: new Set(['realm:user', 'client:api/editor']),
  scopes: new Set(['read', 'profile']),
  clients: new Set(['istio', 'account']),
  members: 6,
  sessionId: null,
  issuedAt: 0,
  notAfter: Infinity,
};

function decide(access: Partial<Route['access']>, principal: Principal | null, isPublic = false): string {
  const rules = route({
    upstream: [],
    public: isPublic,
    access: { roles: [], scopes: [], clients: [], ...access },
  });
  try {
    expect(authorize(rules, principal)).toMatchObject({ route: rules, principal });
    return 'permitted';
  } catch (error) {
    return (error as Refusal).code;
  }
}

describe('access rules', () => {
  test.each<[string, Partial<Route['access']>, string]>([
    ['none: any valid token', {}, 'permitted'],
    ['one role of several', { roles: ['realm:root', 'client:api/editor'] }, 'permitted'],
    ['no role of several', { roles: ['realm:root', 'client:web/editor'] }, 'access_denied'],
    ['a client role is no realm role', { roles: ['realm:editor'] }, 'access_denied'],
    ['a realm role is no client role', { roles: ['client:api/user'] }, 'access_denied'],
    ['another case', { roles: ['realm:User'] }, 'access_denied'],
    ['one scope of several', { scopes: ['write', 'read'] }, 'permitted'],
    ['part of a scope', { scopes: ['rea'] }, 'access_denied'],
    ['a client by azp or aud', { clients: ['account'] }, 'permitted'],
    ['another client', { clients: ['web'] }, 'access_denied'],
    ['every list has to match', { roles: ['realm:user'], scopes: ['write'] }, 'access_denied'],
    ['every list matches', { roles: ['realm:user'], scopes: ['read'], clients: ['istio'] }, 'permitted'],
  ])('%s', (_name, access, outcome) => {
    expect(decide(access, alice)).toBe(outcome);
  });

  test('no token: only a public route', () => {
    expect(decide({}, null)).toBe('token_missing');
    expect(decide({}, null, true)).toBe('permitted');
  });

  test('a token that is shown on a public route has to satisfy its rules', () => {
    expect(decide({ roles: ['realm:root'] }, alice, true)).toBe('access_denied');
    expect(decide({ roles: ['realm:root'] }, null, true)).toBe('permitted');
  });
});

describe('over the wire', () => {
  const ask = async (access: Partial<Route['access']>, claims = {}) => {
    const wire = await startWire({ hello: { access: { roles: [], scopes: [], clients: [], ...access } } });
    const token = `Authorization: Bearer ${await issueToken(claims)}\r\n`;
    const [answer] = await exchange(wire, `GET /hello HTTP/1.1\r\n${HOST}${token}Connection: close\r\n\r\n`);
    expect(problemOf(answer!)).toMatchObject({ status: 403, code: 'access_denied' });
    expectUntouched(wire);
    return headerValues(answer!, 'www-authenticate');
  };

  test('a missing role is 403 with insufficient_scope and no scope', async () => {
    expect(await ask({ roles: ['realm:root'] })).toEqual([
      'Bearer realm="demo", error="insufficient_scope", ' +
        'error_description="The token lacks a role that this service asks for"',
    ]);
  });

  test('a missing scope is named', async () => {
    expect(await ask({ scopes: ['read', 'write'] })).toEqual([
      'Bearer realm="demo", error="insufficient_scope", ' +
        'error_description="The token lacks a scope that this service asks for", scope="read write"',
    ]);
  });

  test('a valid token without a route is 404, without a challenge', async () => {
    const wire = await startWire();
    const [answer] = await exchange(
      wire,
      `GET /nothing HTTP/1.1\r\n${HOST}${wire.bearer}Connection: close\r\n\r\n`,
    );
    expect(problemOf(answer!)).toMatchObject({ status: 404, code: 'no_such_service' });
    expect(headerValues(answer!, 'www-authenticate')).toEqual([]);
  });
});
