import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';

import { describe, expect, onTestFinished, test } from 'vitest';

import { failuresOf, runLoadTest } from '../../bench/quick/run.ts';
import { localTarget, ownTarget } from '../../bench/quick/target.ts';
import { Workspace } from '../../bench/support/workspace.ts';

const TOKEN = 'eyJhbGciOiJub25lIn0.c2VjcmV0.c2lnbmF0dXJl';

const script = fileURLToPath(new URL('../../bench/main.ts', import.meta.url));

function run(
  args: string[],
  env: NodeJS.ProcessEnv = {},
): Promise<{ code: unknown; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [script, ...args], { env: { ...process.env, ...env } }, (error, out, err) =>
      resolve({ code: error?.code ?? 0, out, err }),
    );
  });
}

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('npm run bench', () => {
  test('calls the URL with the token of the environment, and prints a table without it', async () => {
    const tokens = new Set<string | undefined>();
    const url = await serve((request, response) => {
      tokens.add(request.headers.authorization);
      response.end('ok');
    });
    const { code, out, err } = await run(
      ['--url', `${url}/a?key=hidden`, '--seconds', '1', '--connections', '2'],
      { REALMGATE_BENCH_TOKEN: TOKEN },
    );

    expect(code).toBe(0);
    expect([...tokens]).toEqual([`Bearer ${TOKEN}`]);
    for (const row of [
      'requests/s',
      'latency p50',
      'latency p90',
      'latency p99',
      'latency max',
      'bytes',
      'non-2xx',
    ]) {
      expect(out).toContain(`| ${row}`);
    }
    expect(out + err).not.toContain(TOKEN);
    expect(out + err).not.toContain('hidden');
  });

  test('exits 1 and says why when an answer is not 2xx', async () => {
    let answered = 0;
    const url = await serve((_request, response) => {
      response.statusCode = ++answered === 3 ? 401 : 200;
      response.end();
    });
    const { code, err } = await run(['--url', url, '--token', TOKEN, '--seconds', '1', '--connections', '2']);

    expect(code).toBe(1);
    expect(err).toContain('1 answers were 401');
    expect(err).not.toContain(TOKEN);
  });

  test('exits 1 when connections break', async () => {
    const url = await serve((request) => void request.socket.destroy());
    const { code, err } = await run(['--url', url, '--seconds', '1', '--connections', '2']);

    expect(code).toBe(1);
    expect(err).toContain('nothing was answered');
  });

  test.each([
    [[TOKEN]],
    [['--tokn', TOKEN]],
    [['--token', TOKEN]],
    [['--url', 'ftp://127.0.0.1/', '--token', TOKEN]],
    [['--url', `http://alice:${TOKEN}@127.0.0.1/`]],
    [['--url', 'http://127.0.0.1/', '--token', `${TOKEN}\r\nx: y`]],
    [['--seconds', '0']],
    [['--connections', 'many']],
  ])('wrong usage %# exits 64 with one line that repeats no token', async (args) => {
    const { code, out, err } = await run(args);

    expect({ code, out }).toEqual({ code: 64, out: '' });
    expect(err.trim().split('\n')).toHaveLength(1);
    expect(err).not.toContain('eyJ');
  });
});

describe('a gateway of its own', () => {
  test('answers every request of the load', async () => {
    const workspace = new Workspace();
    onTestFinished(() => workspace.close());
    const target = await ownTarget(workspace);
    const seconds: number[] = [];

    const result = await runLoadTest(target, {
      ...{ seconds: 2, connections: 4 },
      onSecond: (second) => void seconds.push(second),
    });

    expect(failuresOf(result)).toEqual([]);
    expect(result.requests).toBeGreaterThan(0);
    expect(seconds[0]).toBe(1);
  }, 120_000);

  test('is found when it runs, with a token from it', async () => {
    const workspace = new Workspace();
    onTestFinished(() => workspace.close());
    const { url } = await ownTarget(workspace);

    const target = await localTarget(new URL(url).origin);

    expect(target!.url).toBe(url);
    const token = await target!.token();
    expect((await fetch(url, { headers: { authorization: `Bearer ${token!.value}` } })).status).toBe(200);
  }, 120_000);

  test('what answers differently is not taken for it', async () => {
    const url = await serve((_request, response) => response.end('something else'));

    expect(await localTarget(url)).toBe(null);
  });

  test('one that does not know the user is told, with what to do', async () => {
    const url = await serve((request, response) => {
      response.writeHead(request.method === 'POST' ? 404 : 401, {
        'content-type': 'application/problem+json',
      });
      response.end('{"code":"token_missing"}');
    });

    await expect(localTarget(url)).rejects.toThrow('give --url and a token');
  });
});

describe('a token that ends during the run', () => {
  test('is replaced in time', async () => {
    const tokens: string[] = [];
    const url = await serve((request, response) => {
      const token = request.headers.authorization ?? '';
      if (tokens.at(-1) !== token) tokens.push(token);
      response.end();
    });
    let issued = 0;

    await runLoadTest(
      {
        ...{ url, description: '' },
        token: () => Promise.resolve({ value: `token-${++issued}`, life: 1 }),
      },
      { seconds: 2, connections: 1, onSecond: () => undefined },
    );

    expect(tokens.slice(0, 3)).toEqual(['Bearer token-1', 'Bearer token-2', 'Bearer token-3']);
  });
});
