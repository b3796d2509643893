import { constants, KeyObject, randomBytes, sign as signRaw, type SigningOptions } from 'node:crypto';
import { exportJWK } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { hostileTokens, HOSTILE_KINDS } from '../../bench/support/hostile-tokens.ts';
import { newSigningKey } from '../../bench/support/tokens.ts';
import type { PublicJwk } from '../../src/contracts/snapshot.ts';
import { signedBytes, splitJwt } from '../../src/gateway/compact-jwt.ts';
import { TokenRefusal } from '../../src/gateway/token-refusal.ts';
import { VerificationKey } from '../../src/gateway/verification-keys.ts';
import {
  ALGORITHMS,
  encode,
  joseAccepts,
  makeKey,
  sign,
  signText,
  type SigningKey,
} from './token-fixtures.ts';

/** The gateway's verdict on the signature alone, on the event loop's thread and in the pool: they have to agree. */
async function gatewayAccepts(token: string, jwk: PublicJwk, alg: string): Promise<boolean> {
  const key = new VerificationKey(jwk);
  const verifier = key.fits(alg) ? await key.verifierFor(alg) : null;
  if (verifier === null) return false;
  const signed = signedBytes(token, splitJwt(token));
  if (signed instanceof TokenRefusal) return false;
  const { input, signature } = signed;
  const good = verifier.verify(input, signature);
  expect(await verifier.verifyInPool(Buffer.from(input), Buffer.from(signature))).toBe(good);
  return good;
}

const keys = new Map<string, SigningKey>();
const others = new Map<string, SigningKey>();

beforeAll(async () => {
  for (const alg of ALGORITHMS) {
    keys.set(alg, await makeKey(alg, 'one'));
    others.set(alg, await makeKey(alg, 'one'));
  }
});

/** A token of which the signature is replaced. */
function withSignature(token: string, change: (signature: Buffer) => Uint8Array): string {
  const dot = token.lastIndexOf('.');
  return `${token.slice(0, dot + 1)}${encode(change(Buffer.from(token.slice(dot + 1), 'base64url')))}`;
}

function withoutAlg(jwk: PublicJwk): PublicJwk {
  const bare: { alg?: string } & PublicJwk = { ...jwk };
  delete bare.alg;
  return bare;
}

/** Every way of spoiling a signature that needs no key. */
const CHANGES: Readonly<Record<string, (signature: Buffer) => Uint8Array>> = {
  none: (signature) => signature,
  'first bit': (signature) => Buffer.concat([Buffer.from([signature[0]! ^ 0x80]), signature.subarray(1)]),
  'last bit': (signature) => Buffer.concat([signature.subarray(0, -1), Buffer.from([signature.at(-1)! ^ 1])]),
  'last byte missing': (signature) => signature.subarray(0, -1),
  'first byte missing': (signature) => signature.subarray(1),
  'half missing': (signature) => signature.subarray(0, signature.length / 2),
  'one byte': (signature) => signature.subarray(0, 1),
  'zero byte in front': (signature) => Buffer.concat([Buffer.alloc(1), signature]),
  'zero byte behind': (signature) => Buffer.concat([signature, Buffer.alloc(1)]),
  twice: (signature) => Buffer.concat([signature, signature]),
  'all zero': (signature) => Buffer.alloc(signature.length),
  'all ones': (signature) => Buffer.alloc(signature.length, 0xff),
  'halves swapped': (signature) =>
    Buffer.concat([signature.subarray(signature.length / 2), signature.subarray(0, signature.length / 2)]),
  'half zero': (signature) =>
    Buffer.concat([Buffer.alloc(signature.length / 2), signature.subarray(0, signature.length / 2)]),
  random: (signature) => randomBytes(signature.length),
  'much too long': (signature) => Buffer.alloc(100 * signature.length, 1),
};

