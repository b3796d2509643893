import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';

const directory = new URL('../../config/examples/hello/', import.meta.url).pathname;

async function start() {
  const child = spawn('bash', ['run.sh'], { cwd: directory, env: { ...process.env, PORT: '0' } });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const [, address] = /(127\.0\.0\.1:\d+)/.exec(line.toString()) ?? [];
  return { child, url: `http://${address!}` };
}

test('the example greets the caller that the gateway names', async () => {
  const { url } = await start();
  const headers = { 'x-forwarded-preferred-username': 'alice' };
  const response = await fetch(`${url}/some/path?query=1`, { headers });
  expect(await response.json()).toEqual({ greeting: 'Hello, alice!', user: 'alice', path: '/some/path' });
  expect(await (await fetch(url)).json()).toMatchObject({ greeting: 'Hello, stranger!', user: null });
});

test('the example streams events and ends at SIGTERM in the middle of one', async () => {
  const { child, url } = await start();
  const response = await fetch(`${url}/events`);
  expect(response.headers.get('content-type')).toBe('text/event-stream');
  const reader = response.body!.getReader();
  const first = await reader.read();
  expect(Buffer.from(first.value).toString()).toMatch(/^data: \d{4}-.*\n\n$/);
  const second = await reader.read();
  expect(second.done).toBe(false);
  child.kill('SIGTERM');
  const [code] = (await once(child, 'exit')) as [number | null];
  expect(code).toBe(0);
});
