import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished, test, vi } from 'vitest';
import { ROOT, runRealmgate } from '../run-realmgate.ts';
import { Captured, startPlatform } from '../support/platform.ts';

test('prints the lines, or the last of them', async () => {
  const { control, add, run } = await startPlatform();
  await add('web');
  control.append('web', 'one', 'two – zwei', 'three');
  expect(await run(['services', 'logs', 'web'])).toEqual({
    code: 0,
    out: 'one\ntwo – zwei\nthree\n',
    err: '',
  });
  expect((await run(['services', 'logs', 'web', '--tail', '2'])).out).toBe('two – zwei\nthree\n');
  expect((await run(['services', 'logs', 'web', '-n', '0'])).out).toBe('');
  expect(await run(['services', 'logs', 'web', '--tail', 'x'])).toMatchObject({ code: 64 });
});

test('a replica may be named as the events name it', async () => {
  const { control, add, run } = await startPlatform();
  const { id } = await add('web');
  control.happen('web', 'exited', 'It ended', {}, `${id}-1-2`);
  expect((await run(['services', 'events', 'web'])).out).toMatch(/ exited +\[1-2\] It ended$/m);
  const logs = vi.spyOn(control, 'logs');
  for (const given of ['1-2', `${id}-1-2`, 'other'])
    await run(['services', 'logs', 'web', '--replica', given]);
  expect(logs.mock.calls.map(([, query]) => query.replica)).toEqual([`${id}-1-2`, `${id}-1-2`, 'other']);
});

test('follows until Ctrl-C, and ends with 0', async () => {
  const { control, add, begin } = await startPlatform();
  await add('web');
  control.append('web', 'one');
  const child = begin(['services', 'logs', 'web', '-f']);
  const [out, err] = [new Captured(child.stdout), new Captured(child.stderr)];
  await out.until('one\n');
  control.append('web', 'two');
  await out.until('two\n');
  child.kill('SIGINT');
  expect((await once(child, 'close'))[0]).toBe(0);
  expect({ out: out.text, err: err.text }).toEqual({ out: 'one\ntwo\n', err: '' });
  await expect.poll(() => control.readers).toBe(0);
});

/** What the pipeline `realmgate services COMMAND | READER` prints, and how it ended. */
async function piped(url: string, command: string, reader: string): Promise<[string, string]> {
  const line = `"${process.execPath}" src/launch.js services ${command} | ${reader}; echo "\${PIPESTATUS[0]}"`;
  const shell = spawn('bash', ['-c', line], {
    cwd: ROOT,
    env: { ...process.env, REALMGATE_TOKEN: 'admin', REALMGATE_ADMIN_URL: url },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void shell.kill('SIGKILL'));
  return Promise.all([text(shell.stdout), text(shell.stderr)]);
}

test('ends quietly when its reader has seen enough', async () => {
  const { control, add, url } = await startPlatform();
  await add('web');
  control.append('web', 'one', 'two');
  const lines = setInterval(() => control.append('web', 'more'), 20);
  onTestFinished(() => clearInterval(lines));
  expect(await piped(url, 'logs web -f', 'head -1')).toEqual(['one\n0\n', '']);
});

test('a slow reader gets every line, whether they come one by one or all at once', async () => {
  const { control, add, url } = await startPlatform();
  await add('web');
  for (let i = 0; i < 20_000; i++) control.append('web', 'x'.repeat(49));
  // Longer than the program runs, were it not to wait.
  expect(await piped(url, 'logs web', '(sleep 2; wc -c)')).toEqual(['1000000\n0\n', '']);
  control.happen('web', 'exited', 'It ended', { lastLines: Array<string>(20_000).fill('x'.repeat(49)) });
  expect(await piped(url, 'events web --json', '(sleep 2; grep -c xxx)')).toEqual(['20000\n0\n', '']);
});

test('tells what broke when the connection does in the middle', async () => {
  const server = createServer((request, response) => {
    if (request.url?.includes('/logs') !== true) response.end(JSON.stringify({ id: 'x' }));
    else response.write('one\n', () => response.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const args = ['services', 'logs', 'web', '-f', '--admin-url', url];
  const { code, out, err } = await runRealmgate(args, ROOT, { REALMGATE_TOKEN: 'admin' });
  expect({ code, out, err }).toEqual({
    code: 1,
    out: 'one\n',
    err: `realmgate services logs: cannot reach the admin API at ${url}: the connection was closed before an answer came\n`,
  });
});
