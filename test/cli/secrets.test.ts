import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { scratch } from '../config/support.ts';
import { startPlatform } from './support/platform.ts';

function file(name: string, content: string | Buffer): string {
  const path = join(scratch(), name);
  writeFileSync(path, content);
  return path;
}

test('set takes values from files, standard input and the command line; they never come out', async () => {
  const { control, run } = await startPlatform();
  const written: unknown[] = [];
  const put = control.putSecret.bind(control);
  control.putSecret = (name, body, actor) => {
    written.push(body);
    return put(name, body, actor);
  };
  const key = file('id_ed25519', 'PRIVATE\nKEY\n');
  const args = [
    '--from-file',
    `ssh-key=${key}`,
    '--from-file',
    key,
    '--from-stdin',
    'a',
    '--from-literal',
    'b=x=y',
  ];
  const set = await run(['secrets', 'set', 'deploy', ...args], 'hunter2\n');
  expect(set).toEqual({ code: 0, out: 'deploy is set: a, b, id_ed25519, ssh-key\n', err: '' });
  expect(written).toEqual([
    { data: { 'ssh-key': 'PRIVATE\nKEY\n', id_ed25519: 'PRIVATE\nKEY\n', a: 'hunter2', b: 'x=y' } },
  ]);
  const list = (await run(['secrets', 'list'])).out;
  expect(list).toMatch(/^deploy +a, b, id_ed25519, ssh-key +\d+s ago +admin$/m);
  const show = (await run(['secrets', 'show', 'deploy'])).out;
  expect(show).toMatch(/^Keys: +a, b, id_ed25519, ssh-key$/m);
  const json = (await run(['secrets', 'list', '--json'])).out;
  expect(JSON.parse(json)).toMatchObject({ items: [{ name: 'deploy' }] });
  expect(list + show + json).not.toMatch(/PRIVATE|hunter2|x=y/);
});

test('delete deletes, and keeps one that is used', async () => {
  const { add, run } = await startPlatform();
  await run(['secrets', 'set', 'free', '--from-literal', 'k=v']);
  await run(['secrets', 'set', 'used', '--from-literal', 'k=v']);
  await add('web', { secrets: ['used'] });
  expect(await run(['secrets', 'delete', 'free'])).toEqual({ code: 0, out: 'free is deleted\n', err: '' });
  const { code, err } = await run(['secrets', 'delete', 'used']);
  expect({ code, err }).toEqual({
    code: 1,
    err: 'realmgate secrets delete: A current service uses the secret\n',
  });
});

test.each([
  [64, ['--from-literal', 'hunter2'], '--from-literal takes KEY=VALUE'],
  [64, ['--from-literal', 'k=hunter2', '--from-stdin', 'k'], 'the key k is given twice'],
  [64, ['--from-literl', 'k=hunter2'], 'there is no option --from-literl; did you mean --from-literal?'],
  [64, ['hunter2', '--from-literal', 'k=hunter2'], 'only NAME is taken'],
  [64, [], '--from-file, --from-stdin or --from-literal is missing'],
  [1, ['--from-stdin', 'k'], 'no value came for k'],
  [1, ['--from-file', 'k=/nowhere/key'], 'the file /nowhere/key cannot be read (ENOENT)'],
])('a mistake is told without the value: exit %i for %j', async (code, args, message) => {
  const { run } = await startPlatform();
  const finished = await run(['secrets', 'set', 'name', ...args]);
  expect(finished).toMatchObject({ code, out: '' });
  expect(finished.err).toContain(message);
  expect(finished.err).not.toContain('hunter2');
});

test('a file that is no text is refused', async () => {
  const { run } = await startPlatform();
  const path = file('key.bin', Buffer.from([0xff, 0xfe, 0x00]));
  const { code, err } = await run(['secrets', 'set', 'name', '--from-file', `k=${path}`]);
  expect(code).toBe(1);
  expect(err).toContain('is not UTF-8 text');
});
