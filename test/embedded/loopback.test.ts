import { expect, test } from 'vitest';
import { isLoopback, resolveLoopback } from '../../src/embedded/loopback.ts';

test.each(['127.0.0.1', '127.255.0.9', '::1', '::ffff:127.0.0.1'])('%s is a loopback address', (address) => {
  expect(isLoopback(address)).toBe(true);
});

test.each(['128.0.0.1', '0.0.0.0', '::', '::ffff:10.0.0.1', 'localhost', '127.0.0.1.example', '127.1', ''])(
  '%j is no loopback address',
  (address) => {
    expect(isLoopback(address)).toBe(false);
  },
);

const answering =
  (...addresses: string[]) =>
  () =>
    Promise.resolve(addresses.map((address) => ({ address })));

test('a name is bound by the address that it led to', async () => {
  expect(await resolveLoopback('box.example', answering('127.0.0.1', '::1'))).toBe('127.0.0.1');
});

test('a name that leads anywhere else too is refused, and so is one that leads nowhere', async () => {
  await expect(resolveLoopback('box.example', answering('127.0.0.1', '192.0.2.1'))).rejects.toThrow(
    'box.example (192.0.2.1) is not one',
  );
  await expect(resolveLoopback('box.example', answering())).rejects.toThrow('loopback addresses only');
  await expect(resolveLoopback('box.example', () => Promise.reject(new Error('ENOTFOUND')))).rejects.toThrow(
    'cannot be resolved',
  );
});
