import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { Refusal } from '../../src/errors.ts';
import { SignatureChecks } from '../../src/gateway/signature-checks.ts';
import type { SigningKey } from './token-fixtures.ts';
import {
  ALGORITHMS,
  NOW,
  benchWith,
  encode,
  makeKey,
  outcome,
  realmWith,
  sign,
  signText,
} from './token-fixtures.ts';

const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

const keys = new Map<string, SigningKey>();
let rsa: SigningKey;

beforeAll(async () => {
  for (const alg of ALGORITHMS) keys.set(alg, await makeKey(alg, `key-${alg}`));
  rsa = keys.get('RS256')!;
});

describe('signatures', () => {
  it.each(ALGORITHMS)('takes a token signed with %s, and no other algorithm of the same key', async (alg) => {
    const key = keys.get(alg)!;
    const bench = benchWith(realmWith([...keys.values()]));
    expect(await outcome(bench, await sign(key))).toMatchObject({ realm: 'demo', username: 'alice' });
    for (const other of ALGORITHMS) {
      if (other === alg) continue;
      expect(await outcome(bench, await sign(key, {}, { alg: other }))).toBe(
        'token_invalid: the algorithm does not fit the key',
      );
    }
  });

  it('refuses an algorithm that the realm does not list', async () => {
    const bench = benchWith(realmWith([...keys.values()], { algorithms: ['ES256'] }));
    expect(await outcome(bench, await sign(rsa))).toBe('token_invalid: the algorithm is not accepted');
    expect(await outcome(bench, await sign(keys.get('ES256')!))).toMatchObject({ username: 'alice' });
  });

  it('checks the curve of a key that names no algorithm', async () => {
    const p384 = await makeKey('ES384', 'ec', { publishAlg: false });
    const bench = benchWith(realmWith([p384]));
    expect(await outcome(bench, await sign(p384))).toMatchObject({ username: 'alice' });
    expect(await outcome(bench, await sign(p384, {}, { alg: 'ES256' }))).toBe(
      'token_invalid: the algorithm does not fit the key',
    );
  });

  it('takes both names of Ed25519 signatures where both are listed', async () => {
    const key = keys.get('EdDSA')!;
    const bench = benchWith(realmWith([key], { algorithms: ['EdDSA', 'Ed25519'] }));
    expect(await outcome(bench, await sign(key, {}, { alg: 'Ed25519' }))).toMatchObject({
      username: 'alice',
    });
  });

  it('refuses a token whose key another member of the set would verify', async () => {
    const twin = await makeKey('RS256', 'twin');
    const bench = benchWith(realmWith([rsa, twin]));
    expect(await outcome(bench, await sign(rsa, {}, { kid: 'twin' }))).toBe(
      'token_invalid: the signature is wrong',
    );
  });

  it('refuses a key that cannot be imported, and RSA of less than 2048 bits', async () => {
    const pair = await crypto.subtle.generateKey(
      {
        name: 'RSASSA-PKCS1-v1_5',
        hash: 'SHA-256',
        modulusLength: 1024,
        publicExponent: new Uint8Array([1, 0, 1]),
      },
      true,
      ['sign', 'verify'],
    );
    const { kty = '', n = '', e = '' } = await crypto.subtle.exportKey('jwk', pair.publicKey);
    const small: SigningKey = {
      alg: 'RS256',
      privateKey: pair.privateKey,
      jwk: { kty, n, e, kid: 'small' },
    };
    const broken: SigningKey = { ...rsa, jwk: { kty: 'RSA', n: 'AQAB', e: '', kid: 'broken' } };
    const bench = benchWith(realmWith([small, broken]));
    expect(await outcome(bench, await sign(small))).toBe('token_invalid: the key cannot be used');
    expect(await outcome(bench, await sign(broken))).toBe('token_invalid: the key cannot be used');
  });

  it.each(['RS256', 'ES256', 'EdDSA'])('refuses a good %s token after a change of any byte', async (alg) => {
    const key = keys.get(alg)!;
    const bench = benchWith(realmWith([key]));
    const token = await sign(key);
    for (let index = 0; index < token.length; index++) {
      // Only the lowest bit of the six, which a sloppy decoder ignores at a part's end; a dot becomes a letter.
      const neighbour = BASE64URL[BASE64URL.indexOf(token[index]!) ^ 1] ?? 'A';
      const changed = token.slice(0, index) + neighbour + token.slice(index + 1);
      expect([index, await outcome(bench, changed)]).toMatchObject([
        index,
        expect.stringMatching(/^token_(invalid|expired)/),
      ]);
    }
    expect(bench.authenticator.stats()).toMatchObject({ entries: 0, valid: 0 });
    expect(await outcome(bench, token)).toMatchObject({ username: 'alice' });
  });

  it('refuses a good token with anything before, after or between its parts', async () => {
    const bench = benchWith(realmWith([rsa]));
    const token = await sign(rsa);
    const [header = '', payload = '', signature = ''] = token.split('.');
    const wrong = [
      ...['=', '==', ' ', '\n', '.', '\u0000', 'A', '~', '+', '/', '%', '.A'].flatMap((extra) => [
        token + extra,
        extra + token,
        `${header}${extra}.${payload}.${signature}`,
        `${header}.${extra}${payload}.${signature}`,
        `${header}.${payload}.${extra}${signature}`,
      ]),
      '',
      '.',
      '..',
      '...',
      `${header}.${payload}`,
      `${header}.${payload}.`,
      `.${payload}.${signature}`,
      `${header}..${signature}`,
    ];
    for (const text of wrong) {
      expect([text, await outcome(bench, text)]).toEqual([text, expect.stringMatching(/^token_invalid/)]);
    }
  });

  it.each(['null', '[]', '"text"', '1', '', '{', '{"alg":"RS256"', '\ufeff{}', '{} {}', "{'a':1}"])(
    'refuses %j as a header and as a payload',
    async (text) => {
      const bench = benchWith(realmWith([rsa]));
      const header = '{"alg":"RS256","kid":"key-RS256"}';
      expect(await outcome(bench, await signText(rsa, text, '{}'))).toMatch(/^token_invalid: the header/);
      expect(await outcome(bench, await signText(rsa, header, text))).toMatch(/^token_invalid: the payload/);
    },
  );

  it('refuses text that is not UTF-8', async () => {
    const bench = benchWith(realmWith([rsa]));
    const [header = '', , signature = ''] = (await sign(rsa)).split('.');
    const payload = encode(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]));
    expect(await outcome(bench, `${header}.${payload}.${signature}`)).toBe(
      'token_invalid: the payload is not UTF-8',
    );
  });

  it.each(['at+jwt', 'AT+JWT', 'jwt', 'application/at+jwt', undefined])(
    'takes the header type %j',
    async (typ) => {
      const bench = benchWith(realmWith([rsa]));
      expect(await outcome(bench, await sign(rsa, {}, { typ }))).toMatchObject({ username: 'alice' });
    },
  );

  it('refuses the cheap faults of a flood without one signature check', async () => {
    const bench = benchWith(realmWith([rsa]));
    const stray = await makeKey('RS256', 'key-RS256');
    // A signature check would refuse each of them for the signature.
    for (const [claims, detail] of [
      [{ exp: 1 }, 'token_expired: the token has expired'],
      [{ iss: 'x' }, 'token_invalid: the issuer is not accepted'],
      [{ typ: 'ID' }, 'token_invalid: the token is not an access token'],
      [{ nbf: NOW }, 'token_invalid: the token is not valid yet'],
    ] as const) {
      expect(await outcome(bench, await sign(stray, claims))).toBe(detail);
    }
    expect(await outcome(bench, await sign(stray))).toBe('token_invalid: the signature is wrong');
  });
});

