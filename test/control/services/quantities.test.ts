import { expect, test } from 'vitest';
import { cpuFault, memoryFault, parseCpu, parseMemory } from '../../../src/control/services/quantities.ts';

test.each([
  ['2', 2],
  ['0.5', 0.5],
  ['500m', 0.5],
  ['1500m', 1.5],
  ['0.001', 0.001],
])('%s are %d cores', (text, cores) => {
  expect(parseCpu(text)).toBeCloseTo(cores, 9);
  expect(cpuFault(text)).toBeNull();
});

test.each([
  ['2097152', 2 ** 21],
  ['512Mi', 512 * 2 ** 20],
  ['1Gi', 2 ** 30],
  ['1.5Gi', 1.5 * 2 ** 30],
  ['128M', 128_000_000],
  ['2048k', 2_048_000],
  ['1.0000001Mi', 1_048_577],
])('%s is %d bytes', (text, bytes) => {
  expect(parseMemory(text)).toBe(bytes);
  expect(memoryFault(text)).toBeNull();
});

test('amounts that nothing can run with, or that are mistakes, are told', () => {
  expect(cpuFault('0')).toBe('it is less than 1m');
  expect(cpuFault('0.5m')).toBe('it is less than 1m');
  expect(cpuFault('9999')).toBe('it is more than 4096 cores');
  expect(memoryFault('512')).toBe('it is less than 1Mi, since it has no unit');
  expect(memoryFault('4Ki')).toBe('it is less than 1Mi');
  expect(memoryFault('99999Pi')).toBe('it is more than there is');
});
