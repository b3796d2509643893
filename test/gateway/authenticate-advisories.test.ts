import { createHmac, createPublicKey } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { Refusal } from '../../src/errors.ts';
import type { SigningKey } from './token-fixtures.ts';
import {
  ISSUER,
  benchWith,
  encode,
  keycloakClaims,
  makeKey,
  outcome,
  realmWith,
  sign,
  signText,
} from './token-fixtures.ts';

const OTHER_ISSUER = 'https://services.example.com/auth/realms/other';

let rsa: SigningKey;
/** Published without `alg`, as RFC 7517 allows. */
let bare: SigningKey;

beforeAll(async () => {
  rsa = await makeKey('RS256', 'rsa');
  bare = await makeKey('RS256', 'bare', { publishAlg: false });
});

function hmacToken(secret: string | Buffer, kid: string, alg: string): string {
  const input = `${encode(JSON.stringify({ alg, typ: 'JWT', kid }))}.${encode(JSON.stringify(keycloakClaims()))}`;
  const mac = createHmac(`sha${alg.slice(2)}`, secret).update(input);
  return `${input}.${mac.digest('base64url')}`;
}

/** Every text that a verifier might take a public key for when it needs a secret. */
function secretsOf(key: SigningKey): (string | Buffer)[] {
  const publicKey = createPublicKey({ key: { ...key.jwk }, format: 'jwk' });
  const spki = publicKey.export({ type: 'spki', format: 'pem' });
  const pkcs1 = publicKey.export({ type: 'pkcs1', format: 'pem' });
  return ['', spki, spki.trim(), `\n${spki}`, ` ${pkcs1}`, pkcs1, JSON.stringify(key.jwk), key.jwk.n ?? ''];
}

