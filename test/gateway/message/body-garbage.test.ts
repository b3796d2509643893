import { afterEach, expect, test, vi } from 'vitest';
import { bodyPassed } from '../../../src/gateway/message/body-garbage.ts';

const MIB = 1024 * 1024;

afterEach(() => void vi.unstubAllGlobals());

test('dead buffers are collected once for every 16 MiB of bodies, with a young collection', () => {
  const gc = vi.fn();
  vi.stubGlobal('gc', gc);
  for (let i = 0; i < 16 * 16 - 1; i++) bodyPassed(MIB / 16);
  expect(gc).not.toHaveBeenCalled();

  for (let i = 0; i < 32 * 16 + 1; i++) bodyPassed(MIB / 16);

  expect(gc.mock.calls).toEqual([[{ type: 'minor' }], [{ type: 'minor' }], [{ type: 'minor' }]]);
});

test('a process that cannot collect on demand goes on without', () => {
  vi.stubGlobal('gc', undefined);
  expect(() => bodyPassed(16 * MIB)).not.toThrow();
});
