import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { MAX_KEYS, usableKeys } from '../../src/realm/jwks.ts';
import { ecKey } from './support.ts';

const rsaJwk = (modulusLength: number, publicExponent = 0x10001) =>
  generateKeyPairSync('rsa', { modulusLength, publicExponent }).publicKey.export({ format: 'jwk' });
const rsa = { ...rsaJwk(2048), kid: 'rsa' };
const ec = ecKey('ec').jwk;
const ed = { ...generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }), kid: 'ed', alg: 'EdDSA' };

const kids = (...keys: unknown[]) => usableKeys({ keys }).keys.map(({ kid }) => kid);

describe('a key set', () => {
  it('keeps RSA, EC and Ed25519 signing keys, with their public members only', () => {
    const { keys, skipped } = usableKeys({ keys: [{ ...rsa, use: 'sig', x5c: ['AA=='], x5t: 'a' }, ec, ed] });
    expect(keys).toEqual([
      { kty: 'RSA', n: rsa.n, e: rsa.e, kid: 'rsa' },
      { kty: 'EC', crv: 'P-256', x: ec['x'], y: ec['y'], kid: 'ec', alg: 'ES256' },
      { kty: 'OKP', crv: 'Ed25519', x: ed.x, kid: 'ed', alg: 'EdDSA' },
    ]);
    expect(skipped).toEqual([]);
  });

  it("loses nothing by Keycloak's encryption key (caddy-security#170)", () => {
    expect(kids({ ...rsa, kid: 'enc', use: 'enc', alg: 'RSA-OAEP' }, ec)).toEqual(['ec']);
    expect(kids({ ...rsa, kid: 'enc', use: 'enc' }, { ...rsa, kid: 'odd', use: ['sig'] }, ec)).toEqual([
      'ec',
    ]);
    expect(kids({ ...rsa, kid: 'enc', alg: 'RSA-OAEP' }, ec)).toEqual(['ec']);
    expect(kids({ ...rsa, kid: 'enc', key_ops: ['encrypt'] }, { ...ec, key_ops: ['verify'] })).toEqual([
      'ec',
    ]);
  });

  it('skips unknown types and curves one by one', () => {
    const x448 = generateKeyPairSync('ed448').publicKey.export({ format: 'jwk' });
    const k256 = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey.export({ format: 'jwk' });
    const x25519 = generateKeyPairSync('x25519').publicKey.export({ format: 'jwk' });
    expect(kids({ kty: 'AKP', kid: 'future' }, x448, k256, x25519, { ...ec, crv: '__proto__' }, ed)).toEqual([
      'ed',
    ]);
  });

  it('skips private and symmetric material', () => {
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const lost = { ...pair.privateKey.export({ format: 'jwk' }), kid: 'lost' };
    expect(kids(lost, { kty: 'oct', k: 'c2VjcmV0', kid: 'hmac' }, ec)).toEqual(['ec']);
    expect(JSON.stringify(usableKeys({ keys: [lost] }))).not.toContain(lost.d);
  });

  it('skips what is malformed', () => {
    expect(
      kids(
        null,
        'key',
        [],
        {},
        { ...ec, x: undefined },
        { ...ec, x: ec['y'] },
        { ...ec, x: 7 },
        { ...rsa, n: 'a+/=' },
        { ...rsa, kid: 7 },
        { ...rsa, kid: 'k'.repeat(1025) },
        { ...rsa, alg: 7 },
        { ...ec, kid: 'good' },
      ),
    ).toEqual(['good']);
  });

  it('skips an algorithm that does not fit the key', () => {
    expect(kids({ ...rsa, alg: 'HS256' }, { ...rsa, alg: 'ES256' }, { ...ec, alg: 'ES384' }, ec)).toEqual([
      'ec',
    ]);
  });

  it('skips RSA keys under 2048 bits and with an exponent of 1', () => {
    expect(kids({ ...rsaJwk(1024), kid: 'small' }, { ...rsa, kid: 'one', e: 'AQ' }, rsa)).toEqual(['rsa']);
  });

  it('is bounded', () => {
    const many = Array.from({ length: MAX_KEYS + 50 }, (_, index) => ({ ...ec, kid: `k${index}` }));
    expect(usableKeys({ keys: many }).keys).toHaveLength(MAX_KEYS);
  });

  it('must be one', () => {
    for (const set of [null, [], 'x', {}, { keys: {} }, { keys: 'x' }]) {
      expect(() => usableKeys(set)).toThrow('not a JWK set');
    }
  });
});
