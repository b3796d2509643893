import { beforeAll, describe, expect, it } from 'vitest';
import type { SigningKey } from './token-fixtures.ts';
import { NOW, benchWith, keycloakClaims, makeKey, outcome, realmWith, sign } from './token-fixtures.ts';

let rsa: SigningKey;

beforeAll(async () => {
  rsa = await makeKey('RS256', 'rsa');
});

function introspecting(changes: Parameters<typeof realmWith>[1] = {}) {
  return realmWith([rsa], { introspectionCache: 30_000, ...changes });
}

describe('an opaque token', () => {
  it('is refused without a question where no realm introspects', async () => {
    const bench = benchWith(realmWith([rsa]));
    for (const realm of ['demo', null]) {
      expect(await outcome(bench, 'opaque', realm)).toBe('token_invalid: the token is not a signed JWT');
    }
    expect(bench.control.introspections).toEqual([]);
  });

  it('is kept for the configured time, and asked about again after it', async () => {
    const bench = benchWith(introspecting());
    bench.control.onIntrospect = () => Promise.resolve(keycloakClaims());
    const principal = await outcome(bench, 'opaque');
    expect(principal).toMatchObject({ username: 'alice', notAfter: NOW + 330_000 });
    bench.setNow(NOW + 29_999);
    expect(bench.authenticator.authenticate('opaque', 'demo')).toBe(principal);
    expect(bench.control.introspections).toEqual([{ realm: 'demo', token: 'opaque' }]);
    bench.setNow(NOW + 30_000);
    bench.control.onIntrospect = () => Promise.resolve(null);
    expect(await outcome(bench, 'opaque')).toBe('token_invalid: the token is not active');
  });

  it('is kept no longer than it lives', async () => {
    const bench = benchWith(introspecting({ clockSkew: 0 }));
    bench.control.onIntrospect = () => Promise.resolve({ ...keycloakClaims(), exp: NOW / 1000 + 10 });
    expect(await outcome(bench, 'opaque')).toMatchObject({ username: 'alice' });
    bench.setNow(NOW + 10_000);
    expect(await outcome(bench, 'opaque')).toBe('token_expired: the token has expired');
  });

  it('is asked about every time where nothing is kept', async () => {
    const bench = benchWith(introspecting({ introspectionCache: 0 }));
    bench.control.onIntrospect = () => Promise.resolve(keycloakClaims());
    await outcome(bench, 'opaque');
    await outcome(bench, 'opaque');
    expect(bench.control.introspections).toHaveLength(2);
    expect(bench.authenticator.stats()).toMatchObject({ entries: 0 });
  });

  it('is asked about once for all requests that bring it at the same time', async () => {
    const bench = benchWith(introspecting());
    bench.control.onIntrospect = () => Promise.resolve(keycloakClaims());
    await Promise.all(Array.from({ length: 10 }, () => outcome(bench, 'opaque')));
    expect(bench.control.introspections).toHaveLength(1);
  });

  it.each([
    [{ exp: undefined }, 'token_invalid: the expiry is missing or not a number'],
    [{ exp: 1 }, 'token_expired: the token has expired'],
    [{ nbf: NOW }, 'token_invalid: the token is not valid yet'],
    [{ iss: 'https://evil.example' }, 'token_invalid: the issuer is not accepted'],
    [{ iss: ['https://evil.example'] }, 'token_invalid: the issuer is not a string'],
    [{ typ: 'Refresh' }, 'token_invalid: the token is not an access token'],
    [{ token_type: 'refresh_token' }, 'token_invalid: the token is not an access token'],
    [{ token_type: 'DPoP' }, 'token_invalid: the token is not an access token'],
    [{ azp: 'other', aud: [] }, 'token_invalid: the client is not accepted'],
    [{ sub: undefined }, 'token_invalid: the subject is missing'],
  ])('with the answer %j is refused: %s', async (claims, expected) => {
    const bench = benchWith(introspecting({ clients: ['istio'] }));
    bench.control.onIntrospect = () => Promise.resolve({ ...keycloakClaims(), ...claims });
    expect(await outcome(bench, 'opaque')).toBe(expected);
  });

  it.each([{ iss: undefined }, { token_type: 'bearer' }, { azp: undefined, client_id: 'istio' }])(
    'with the answer %j is good',
    async (claims) => {
      const bench = benchWith(introspecting({ clients: ['istio'] }));
      bench.control.onIntrospect = () => Promise.resolve({ ...keycloakClaims(), ...claims });
      expect(await outcome(bench, 'opaque')).toMatchObject({ username: 'alice' });
    },
  );

  it('finds its realm among those that introspect when the route demands none', async () => {
    const bench = benchWith(
      realmWith([rsa], { name: 'plain' }),
      introspecting({ name: 'first' }),
      introspecting({ name: 'second' }),
    );
    bench.control.onIntrospect = (realm) => Promise.resolve(realm === 'second' ? keycloakClaims() : null);
    expect(await outcome(bench, 'opaque', null)).toMatchObject({ realm: 'second' });
    expect(bench.control.introspections.map(({ realm }) => realm)).toEqual(['first', 'second']);
    bench.control.onIntrospect = (realm) =>
      realm === 'second' ? Promise.resolve(keycloakClaims()) : Promise.reject(new Error('down'));
    expect(await outcome(bench, 'opaque-2', null)).toMatchObject({ realm: 'second' });
  });

  it('is neither good nor bad while a realm in question gives no answer', async () => {
    const bench = benchWith(introspecting({ name: 'first' }), introspecting({ name: 'second' }));
    for (const down of ['first', 'second']) {
      for (const answer of [null, { ...keycloakClaims(), typ: 'Refresh' }]) {
        bench.control.onIntrospect = (realm) =>
          realm === down ? Promise.reject(new Error('down')) : Promise.resolve(answer);
        expect(await outcome(bench, 'opaque', null)).toBe(
          'keys_unavailable: the realm could not be asked about the token',
        );
      }
    }
  });

  it('is refused when its session has ended', async () => {
    const bench = benchWith(introspecting());
    bench.control.onIntrospect = () => Promise.resolve({ ...keycloakClaims(), sid: 'session-1' });
    expect(await outcome(bench, 'opaque')).toMatchObject({ username: 'alice' });
    const revocations = [{ sid: 'session-1', sub: null, before: NOW, forgetAt: NOW + 1 }];
    bench.authenticator.apply([introspecting({ revocations })]);
    expect(await outcome(bench, 'opaque')).toBe('token_revoked: the session has ended');
  });

  it('is no longer known when its realm stops introspecting', async () => {
    const bench = benchWith(introspecting());
    bench.control.onIntrospect = () => Promise.resolve(keycloakClaims());
    expect(await outcome(bench, 'opaque')).toMatchObject({ username: 'alice' });
    bench.authenticator.apply([realmWith([rsa])]);
    expect(await outcome(bench, 'opaque')).toBe('token_invalid: the token is not a signed JWT');
  });

  it('with characters that no token has is not shown to the realm', async () => {
    const bench = benchWith(introspecting());
    for (const token of ['a b', 'a\nb', 'a,b', 'a"b', '']) {
      expect(await outcome(bench, token)).toMatch(/^token_invalid/);
    }
    expect(bench.control.introspections).toEqual([]);
  });

  it('waits for no more than a bounded number of others', async () => {
    const bench = benchWith(introspecting());
    const { promise, resolve } = Promise.withResolvers<null>();
    bench.control.onIntrospect = () => promise;
    const flood = Array.from({ length: 300 }, (_, index) => outcome(bench, `opaque${index}`));
    expect(await flood[299]).toMatch(/^overloaded/);
    expect(bench.control.introspections).toHaveLength(16);
    resolve(null);
    const results = await Promise.all(flood);
    expect(results.filter((result) => result === 'token_invalid: the token is not active')).toHaveLength(
      16 + 256,
    );
  });
});