describe('claims', () => {
  const second = NOW / 1000;

  it.each([
    [{ exp: second + 1 }, 'good'],
    [{ exp: second - 29 }, 'good'],
    [{ exp: second - 30 }, 'token_expired: the token has expired'],
    [{ exp: 0 }, 'token_expired: the token has expired'],
    [{ exp: -1 }, 'token_expired: the token has expired'],
    [{ nbf: second + 30 }, 'good'],
    [{ nbf: second + 31 }, 'token_invalid: the token is not valid yet'],
    [{ iat: second + 30 }, 'good'],
    [{ iat: second + 31 }, 'token_invalid: the token was issued in the future'],
    [{ iat: undefined, nbf: undefined }, 'good'],
    [{ nbf: second + 0.5, iat: second + 0.5, exp: second + 0.5 }, 'good'],
  ])('%j, by a clock that may differ by 30 s: %s', async (claims, expected) => {
    const bench = benchWith(realmWith([rsa]));
    const result = await outcome(bench, await sign(rsa, claims));
    expect(typeof result === 'string' ? result : 'good').toBe(expected);
  });

  it.each(['exp', 'nbf', 'iat'])('refuses %s of any type but a finite number', async (claim) => {
    const bench = benchWith(realmWith([rsa]));
    for (const value of [null, '1900000000', true, [1_900_000_000], {}]) {
      expect(await outcome(bench, await sign(rsa, { [claim]: value }))).toMatch(/^token_invalid: .*number$/);
    }
    const infinite = await signText(
      rsa,
      '{"alg":"RS256","kid":"key-RS256"}',
      `{"iss":"https://services.example.com/auth/realms/demo","sub":"a",${claim === 'exp' ? '' : '"exp":1900000000,'}"${claim}":1e999}`,
    );
    expect(await outcome(bench, infinite)).toMatch(/^token_invalid: .*number$/);
  });

  it('refuses a token without exp', async () => {
    const bench = benchWith(realmWith([rsa]));
    expect(await outcome(bench, await sign(rsa, { exp: undefined }))).toBe(
      'token_invalid: the expiry is missing or not a number',
    );
  });

  it.each([
    [{ azp: 'istio' }, true],
    [{ azp: 'other' }, false],
    [{ azp: 'other', aud: 'istio' }, true],
    [{ azp: 'other', aud: ['account', 'istio'] }, true],
    [{ azp: undefined, aud: ['account', 'istio'] }, true],
    [{ azp: undefined, client_id: 'istio', aud: [] }, true],
    [{ azp: 'other', client_id: 'istio', aud: [] }, false],
    [{ azp: undefined, aud: undefined }, false],
    [{ azp: 'istio2', aud: ['xistio', 'ISTIO', 'isti'] }, false],
  ])('with clients [istio], %j is accepted: %j', async (claims, accepted) => {
    const bench = benchWith(realmWith([rsa], { clients: ['istio'] }));
    const result = await outcome(bench, await sign(rsa, claims));
    if (accepted) expect(result).toMatchObject({ username: 'alice' });
    else expect(result).toBe('token_invalid: the client is not accepted');
    expect(await outcome(benchWith(realmWith([rsa])), await sign(rsa, claims))).toMatchObject({});
  });

  it.each([
    { azp: ['istio'] },
    { azp: null },
    { azp: { istio: true } },
    { aud: { 0: 'istio' } },
    { aud: ['istio', 1] },
    { aud: [['istio']] },
    { aud: null },
    { aud: true },
  ])('refuses the wrong type in %j, whatever the realm demands', async (claims) => {
    const token = await sign(rsa, claims);
    for (const clients of [null, ['istio']]) {
      expect(await outcome(benchWith(realmWith([rsa], { clients })), token)).toMatch(/^token_invalid/);
    }
  });

  it.each([undefined, null, '', 1, ['a'], {}])('refuses the subject %j', async (sub) => {
    const bench = benchWith(realmWith([rsa]));
    expect(await outcome(bench, await sign(rsa, { sub }))).toMatch(/^token_invalid: the subject/);
  });

  it('takes a token without the claims that only Keycloak sets', async () => {
    const bench = benchWith(realmWith([rsa]));
    const claims = {
      typ: undefined,
      azp: undefined,
      aud: undefined,
      sid: undefined,
      realm_access: undefined,
    };
    expect(await outcome(bench, await sign(rsa, claims))).toMatchObject({ username: 'alice' });
  });
});

