import { beforeAll, describe, expect, it } from 'vitest';
import type { Refusal } from '../../src/errors.ts';
import type { SigningKey } from './token-fixtures.ts';
import { ISSUER, NOW, benchWith, makeKey, outcome, realmWith, sign } from './token-fixtures.ts';

const UNAVAILABLE = 'keys_unavailable: the keys of the realm are not available';

let rsa: SigningKey;
let next: SigningKey;
let ec: SigningKey;

beforeAll(async () => {
  rsa = await makeKey('RS256', 'rsa');
  next = await makeKey('RS256', 'next');
  ec = await makeKey('ES256', 'ec');
});

describe('a token without kid', () => {
  it('is checked with the only key that fits its algorithm', async () => {
    const bench = benchWith(realmWith([rsa, ec]));
    expect(await outcome(bench, await sign(rsa, {}, { kid: undefined }))).toMatchObject({
      username: 'alice',
    });
    expect(await outcome(bench, await sign(ec, {}, { kid: undefined }))).toMatchObject({
      username: 'alice',
    });
  });

  it('is refused where two keys fit, or none does', async () => {
    const bench = benchWith(realmWith([rsa, next], { cooldownUntil: 0 }));
    for (const key of [rsa, ec]) {
      expect(await outcome(bench, await sign(key, {}, { kid: undefined }))).toBe(
        'token_invalid: the token does not name its key',
      );
    }
    expect(bench.control.refreshes).toEqual([]);
  });

  it.each([null, 1, ['rsa'], {}])('is no token whose kid is %j', async (kid) => {
    const bench = benchWith(realmWith([rsa]));
    expect(await outcome(bench, await sign(rsa, {}, { kid }))).toBe(
      'token_invalid: the key id is not a string',
    );
  });
});

describe('an unknown key id', () => {
  it('is refused at once during the cool-down', async () => {
    const bench = benchWith(realmWith([rsa], { cooldownUntil: NOW + 1 }));
    expect(await outcome(bench, await sign(next))).toBe('token_invalid: the key is not known');
    expect(bench.control.refreshes).toEqual([]);
  });

  it('makes one fetch after the cool-down for all that wait, and the newer set counts', async () => {
    const bench = benchWith(realmWith([rsa], { cooldownUntil: NOW }));
    const { promise, resolve } = Promise.withResolvers<undefined>();
    bench.control.onRefresh = () => promise;
    const third = await makeKey('RS256', 'third');
    const waiting = [
      outcome(bench, await sign(next, { sub: 'a' })),
      outcome(bench, await sign(next, { sub: 'b' })),
      outcome(bench, await sign(third)),
    ];
    bench.authenticator.apply([realmWith([rsa, next])]);
    resolve(undefined);
    expect(await Promise.all(waiting)).toMatchObject([
      { subject: 'a' },
      { subject: 'b' },
      'token_invalid: the key is not known',
    ]);
    expect(bench.control.refreshes).toEqual(['demo']);
  });

  it('waits for a fetch under way, although its start began a new cool-down', async () => {
    const bench = benchWith(realmWith([rsa], { cooldownUntil: NOW }));
    const { promise, resolve } = Promise.withResolvers<undefined>();
    bench.control.onRefresh = () => promise;
    const first = outcome(bench, await sign(next, { sub: 'a' }));
    bench.authenticator.apply([realmWith([rsa], { cooldownUntil: NOW + 30_000 })]);
    const second = outcome(bench, await sign(next, { sub: 'b' }));
    bench.authenticator.apply([realmWith([rsa, next], { cooldownUntil: NOW + 30_000 })]);
    resolve(undefined);
    expect(await first).toMatchObject({ subject: 'a' });
    expect(await second).toMatchObject({ subject: 'b' });
    expect(bench.control.refreshes).toEqual(['demo']);
  });

  it('asks for the realm of the token and for no other', async () => {
    const other = realmWith([], { name: 'other', issuers: ['https://other.example'], cooldownUntil: 0 });
    const bench = benchWith(other, realmWith([rsa], { cooldownUntil: 0 }));
    expect(await outcome(bench, await sign(next), null)).toBe('token_invalid: the key is not known');
    expect(bench.control.refreshes).toEqual(['demo']);
  });

  it('says nothing of the token when the fetch fails', async () => {
    const bench = benchWith(realmWith([rsa], { cooldownUntil: NOW }));
    bench.control.onRefresh = () => Promise.reject(new Error('no answer'));
    expect(await outcome(bench, await sign(next))).toBe(UNAVAILABLE);
  });

  it('is not looked for where the token is refused anyway', async () => {
    const bench = benchWith(realmWith([rsa], { cooldownUntil: 0, clients: ['istio'] }));
    for (const claims of [{ exp: 1 }, { iss: 'x' }, { azp: 'x', aud: 'x' }, { typ: 'ID' }]) {
      await outcome(bench, await sign(next, claims));
    }
    expect(await outcome(bench, await sign(ec, {}, { kid: 'rsa' }))).toBe(
      'token_invalid: the algorithm does not fit the key',
    );
    expect(bench.control.refreshes).toEqual([]);
  });
});