describe('a lightweight token', () => {
  const light = { sub: undefined, realm_access: undefined, preferred_username: undefined };

  it('is completed by the realm after its own checks', async () => {
    const bench = benchWith(introspecting());
    bench.control.onIntrospect = () => Promise.resolve(keycloakClaims());
    const token = await sign(rsa, light);
    expect(await outcome(bench, token)).toMatchObject({
      username: 'alice',
      groups: ['offline_access', 'default-roles-demo'],
    });
    expect(bench.control.introspections).toEqual([{ realm: 'demo', token }]);
    await outcome(bench, token);
    expect(bench.control.introspections).toHaveLength(1);
    bench.setNow(NOW + 30_000);
    await outcome(bench, token);
    expect(bench.control.introspections).toHaveLength(2);
  });

  it('is not shown to the realm when anything about it is wrong', async () => {
    const bench = benchWith(introspecting());
    const stray = await makeKey('RS256', 'rsa');
    expect(await outcome(bench, await sign(stray, light))).toBe('token_invalid: the signature is wrong');
    expect(await outcome(bench, await sign(rsa, { ...light, exp: 1 }))).toMatch(/^token_expired/);
    expect(bench.control.introspections).toEqual([]);
  });

  it('keeps what its signature covers, whatever the realm adds', async () => {
    const bench = benchWith(introspecting());
    bench.control.onIntrospect = () =>
      Promise.resolve({ ...keycloakClaims(), exp: NOW / 1000 + 9_999, azp: 'other' });
    expect(await outcome(bench, await sign(rsa, light))).toMatchObject({
      notAfter: NOW + 330_000,
      clients: new Set(['account', 'istio']),
    });
  });

  it('is refused when the realm says that it is not active, or names no subject', async () => {
    const bench = benchWith(introspecting());
    expect(await outcome(bench, await sign(rsa, light))).toBe('token_invalid: the token is not active');
    bench.control.onIntrospect = () => Promise.resolve({ ...keycloakClaims(), sub: undefined });
    expect(await outcome(bench, await sign(rsa, light))).toBe('token_invalid: the subject is missing');
  });

  it('dies with its key like any other', async () => {
    const bench = benchWith(introspecting());
    bench.control.onIntrospect = () => Promise.resolve(keycloakClaims());
    const token = await sign(rsa, light);
    expect(await outcome(bench, token)).toMatchObject({ username: 'alice' });
    const next = await makeKey('RS256', 'next');
    bench.authenticator.apply([{ ...realmWith([next]), introspectionCache: 30_000 }]);
    expect(await outcome(bench, token)).toBe('token_invalid: the key is not known');
  });
});
