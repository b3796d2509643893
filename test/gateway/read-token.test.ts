import { describe, expect, it } from 'vitest';
import { Refusal } from '../../src/errors.ts';
import { readWebSocketToken } from '../../src/gateway/read-token.ts';

function codeOf(read: () => unknown): string {
  try {
    return `read ${JSON.stringify(read())}`;
  } catch (error) {
    if (error instanceof Refusal) return error.code;
    throw error;
  }
}

describe('readWebSocketToken', () => {
  const prefix = 'base64url.bearer.authorization.k8s.io.';
  const offer = prefix + Buffer.from('a.b.c').toString('base64url');

  it('finds nothing where no subprotocol carries a token', () => {
    expect(readWebSocketToken('chat, superchat', 100)).toBeNull();
    expect(readWebSocketToken('', 100)).toBeNull();
    expect(readWebSocketToken(`x-${offer}`, 100)).toBeNull();
  });

  it('takes the token and leaves the other subprotocols in their order', () => {
    expect(readWebSocketToken(`chat, ${offer},superchat`, 100)).toEqual({
      token: 'a.b.c',
      remaining: 'chat, superchat',
    });
  });

  it('leaves no list where the token was its only element', () => {
    expect(readWebSocketToken(offer, 100)).toEqual({ token: 'a.b.c', remaining: null });
    expect(readWebSocketToken(` , ${offer} ,`, 100)).toEqual({ token: 'a.b.c', remaining: null });
  });

  it('refuses two subprotocols that carry a token, even the same one', () => {
    expect(codeOf(() => readWebSocketToken(`${offer}, chat, ${offer}`, 100))).toBe('token_invalid');
  });

  it.each(['', '=', 'YQ==', 'YR', 'a', 'Y Q', 'YQ+', 'YWI/', 'YQ\u00e4'])(
    'refuses the wrong encoding %j',
    (encoded) => {
      expect(codeOf(() => readWebSocketToken(`chat, ${prefix}${encoded}`, 100))).toBe('token_invalid');
    },
  );

  it('refuses a token of more than the bytes allowed, and no shorter one', () => {
    const list = (length: number) => prefix + Buffer.from('a'.repeat(length)).toString('base64url');
    expect(readWebSocketToken(list(100), 100)?.token).toHaveLength(100);
    expect(codeOf(() => readWebSocketToken(list(101), 100))).toBe('token_invalid');
  });
});
