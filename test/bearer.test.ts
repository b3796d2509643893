import { describe, expect, it } from 'vitest';
import { isB64Token, readBearer } from '../src/bearer.ts';
import { Refusal } from '../src/errors.ts';

function codeOf(read: () => unknown): string {
  try {
    return `read ${JSON.stringify(read())}`;
  } catch (error) {
    if (error instanceof Refusal) return error.code;
    throw error;
  }
}

describe('readBearer', () => {
  it.each([
    ['Bearer abc', 'abc'],
    ['bearer abc', 'abc'],
    ['BEARER abc', 'abc'],
    ['bEaReR    abc', 'abc'],
    ['Bearer a.b-c_d~e+f/g==', 'a.b-c_d~e+f/g=='],
  ])('takes the token out of %j', (authorization, token) => {
    expect(readBearer(authorization, 100)).toBe(token);
  });

  it.each(['', ' ', 'Bearer', 'Bearer ', 'Bearer    ', 'Bearer\tabc', 'Bearer\t abc', 'Bearer: abc'])(
    'refuses the malformed credential %j',
    (authorization) => {
      expect(codeOf(() => readBearer(authorization, 100))).toBe('token_invalid');
    },
  );

  it.each(['abc', 'eyJhbGciOiJSUzI1NiJ9.e30.c2ln', 'Bearer\u00a0abc', ' Bearer abc', 'Basic', 'Negotiate '])(
    'refuses %j, which is no credential of any scheme',
    (authorization) => {
      expect(codeOf(() => readBearer(authorization, 100))).toBe('token_invalid');
    },
  );

  it.each([
    'Basic YWxpY2U6YWxpY2U=',
    'DPoP abc',
    'Negotiate abc',
    'Digest abc',
    'Hawk12 abc',
    'BearerToken abc',
    'Bear abc',
  ])('CVE-2026-47673: a credential of another scheme, as %j, is no bearer token', (authorization) => {
    expect(codeOf(() => readBearer(authorization, 100))).toBe('token_missing');
  });

  it('refuses a token of more than the bytes allowed, and no shorter one', () => {
    expect(readBearer(`Bearer ${'a'.repeat(100)}`, 100)).toHaveLength(100);
    expect(codeOf(() => readBearer(`Bearer ${'a'.repeat(101)}`, 100))).toBe('token_invalid');
  });

  it('stays fast for a hostile header of many spaces', () => {
    // Quadratic work on 4 MB would outlast the test's time limit.
    const spaces = ' '.repeat(4_000_000);
    expect(codeOf(() => readBearer(`Bearer${spaces}`, 100))).toBe('token_invalid');
    expect(codeOf(() => readBearer(`Basic${spaces}`, 100))).toBe('token_invalid');
  });
});

describe('isB64Token', () => {
  it.each(['abc', 'a.b.c', '-._~+/', 'abc==', '0'])('takes %j', (token) => {
    expect(isB64Token(token)).toBe(true);
  });

  it.each(['', '=', 'a=b', 'a b', '\ta', 'a\n', 'a,b', 'a"b', 'a;b', 'ä', 'a\u0000'])(
    'refuses %j',
    (token) => {
      expect(isB64Token(token)).toBe(false);
    },
  );
});
