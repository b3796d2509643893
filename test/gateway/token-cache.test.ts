import { describe, expect, it } from 'vitest';
import { principalFromClaims } from '../../src/realm/claims.ts';
import { TokenCache } from '../../src/gateway/token-cache.ts';
import type { VerifiedToken } from '../../src/gateway/token-cache.ts';
import { keycloakClaims } from './token-fixtures.ts';

function entry(token: string, claims: Record<string, unknown> = {}): VerifiedToken {
  const principal = principalFromClaims('demo', { ...keycloakClaims(), ...claims }, 0);
  return { token, principal, validUntil: principal.notAfter, key: null, rules: {}, revision: 0 };
}

describe('TokenCache', () => {
  it('finds an entry by the whole token only', () => {
    const cache = new TokenCache(100_000);
    const one = entry('a.b.c');
    cache.set(one);
    expect(cache.get('a.b.c')).toBe(one);
    for (const other of ['a.b.', 'a.b.cc', 'A.b.c', 'b.c', '']) expect(cache.get(other)).toBeUndefined();
    cache.delete(one);
    expect(cache.get('a.b.c')).toBeUndefined();
    expect([cache.size, cache.bytes]).toEqual([0, 0]);
  });

  it('takes no token for another that has its length and its end, and keeps the later one', () => {
    const cache = new TokenCache(100_000);
    const [one, other] = ['x', 'y'].map((start) => entry(`${start}${'z'.repeat(400)}`));
    cache.set(one!);
    expect(cache.get(other!.token)).toBeUndefined();
    expect(cache.get(one!.token)).toBe(one);
    cache.set(other!);
    expect(cache.get(one!.token)).toBeUndefined();
    expect(cache.get(other!.token)).toBe(other);
    expect(cache.size).toBe(1);
  });

  it('stays within its bytes, and lets the least recently used go first', () => {
    const cache = new TokenCache(40_000);
    const name = (index: number) => `${'x'.repeat(1000)}${index}`;
    for (let index = 0; index < 50; index++) {
      cache.set(entry(name(index)));
      expect(cache.get(name(0))).toBeDefined();
      expect(cache.bytes).toBeLessThanOrEqual(40_000);
    }
    expect(cache.size).toBeGreaterThan(5);
    expect(cache.get(name(49))).toBeDefined();
    expect(cache.get(name(1))).toBeUndefined();
  });

  it.each([
    ['realm roles', (names: string[]) => ({ realm_access: { roles: names } })],
    ['client roles', (names: string[]) => ({ resource_access: { a: { roles: names } } })],
    ['clients', (names: string[]) => ({ resource_access: {}, aud: names })],
    ['scopes', (names: string[]) => ({ scope: names.join(' ') })],
  ])('counts more %s as more', (_what, claims) => {
    const cache = new TokenCache(100_000);
    cache.set(entry('a'));
    const before = cache.bytes;
    const names = Array.from({ length: 100 }, (_, index) => String(index));
    cache.set(entry('b', claims(names)));
    expect(cache.bytes - before).toBeGreaterThan(before + 4_000);
  });

  it('counts a longer token as more', () => {
    const cache = new TokenCache(100_000);
    cache.set(entry('x'));
    const small = cache.bytes;
    cache.set(entry('y'.repeat(10_000)));
    expect(cache.bytes - small).toBeGreaterThan(10_000);
  });
});
