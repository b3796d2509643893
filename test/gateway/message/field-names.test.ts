import { expect, test } from 'vitest';
import { fieldName, NO_BYTES, withByte } from '../../../src/gateway/message/field-names.ts';

function read(name: string, hash = hashOf(name)): string {
  const bytes = Buffer.from(`: ${name}: x`, 'latin1');
  return fieldName(bytes, 2, 2 + name.length, hash, bytes.toString('latin1', 1), 1);
}

const hashOf = (name: string) => Buffer.from(name, 'latin1').reduce(withByte, NO_BYTES);

test('a name is what its bytes say, the first time and every other time', () => {
  const names = ['Date', 'date', 'Content-Length', 'constructor', '__proto__', '42', 'x'.repeat(64)];
  for (const name of [...names, ...names]) expect(read(name)).toBe(name);
});

test('names in the same slot are told apart', () => {
  for (const name of ['Server', 'Etag', 'Server', 'Serves', 'server', 'Serve', 'Server']) {
    expect(read(name, 7)).toBe(name);
  }
});

test('a name that is longer than any in use is read as well', () => {
  const long = 'x'.repeat(10_000);
  for (const name of [long, `${long}y`, long]) expect(read(name)).toBe(name);
});