describe('the cache', () => {
  it('answers a known token at once with the same principal', async () => {
    const bench = benchWith(realmWith([rsa]));
    const token = await sign(rsa);
    const first = bench.authenticator.authenticate(token, 'demo');
    expect(first).toBeInstanceOf(Promise);
    const principal = await first;
    expect(bench.authenticator.authenticate(token, 'demo')).toBe(principal);
    expect(bench.authenticator.authenticate(token, null)).toBe(principal);
    expect(bench.authenticator.stats()).toMatchObject({
      valid: 1,
      valid_cached: 2,
      hits: 2,
      misses: 1,
      entries: 1,
    });
  });

  it('has the checks of new tokens give way to known ones', async () => {
    const gaveWay = vi.spyOn(SignatureChecks.prototype, 'giveWay');
    onTestFinished(() => gaveWay.mockRestore());
    const bench = benchWith(realmWith([rsa]));
    const token = await sign(rsa);
    await outcome(bench, token);
    expect(gaveWay).not.toHaveBeenCalled();
    await outcome(bench, token);
    expect(gaveWay).toHaveBeenCalledOnce();
  });

  it('checks a token once that several requests bring at the same time', async () => {
    const bench = benchWith(realmWith([rsa]));
    const token = await sign(rsa);
    const results = await Promise.all(Array.from({ length: 20 }, () => outcome(bench, token)));
    // One check makes one principal.
    expect(new Set(results).size).toBe(1);
    expect(bench.authenticator.stats()).toMatchObject({ valid: 20, entries: 1 });
  });

  it('refuses a known token from its exp plus the skew on', async () => {
    const bench = benchWith(realmWith([rsa]));
    const token = await sign(rsa, { exp: NOW / 1000 + 60 });
    expect(await outcome(bench, token)).toMatchObject({ notAfter: NOW + 90_000 });
    bench.setNow(NOW + 89_999);
    expect(await outcome(bench, token)).toMatchObject({ username: 'alice' });
    bench.setNow(NOW + 90_000);
    expect(await outcome(bench, token)).toBe('token_expired: the token has expired');
    expect(bench.authenticator.stats()).toMatchObject({ entries: 0, token_expired: 1 });
  });

  it('refuses a known token when its key is gone from the set, and only then', async () => {
    const other = keys.get('ES256')!;
    const bench = benchWith(realmWith([rsa, other]));
    const token = await sign(rsa);
    const principal = await outcome(bench, token);
    bench.authenticator.apply([realmWith([other, rsa])]);
    expect(bench.authenticator.authenticate(token, 'demo')).toBe(principal);
    bench.authenticator.apply([realmWith([other])]);
    expect(await outcome(bench, token)).toBe('token_invalid: the key is not known');
  });

  it('refuses a known token when another key takes the id of its own', async () => {
    const bench = benchWith(realmWith([rsa]));
    const token = await sign(rsa);
    expect(await outcome(bench, token)).toMatchObject({ username: 'alice' });
    bench.authenticator.apply([realmWith([await makeKey('RS256', rsa.jwk.kid)])]);
    expect(await outcome(bench, token)).toBe('token_invalid: the signature is wrong');
  });

  it.each([
    [{ issuers: ['https://elsewhere.example'] }, 'the issuer is not accepted'],
    [{ clients: ['other'] }, 'the client is not accepted'],
    [{ algorithms: ['ES256'] }, 'the algorithm is not accepted'],
  ])('refuses a known token when the realm changes to %j', async (changes, detail) => {
    const bench = benchWith(realmWith([rsa]));
    const token = await sign(rsa);
    expect(await outcome(bench, token)).toMatchObject({ username: 'alice' });
    bench.authenticator.apply([realmWith([rsa], changes)]);
    expect(await outcome(bench, token)).toBe(`token_invalid: ${detail}`);
  });

  it('measures a known token by a new clock skew', async () => {
    const bench = benchWith(realmWith([rsa]));
    const token = await sign(rsa, { exp: NOW / 1000 - 10 });
    expect(await outcome(bench, token)).toMatchObject({ username: 'alice' });
    bench.authenticator.apply([realmWith([rsa], { clockSkew: 5_000 })]);
    expect(await outcome(bench, token)).toBe('token_expired: the token has expired');
  });

  it('refuses a known token when its realm is gone', async () => {
    const bench = benchWith(realmWith([rsa]));
    const token = await sign(rsa);
    expect(await outcome(bench, token)).toMatchObject({ username: 'alice' });
    bench.authenticator.apply([]);
    expect(await outcome(bench, token, null)).toBe('token_invalid: the issuer is not accepted');
  });

  it('never holds a token that was refused', async () => {
    const bench = benchWith(realmWith([rsa]));
    const stray = await makeKey('RS256', rsa.jwk.kid);
    for (let index = 0; index < 20; index++) await outcome(bench, await sign(stray, { sub: `${index}` }));
    expect(bench.authenticator.stats()).toMatchObject({
      entries: 0,
      bytes: 0,
      token_invalid: 20,
      misses: 20,
    });
  });

  it('checks again what changed while a signature was checked', async () => {
    const bench = benchWith(realmWith([rsa]));
    const checking = outcome(bench, await sign(rsa));
    bench.authenticator.apply([realmWith([keys.get('ES256')!])]);
    expect(await checking).toBe('token_invalid: the key is not known');
    expect(bench.authenticator.stats()).toMatchObject({ entries: 0 });
  });
});

