import { describe, expect, it } from 'vitest';
import { principalFromClaims } from '../../src/realm/claims.ts';
import { TokenCache } from '../../src/gateway/token-cache.ts';
import type { VerifiedToken } from '../../src/gateway/token-cache.ts';
import { keycloakClaims } from './token-fixtures.ts';

function entry(): VerifiedToken {
  const principal = principalFromClaims('demo', keycloakClaims(), 0);
  return { principal, validUntil: principal.notAfter, key: null, rules: {}, revision: 0 };
}

describe('TokenCache', () => {
  it('finds an entry by the whole token only', () => {
    const cache = new TokenCache(100_000);
    const one = entry();
    cache.set('a.b.c', one);
    expect(cache.get('a.b.c')).toBe(one);
    for (const other of ['a.b.', 'a.b.cc', 'A.b.c', 'b.c', '']) expect(cache.get(other)).toBeUndefined();
    cache.delete('a.b.c');
    expect(cache.get('a.b.c')).toBeUndefined();
    expect([cache.size, cache.bytes]).toEqual([0, 0]);
  });

  it('stays within its bytes, and lets the least recently used go first', () => {
    const cache = new TokenCache(40_000);
    const name = (index: number) => `${'x'.repeat(1000)}${index}`;
    for (let index = 0; index < 50; index++) {
      cache.set(name(index), entry());
      expect(cache.get(name(0))).toBeDefined();
      expect(cache.bytes).toBeLessThanOrEqual(40_000);
    }
    expect(cache.size).toBeGreaterThan(5);
    expect(cache.get(name(49))).toBeDefined();
    expect(cache.get(name(1))).toBeUndefined();
  });

  it('counts more roles as more', () => {
    const cache = new TokenCache(100_000);
    const small = entry();
    cache.set('a', small);
    const before = cache.bytes;
    const roles = new Set(Array.from({ length: 100 }, (_, index) => `realm:${index}`));
    cache.set('b', { ...small, principal: { ...small.principal, roles } });
    expect(cache.bytes - before).toBeGreaterThan(before + 4_000);
  });

  it('counts a longer token as more', () => {
    const cache = new TokenCache(100_000);
    cache.set('x', entry());
    const small = cache.bytes;
    cache.set('y'.repeat(10_000), entry());
    expect(cache.bytes - small).toBeGreaterThan(10_000);
  });
});
