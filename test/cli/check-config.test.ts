import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkConfig } from '../../src/cli/check-config.ts';
import { UsageError } from '../../src/cli/verb.ts';
import { REALM, scratch } from '../config/support.ts';

async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  let out = '';
  let err = '';
  const code = await checkConfig.run(args, { out: (text) => (out += text), err: (text) => (err += text) });
  return { code, out, err };
}

function fileWith(text: string): string {
  const file = join(scratch(), 'realmgate.yaml');
  writeFileSync(file, text);
  return file;
}

test('a valid file is summed up in one line', async () => {
  const file = fileWith(`${REALM}gateway: {listen: "[::1]:8443"}\n`);
  const summary = `${file} is valid: 0 routes, 1 realm, gateway on [::1]:8443, admin on 127.0.0.1:8081\n`;
  expect(await run(file)).toEqual({ code: 0, out: summary, err: '' });
  expect(await run('--config', file)).toEqual({ code: 0, out: summary, err: '' });
  expect(await run(`--config=${file}`)).toEqual({ code: 0, out: summary, err: '' });
});

test('every fault is a line on standard error, and the code is 64', async () => {
  const file = fileWith(`${REALM}gateway: {workers: 0}\nadmin: {lissten: x}\n`);
  expect(await run(file)).toEqual({
    code: 64,
    out: '',
    err:
      `${file}:2:20: gateway.workers: 0 is not auto or a whole number from 1 to 1024\n` +
      `${file}:3:9: admin: "lissten" is not a key here; did you mean listen?\n`,
  });
});

test.each([[[]], [['']], [['a', 'b']], [['a', '--config', 'b']], [['--config']], [['--unknown', 'a']]])(
  'the arguments %j are wrong usage',
  async (args) => {
    await expect(run(...args)).rejects.toBeInstanceOf(UsageError);
  },
);