describe('revocation', () => {
  const none = { sid: null, sub: null, before: NOW, forgetAt: NOW + 3_600_000 };

  it.each([
    [{ ...none, sid: 'session-1' }, 'revoked'],
    [{ ...none, sub: 'alice-id' }, 'revoked'],
    [{ ...none, sid: 'session-2' }, 'good'],
    [{ ...none, sub: 'bob-id' }, 'good'],
    [{ ...none, sid: 'session-2', sub: 'alice-id' }, 'good'],
    [{ ...none, sid: 'session-1', before: NOW - 10_000 }, 'revoked'],
    [{ ...none, sid: 'session-1', before: NOW - 10_001 }, 'good'],
  ])('%j: a token of that session is %s, new and known', async (revocation, expected) => {
    const token = await sign(rsa, { sid: 'session-1', sub: 'alice-id', iat: NOW / 1000 - 10 });
    const fresh = benchWith(realmWith([rsa], { revocations: [revocation] }));
    const known = benchWith(realmWith([rsa]));
    expect(await outcome(known, token)).toMatchObject({ subject: 'alice-id' });
    known.authenticator.apply([realmWith([rsa], { revocations: [revocation] })]);
    for (const bench of [fresh, known]) {
      const result = await outcome(bench, token);
      if (expected === 'good') expect(result).toMatchObject({ subject: 'alice-id' });
      else expect(result).toBe('token_revoked: the session has ended');
    }
  });

  it('keeps the latest of two ends of a session', async () => {
    const ends = [NOW, NOW - 60_000].map((before) => ({ ...none, sid: 'session-1', before }));
    const bench = benchWith(realmWith([rsa], { revocations: ends }));
    expect(await outcome(bench, await sign(rsa, { sid: 'session-1' }))).toMatch(/^token_revoked/);
  });

  it('counts a token without iat as issued before every end', async () => {
    const bench = benchWith(realmWith([rsa], { revocations: [{ ...none, sid: 'session-1', before: 1 }] }));
    const token = await sign(rsa, { sid: 'session-1', iat: undefined });
    expect(await outcome(bench, token)).toMatch(/^token_revoked/);
  });

  it('refuses a token whose session ends while its signature is checked', async () => {
    const bench = benchWith(realmWith([rsa]));
    const checking = outcome(bench, await sign(rsa, { sid: 'session-1' }));
    bench.authenticator.apply([realmWith([rsa], { revocations: [{ ...none, sid: 'session-1' }] })]);
    expect(await checking).toBe('token_revoked: the session has ended');
  });

  it('does not tell a forger which sessions have ended', async () => {
    const bench = benchWith(realmWith([rsa], { revocations: [{ ...none, sid: 'session-1' }] }));
    const stray = await makeKey('RS256', rsa.jwk.kid);
    expect(await outcome(bench, await sign(stray, { sid: 'session-1' }))).toBe(
      'token_invalid: the signature is wrong',
    );
  });
});