describe.each(ALGORITHMS)('a signature with %s', (alg) => {
  it.each(Object.keys(CHANGES))('is judged as jose judges it: %s', async (change) => {
    const { jwk } = keys.get(alg)!;
    const token = withSignature(await sign(keys.get(alg)!), CHANGES[change]!);
    const good = await joseAccepts(token, jwk, alg);
    expect(good).toBe(change === 'none');
    expect(await gatewayAccepts(token, jwk, alg)).toBe(good);
  });

  it('is judged as jose judges it by another key, by another algorithm, and with another algorithm in the header', async () => {
    const verdicts: boolean[] = [];
    const token = await sign(keys.get(alg)!);
    for (const other of ALGORITHMS) {
      const relabelled = await sign(keys.get(alg)!, {}, { alg: other });
      const anonymous = withoutAlg(keys.get(alg)!.jwk);
      const trials: [string, PublicJwk, string][] = [
        [token, others.get(other)!.jwk, other],
        [token, others.get(other)!.jwk, alg],
        [relabelled, anonymous, other],
      ];
      for (const [text, jwk, by] of trials) {
        const good = await joseAccepts(text, jwk, by);
        expect([by, await gatewayAccepts(text, jwk, by)]).toEqual([by, good]);
        verdicts.push(good);
      }
    }
    // Only under its own name with its own key, of all of them.
    expect(verdicts.filter(Boolean)).toHaveLength(1);
  });

  it('is judged as jose judges it over any header and payload', async () => {
    const key = keys.get(alg)!;
    const header = JSON.stringify({ alg });
    for (const payload of ['', '{}', 'é', '\u0000', ' '.repeat(100_000)]) {
      const token = await signText(key, header, payload);
      expect(await joseAccepts(token, key.jwk, alg)).toBe(true);
      expect(await gatewayAccepts(token, key.jwk, alg)).toBe(true);
      const moved = token.replace('.', 'A.');
      expect(await gatewayAccepts(moved, key.jwk, alg)).toBe(await joseAccepts(moved, key.jwk, alg));
    }
  });
});

const PSS = constants.RSA_PKCS1_PSS_PADDING;
const PKCS1 = constants.RSA_PKCS1_PADDING;

describe('what a signature scheme leaves open', () => {
  function tokenWith(key: SigningKey, digest: string, options: SigningOptions): string {
    const input = `${encode(JSON.stringify({ alg: key.alg }))}.${encode('{}')}`;
    const signature = signRaw(digest, Buffer.from(input), {
      key: KeyObject.from(key.privateKey),
      ...options,
    });
    return `${input}.${encode(signature)}`;
  }

  it.each([
    ['ES256', 'the form of X.509', { dsaEncoding: 'der' }, 'sha256', false],
    ['ES256', 'the form of JWS', { dsaEncoding: 'ieee-p1363' }, 'sha256', true],
    ['ES256', 'another digest', { dsaEncoding: 'ieee-p1363' }, 'sha384', false],
    ['ES384', 'another digest', { dsaEncoding: 'ieee-p1363' }, 'sha256', false],
    ['ES512', 'the form of X.509', { dsaEncoding: 'der' }, 'sha512', false],
    ['PS256', 'no salt', { padding: PSS, saltLength: 0 }, 'sha256', false],
    ['PS256', 'a salt of 20 bytes', { padding: PSS, saltLength: 20 }, 'sha256', false],
    ['PS256', 'a salt of 32 bytes', { padding: PSS, saltLength: 32 }, 'sha256', true],
    ['PS256', 'the longest salt', { padding: PSS, saltLength: 222 }, 'sha256', false],
    ['PS512', 'the salt of PS256', { padding: PSS, saltLength: 32 }, 'sha512', false],
    ['PS256', 'the padding of RS256', { padding: PKCS1 }, 'sha256', false],
    ['RS256', 'the padding of PS256', { padding: PSS, saltLength: 32 }, 'sha256', false],
    ['RS256', 'another digest', { padding: PKCS1 }, 'sha512', false],
    ['RS256', 'SHA-1', { padding: PKCS1 }, 'sha1', false],
    ['RS256', 'its own', { padding: PKCS1 }, 'sha256', true],
  ] as const)('%s with %s', async (alg, _name, options, digest, good) => {
    const key = keys.get(alg)!;
    const text = tokenWith(key, digest, options);
    expect(await joseAccepts(text, key.jwk, alg)).toBe(good);
    expect(await gatewayAccepts(text, key.jwk, alg)).toBe(good);
  });
});

