import { execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, onTestFinished, test } from 'vitest';

import { WORKER_FLAGS } from '../../src/control/worker-process.ts';
import { temporaryFolder } from '../app/serve-process.ts';

/** Differs where V8 does not take code that was compiled without the flags. */
const TAG = "process.getBuiltinModule('node:v8').cachedDataVersionTag()";

const PROGRAM = `
process.on('message', () => process.send([typeof globalThis.gc, ${TAG}]));
process.send([typeof globalThis.gc, ${TAG}]);
`;

function tagOf(...flags: string[]): string {
  return execFileSync(process.execPath, [...flags, '-p', TAG], { encoding: 'utf8' });
}

test('a worker loads with flags for which Node brings compiled code', () => {
  expect(tagOf(...WORKER_FLAGS)).toBe(tagOf());
  expect(tagOf('--expose-gc')).not.toBe(tagOf()); // so this would be seen
});

test('the first message sets what its requests need', async () => {
  const program = join(temporaryFolder(), 'program.mjs');
  writeFileSync(program, PROGRAM);
  const child = fork(program, { execArgv: [...WORKER_FLAGS] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [loaded] = (await once(child, 'message')) as [[string, number]];
  expect(loaded[0]).toBe('undefined');
  child.send('start');
  const [started] = (await once(child, 'message')) as [[string, number]];
  expect(started[0]).toBe('function');
  expect(started[1]).not.toBe(loaded[1]);
});
