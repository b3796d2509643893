import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { removeTree } from '../../../../src/control/drivers/local/run-folder.ts';
import { temporaryDirectory } from '../../git/source-repository.ts';

let directory: string;

beforeEach(() => {
  directory = join(temporaryDirectory(), 'tree');
});

afterEach(() => void vi.unstubAllEnvs());

test('what is missing or empty is removed without a process', async () => {
  vi.stubEnv('PATH', '/nowhere'); // so that none could be started
  await removeTree(directory);
  mkdirSync(directory);
  await removeTree(directory);
  expect(existsSync(directory)).toBe(false);
});

test('what is in it is removed, and nothing that a link leads to', async () => {
  const elsewhere = temporaryDirectory();
  writeFileSync(join(elsewhere, 'kept'), '');
  mkdirSync(join(directory, 'below'), { recursive: true });
  symlinkSync(elsewhere, join(directory, 'below/link'));
  await removeTree(directory);
  expect(existsSync(directory)).toBe(false);
  expect(existsSync(join(elsewhere, 'kept'))).toBe(true);
});

test('a link in its place is removed itself', async () => {
  const elsewhere = temporaryDirectory();
  symlinkSync(elsewhere, directory);
  await removeTree(directory);
  expect(existsSync(directory)).toBe(false);
  expect(existsSync(elsewhere)).toBe(true);
});