describe('token advisories', () => {
  it.each(['HS256', 'HS384', 'HS512'])(
    'CVE-2026-34950, CVE-2026-39999: the public key is no secret for %s, however it is written',
    async (alg) => {
      const bench = benchWith(realmWith([rsa, bare], { algorithms: ['RS256', alg] }));
      for (const key of [rsa, bare]) {
        for (const secret of secretsOf(key)) {
          expect(await outcome(bench, hmacToken(secret, key.jwk.kid, alg))).toBe(
            'token_invalid: the algorithm is not accepted',
          );
        }
      }
    },
  );

  it('CVE-2026-22817: the header does not choose how a key without alg is used', async () => {
    const ec = await makeKey('ES256', 'ec', { publishAlg: false });
    const bench = benchWith(realmWith([bare, ec], { algorithms: ['RS256', 'ES256'] }));
    expect(await outcome(bench, await sign(bare))).toMatchObject({ username: 'alice' });
    const refused = 'token_invalid: the algorithm does not fit the key';
    expect(await outcome(bench, await sign(ec, {}, { kid: 'bare' }))).toBe(refused);
    expect(await outcome(bench, await sign(bare, {}, { kid: 'ec' }))).toBe(refused);
    const pss = await sign({ ...bare, alg: 'PS256' });
    expect(await outcome(bench, pss)).toBe('token_invalid: the algorithm is not accepted');
  });

  it.each([
    [['urn:example:mfa'], { 'urn:example:mfa': true }],
    [['exp'], { exp: 1 }],
    [['b64'], { b64: true }],
    [[], {}],
    ['', {}],
    [null, {}],
  ])('CVE-2026-35042: a token with crit %j is refused', async (crit, extension) => {
    const bench = benchWith(realmWith([rsa]));
    expect(await outcome(bench, await sign(rsa, {}, { crit, ...extension }))).toBe(
      'token_invalid: critical header parameters are not accepted',
    );
  });

  it('CVE-2026-35039: no two tokens share a cache entry, however alike they are', async () => {
    const bench = benchWith(realmWith([rsa]));
    const tokens = await Promise.all(
      Array.from({ length: 50 }, (_, index) => sign(rsa, { sub: `user-${index}`, jti: 'same', sid: 'same' })),
    );
    for (const pass of ['verified', 'cached']) {
      for (const [index, token] of tokens.entries()) {
        expect([pass, await outcome(bench, token)]).toMatchObject([pass, { subject: `user-${index}` }]);
      }
    }
    expect(bench.authenticator.stats()).toMatchObject({ valid: 50, valid_cached: 50, entries: 50 });
    // The same header and payload under a signature that is not theirs.
    const [first = '', second = ''] = tokens;
    const mixed = first.slice(0, first.lastIndexOf('.')) + second.slice(second.lastIndexOf('.'));
    expect(await outcome(bench, mixed)).toBe('token_invalid: the signature is wrong');
  });

  it.each([[[ISSUER]], [[ISSUER, OTHER_ISSUER]], [[OTHER_ISSUER, ISSUER]], [{ 0: ISSUER }], [null], [true]])(
    'CVE-2025-30144: iss %j, which is not a string, is refused',
    async (iss) => {
      const bench = benchWith(realmWith([rsa]));
      expect(await outcome(bench, await sign(rsa, { iss }))).toBe(
        'token_invalid: the issuer is not a string',
      );
    },
  );

  it('CVE-2025-46647: a key that two issuers share does not make a token of one good for the other', async () => {
    const demo = realmWith([rsa]);
    const other = realmWith([rsa], { name: 'other', issuers: [OTHER_ISSUER] });
    const bench = benchWith(demo, other);
    const token = await sign(rsa);
    const refused = 'token_invalid: the issuer is not accepted';
    expect(await outcome(bench, token, 'other')).toBe(refused);
    expect(await outcome(bench, token, 'demo')).toMatchObject({ realm: 'demo' });
    expect(await outcome(bench, token, 'other')).toBe(refused);
    expect(await outcome(bench, token, null)).toMatchObject({ realm: 'demo' });
  });

  it('CVE-2025-46647: what introspection says of another issuer does not count', async () => {
    const bench = benchWith(realmWith([rsa], { introspectionCache: 30_000 }));
    bench.control.onIntrospect = () => Promise.resolve({ ...keycloakClaims(), iss: OTHER_ISSUER });
    expect(await outcome(bench, 'opaque')).toBe('token_invalid: the issuer is not accepted');
  });

  it.each(['demo', null])(
    'CVE-2021-21378: a token of an unknown issuer counts as a wrong one, not as none (realm %j)',
    async (realm) => {
      const bench = benchWith(realmWith([rsa]));
      for (const iss of ['https://evil.example', '', `${ISSUER}/`, ISSUER.toUpperCase(), `${ISSUER}\u0000`]) {
        expect(await outcome(bench, await sign(rsa, { iss }), realm)).toBe(
          'token_invalid: the issuer is not accepted',
        );
      }
      expect(await outcome(bench, await sign(rsa, { iss: undefined }), realm)).toMatch(/^token_invalid/);
    },
  );

  it('CVE-2025-64527: a failed key fetch costs the tokens that waited for it, and nothing else', async () => {
    const bench = benchWith(realmWith([rsa], { cooldownUntil: 0 }));
    const { promise, reject } = Promise.withResolvers<undefined>();
    bench.control.onRefresh = () => promise;
    const stray = await makeKey('RS256', 'stray');
    const tokens = [await sign(stray), await sign(stray, { sub: 'other' }), await sign(stray)];
    const waiting = tokens.map((token) => outcome(bench, token));
    expect(await outcome(bench, await sign(rsa))).toMatchObject({ username: 'alice' });
    reject(new Error('connection refused'));
    for (const result of await Promise.all(waiting)) expect(result).toMatch(/^keys_unavailable/);
    expect(bench.control.refreshes).toEqual(['demo']);

    bench.control.onRefresh = () => {
      bench.authenticator.apply([realmWith([rsa, stray])]);
      return Promise.resolve();
    };
    expect(await outcome(bench, tokens[0] ?? '')).toMatchObject({ username: 'alice' });
  });

  it.each(['ID', 'Refresh', 'Offline', 'Logout', 'DPoP', 'bearer', 'BEARER', '', null, ['Bearer'], true])(
    'a refresh or ID token as bearer: typ %j is refused',
    async (typ) => {
      const bench = benchWith(realmWith([rsa]));
      expect(await outcome(bench, await sign(rsa, { typ }))).toBe(
        'token_invalid: the token is not an access token',
      );
    },
  );

  it.each(['logout+jwt', 'dpop+jwt', 'secevent+jwt', 'JOSE', '', null, 1, ['JWT']])(
    'a logout token or a proof as bearer: header typ %j is refused',
    async (typ) => {
      const bench = benchWith(realmWith([rsa]));
      expect(await outcome(bench, await sign(rsa, {}, { typ }))).toBe(
        'token_invalid: the header type is not accepted',
      );
    },
  );

  it('a refresh token of Keycloak, signed with a secret of the realm, is refused', async () => {
    const bench = benchWith(realmWith([rsa], { introspectionCache: 30_000 }));
    expect(await outcome(bench, hmacToken('a secret of the realm', 'rsa', 'HS512'))).toMatch(
      /^token_invalid/,
    );
    expect(bench.control.introspections).toEqual([]);
  });

  it.each(['none', 'None', 'NONE', 'nOnE', '', 'RS256 ', 'rs256', null, ['RS256'], { alg: 'RS256' }])(
    'alg %j is refused',
    async (alg) => {
      const bench = benchWith(
        realmWith([rsa], { algorithms: ['none', 'None', 'NONE', 'nOnE', '', 'RS256'] }),
      );
      const token = await sign(rsa, {}, { alg });
      expect(await outcome(bench, token)).toBe('token_invalid: the algorithm is not accepted');
      const unsigned = token.slice(0, token.lastIndexOf('.') + 1);
      expect(await outcome(bench, unsigned)).toMatch(/^token_invalid/);
    },
  );

  it('a key that the token itself brings is not used', async () => {
    const bench = benchWith(realmWith([rsa], { cooldownUntil: 0 }));
    const evil = await makeKey('RS256', 'rsa');
    for (const header of [
      { jwk: evil.jwk },
      { jku: 'http://127.0.0.1:9/keys' },
      { x5u: 'http://127.0.0.1:9/cert' },
      { x5c: ['MIIB'] },
    ]) {
      expect(await outcome(bench, await sign(evil, {}, header))).toBe(
        'token_invalid: the signature is wrong',
      );
    }
    expect(bench.control.refreshes).toEqual([]);
  });

  it.each(['{"b64":false}', '{"b64":true}'])('an unencoded payload (%s) is refused', async (extra) => {
    const bench = benchWith(realmWith([rsa]));
    const header = JSON.parse(extra) as Record<string, unknown>;
    expect(await outcome(bench, await sign(rsa, {}, header))).toBe(
      'token_invalid: an unencoded payload is not accepted',
    );
  });

  it('CVE-2022-21449: an ECDSA signature of zeros is refused', async () => {
    const ec = await makeKey('ES256', 'ec');
    const bench = benchWith(realmWith([ec]));
    const token = await sign(ec);
    const zeros = token.slice(0, token.lastIndexOf('.') + 1) + encode(new Uint8Array(64));
    expect(await outcome(bench, zeros)).toBe('token_invalid: the signature is wrong');
  });

  it('an encrypted token is not taken for a signed one', async () => {
    const bench = benchWith(realmWith([rsa]));
    expect(await outcome(bench, 'eyJhbGciOiJSU0EtT0FFUCJ9.a.b.c.d')).toBe(
      'token_invalid: the token is not a signed JWT',
    );
  });

  it('a member named twice is refused, in every spelling', async () => {
    const bench = benchWith(realmWith([rsa]));
    const header = '{"alg":"RS256","typ" : "JWT","kid" : "rsa"}';
    const claims = JSON.stringify(keycloakClaims());
    expect(await outcome(bench, await signText(rsa, header, claims))).toMatchObject({ username: 'alice' });
    const headers = ['{"alg":"none",' + header.slice(1), '{"\\u0061lg":"none",' + header.slice(1)];
    for (const twice of headers) {
      expect(await outcome(bench, await signText(rsa, twice, claims))).toBe(
        'token_invalid: the header names a member twice',
      );
    }
    for (const twice of [
      '{"sub":"admin",' + claims.slice(1),
      claims.replace('"realm_access":{', '"realm_access":{"roles":["admin"],'),
    ]) {
      expect(await outcome(bench, await signText(rsa, header, twice))).toBe(
        'token_invalid: the payload names a member twice',
      );
    }
    const escapes = JSON.stringify({
      ...keycloakClaims(),
      name: '\\',
      other: '\\"sub',
      'na"me': 1,
      sub2: '\\\\',
    });
    expect(await outcome(bench, await signText(rsa, header, escapes))).toMatchObject({ username: 'alice' });
    const braces = JSON.stringify({
      ...keycloakClaims(),
      name: '"sub":{"[',
      nested: { sub: [{ sub: '}' }] },
    });
    expect(await outcome(bench, await signText(rsa, header, braces))).toMatchObject({ username: 'alice' });
  });

  it('no refusal repeats any part of the token', async () => {
    const bench = benchWith(realmWith([rsa]));
    const secret = 'x9Kq2';
    const wrong = [
      await sign(rsa, { iss: secret }),
      await sign(rsa, { typ: secret }),
      await sign(rsa, {}, { kid: secret }),
      await sign(rsa, {}, { alg: secret }),
      await sign(rsa, {}, { typ: secret }),
      `${secret}.${secret}.${secret}`,
      secret,
    ];
    for (const token of wrong) {
      const error = await Promise.resolve()
        .then(() => bench.authenticator.authenticate(token, 'demo'))
        .catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(Refusal);
      expect((error as Refusal).message).not.toContain(secret);
      // RFC 6750 section 3: what may stand in error_description.
      expect((error as Refusal).message).toMatch(/^[\x20\x21\x23-\x5b\x5d-\x7e]+$/);
    }
  });
});