describe('refusals', () => {
  it('are returned, at once where they are known at once, and are counted by code', async () => {
    const bench = benchWith(realmWith([rsa]));
    const expired = await sign(rsa, { exp: 1 });
    expect(bench.authenticator.authenticate('a b', 'demo')).toBeInstanceOf(Refusal);
    expect(bench.authenticator.authenticate('opaque', 'demo')).toBeInstanceOf(Refusal);
    expect(bench.authenticator.authenticate(expired, 'demo')).toBeInstanceOf(Refusal);
    // The first use of a key takes a while.
    const stray = await sign(await makeKey('RS256', rsa.jwk.kid));
    const shared = [stray, stray].map((token) => bench.authenticator.authenticate(token, 'demo'));
    for (const verdict of shared) {
      expect(verdict).toBeInstanceOf(Promise);
      expect(await verdict).toBeInstanceOf(Refusal);
    }
    expect(bench.authenticator.stats()).toMatchObject({ token_invalid: 4, token_expired: 1, misses: 5 });
  });

  it('answers overloaded to a new token behind too many others, and still knows the known ones', async () => {
    const bench = benchWith(realmWith([rsa]));
    const known = await sign(rsa, { sub: 'known' });
    const principal = await outcome(bench, known);
    const token = await sign(rsa);
    const forged = Array.from({ length: 1200 }, (_, index) => {
      const [header = '', , signature = ''] = token.split('.');
      const payload = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString();
      return `${header}.${encode(payload.replace('alice', `alice${index}`))}.${signature}`;
    });
    const flood = forged.map((text) => outcome(bench, text));
    await Promise.resolve();
    expect(bench.authenticator.authenticate(known, 'demo')).toBe(principal);
    const results = await Promise.all(flood);
    const refused = results.filter((result) => result === 'overloaded: too many tokens are being checked');
    // Some were checked at once.
    expect(refused.length).toBeLessThan(1200 - 1024);
    expect(refused.length).toBeGreaterThan(0);
    expect(await outcome(bench, token)).toMatchObject({ username: 'alice' });
  });
});