describe('a realm without keys', () => {
  it('gives 503 to a token of its issuer, with the seconds to wait', async () => {
    const bench = benchWith(realmWith([], { cooldownUntil: NOW + 4_200 }));
    const token = await sign(rsa);
    const authenticate = () => bench.authenticator.authenticate(token, 'demo');
    expect(authenticate()).toEqual(
      expect.objectContaining({ code: 'keys_unavailable', retryAfter: 5 }) as Refusal,
    );
    bench.setNow(NOW + 60_000);
    expect(authenticate()).toEqual(
      expect.objectContaining({ code: 'keys_unavailable', retryAfter: 1 }) as Refusal,
    );
  });

  it('gives 401 to what would be refused with any keys', async () => {
    const bench = benchWith(realmWith([]));
    expect(await outcome(bench, await sign(rsa, { exp: 1 }))).toMatch(/^token_expired/);
    for (const token of [
      await sign(rsa, { iss: 'x' }),
      await sign(rsa, { typ: 'Refresh' }),
      await sign(rsa, {}, { alg: 'none' }),
      await sign(rsa, {}, { crit: ['x'] }),
      'a.b.c',
      'opaque',
    ]) {
      expect(await outcome(bench, token)).toMatch(/^token_invalid/);
    }
  });

  it('gives 503 for any issuer while its own is not known, but 401 to a malformed token', async () => {
    const bench = benchWith(realmWith([], { issuers: [] }));
    for (const realm of ['demo', null]) {
      expect(await outcome(bench, await sign(rsa), realm)).toBe(UNAVAILABLE);
      for (const token of [
        'a.b.c',
        'opaque',
        await sign(rsa, { iss: ['x'] }),
        await sign(rsa, {}, { alg: 'HS256' }),
      ]) {
        expect(await outcome(bench, token, realm)).toMatch(/^token_invalid/);
      }
    }
  });

  it('does not keep a token of another realm from being checked', async () => {
    const unknown = realmWith([], { name: 'unknown', issuers: [] });
    const bench = benchWith(unknown, realmWith([rsa]));
    expect(await outcome(bench, await sign(rsa), null)).toMatchObject({ realm: 'demo' });
    expect(await outcome(bench, await sign(rsa, { iss: 'https://other.example' }), null)).toBe(UNAVAILABLE);
    expect(await outcome(bench, await sign(rsa, { iss: 'https://other.example' }), 'demo')).toBe(
      'token_invalid: the issuer is not accepted',
    );
  });

  it('is also one that no snapshot named yet', async () => {
    const bench = benchWith(realmWith([rsa]));
    expect(await outcome(bench, await sign(rsa), 'coming')).toMatch(/^keys_unavailable/);
  });
});

describe('two realms', () => {
  it('of one issuer are told apart by what the route demands', async () => {
    const strict = realmWith([rsa], { name: 'strict', clients: ['admin-cli'] });
    const bench = benchWith(realmWith([rsa]), strict);
    const token = await sign(rsa);
    expect(await outcome(bench, token, 'demo')).toMatchObject({ realm: 'demo' });
    expect(await outcome(bench, token, 'strict')).toBe('token_invalid: the client is not accepted');
    expect(await outcome(bench, token, 'demo')).toMatchObject({ realm: 'demo' });
    expect(await outcome(bench, token, null)).toMatchObject({ realm: 'demo' });
  });

  it('accept every issuer that they list', async () => {
    const second = 'http://keycloak:8080/auth/realms/demo';
    const bench = benchWith(realmWith([rsa], { issuers: [ISSUER, second] }));
    expect(await outcome(bench, await sign(rsa))).toMatchObject({ realm: 'demo' });
    expect(await outcome(bench, await sign(rsa, { iss: second }))).toMatchObject({ realm: 'demo' });
  });
});