describe('a key', () => {
  it.each([1024, 2040, 2047, 2048, 3072])('of RSA with %i bits is used as jose uses it', async (bits) => {
    const pair = await crypto.subtle.generateKey(
      {
        name: 'RSASSA-PKCS1-v1_5',
        hash: 'SHA-256',
        modulusLength: bits,
        publicExponent: new Uint8Array([1, 0, 1]),
      },
      true,
      ['sign', 'verify'],
    );
    const jwk = (await exportJWK(pair.publicKey)) as PublicJwk;
    const key: SigningKey = { alg: 'RS256', privateKey: pair.privateKey, jwk: { ...jwk, kid: 'k' } };
    const good = await joseAccepts(await sign(key), jwk, 'RS256');
    expect(good).toBe(bits >= 2048);
    expect(await gatewayAccepts(await sign(key), jwk, 'RS256')).toBe(good);
  });

  it('that is none, or not on its curve, verifies nothing and breaks nothing', async () => {
    const { jwk: ec } = keys.get('ES256')!;
    const { jwk: ed } = keys.get('EdDSA')!;
    const { jwk: rsa } = keys.get('RS256')!;
    for (const [alg, jwk] of [
      ['ES256', { ...ec, y: ec.x! }],
      ['ES256', { ...ec, x: encode(Buffer.alloc(32)), y: encode(Buffer.alloc(32)) }],
      ['ES256', { ...ec, crv: 'P-384' }],
      ['ES384', { ...ec, crv: 'P-384', alg: 'ES384' }],
      ['ES256', { kty: 'EC', crv: 'P-256' }],
      ['EdDSA', { ...ed, x: encode(Buffer.alloc(31, 1)) }],
      ['EdDSA', { ...ed, x: encode(Buffer.alloc(32)) }],
      ['EdDSA', { ...ed, crv: 'X25519' }],
      ['RS256', { ...rsa, e: '' }],
      ['RS256', { ...rsa, n: '' }],
      ['RS256', { ...rsa, n: encode(Buffer.alloc(256)) }],
      ['RS256', { ...rsa, kty: 'oct', k: rsa.n } as PublicJwk],
    ] as const satisfies [string, PublicJwk][]) {
      const token = await sign(keys.get(alg)!);
      expect([jwk, await joseAccepts(token, jwk, alg)]).toEqual([jwk, false]);
      expect([jwk, await gatewayAccepts(token, jwk, alg)]).toEqual([jwk, false]);
    }
  });

  it.each(['HS256', 'HS512', 'none', 'ES256K', 'ML-DSA-44', 'RSA1_5', '', 'toString'])(
    'has no verifier for the algorithm %j',
    (alg) => {
      for (const { jwk } of keys.values()) {
        expect(new VerificationKey(withoutAlg(jwk)).fits(alg)).toBe(false);
      }
    },
  );

  it('has one verifier for both names of Ed25519 signatures', async () => {
    const key = keys.get('EdDSA')!;
    const token = await sign(key, {}, { alg: 'Ed25519' });
    expect(await joseAccepts(token, { ...key.jwk, alg: 'Ed25519' }, 'Ed25519')).toBe(true);
    expect(await gatewayAccepts(token, key.jwk, 'Ed25519')).toBe(true);
  });
});

it.each(HOSTILE_KINDS)('hostile tokens of the kind %s are judged as jose judges them', async (kind) => {
  for (const alg of ['RS256', 'ES256', 'EdDSA'] as const) {
    const key = await newSigningKey(alg);
    for (const text of await hostileTokens(kind, key, 'https://realm.example', 8)) {
      const good = await joseAccepts(text, key.jwk, alg);
      // jose looks at the header too, and splitJwt at nothing but what `isJwtShaped` has let through.
      if (text.split('.').length !== 3 || !jsonHeaderIs(text, alg)) expect(good).toBe(false);
      else expect([kind, await gatewayAccepts(text, key.jwk as PublicJwk, alg)]).toEqual([kind, good]);
    }
  }
});

function jsonHeaderIs(token: string, alg: string): boolean {
  try {
    const header = JSON.parse(Buffer.from(token.split('.', 1)[0]!, 'base64url').toString()) as {
      alg?: string;
    };
    return header.alg === alg;
  } catch {
    return false;
  }
}
