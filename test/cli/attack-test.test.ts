import { writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { RealmServer } from '../app/realm-server.ts';
import { serve } from '../app/serve-process.ts';
import { startQuickService, startService } from '../app/upstream.ts';
import { scratch } from '../config/support.ts';
import { freePort } from '../support/free-port.ts';
import { ROOT, runRealmgate } from './run-realmgate.ts';

interface Tried {
  readonly kind: string;
  readonly name: string;
  readonly expected: readonly string[];
  readonly closes: boolean;
  readonly came: string;
  readonly ok: boolean;
}

interface Report {
  readonly ok: boolean;
  readonly attacks: readonly Tried[];
  readonly leftOut: readonly string[];
}

const attack = (args: readonly string[], token = '') =>
  runRealmgate(['attack-test', ...args], ROOT, { REALMGATE_TOKEN: token });

async function startRealmgate() {
  const realm = await RealmServer.start();
  const { gateway } = await serve({
    realms: [realm.settings],
    services: { driver: 'none' },
    routes: [{ name: 'orders', endpoint: '/orders', upstream: [await startQuickService()] }],
  });
  return { gateway, token: await realm.token() };
}

/** What many write: it takes a URL apart by itself, hears half of the tokens, and passes everything on. */
async function startNaiveProxy(): Promise<string> {
  const service = await startQuickService();
  return startService((incoming, outgoing) => {
    const pathname = URL.parse(incoming.url!, 'http://proxy')?.pathname ?? '';
    if (pathname.startsWith('/orders') && !hasToken(incoming.headers.authorization)) {
      outgoing.writeHead(401, { 'www-authenticate': 'Bearer realm="demo"' }).end();
      return;
    }
    const { method, headers, url: path } = incoming;
    const passed = request(service, { method, path, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(outgoing);
    });
    passed.on('error', () => outgoing.destroy());
    incoming.pipe(passed);
  });
}

/** Looks at what a token says, and not at who signed it. */
function hasToken(authorization: string | undefined): boolean {
  const payload = authorization?.split('.')[1] ?? '';
  return Buffer.from(payload, 'base64url').toString().includes('"sub"');
}

test('Realmgate answers every attack as it should, with a token and without', async () => {
  const { gateway, token } = await startRealmgate();
  const withToken = await attack(['--url', gateway, '--path', '/orders', '--json'], token);
  const report = JSON.parse(withToken.out) as Report;
  // Also with the very code, where a gateway without codes would be let off.
  expect(report.attacks.filter(({ ok, came, expected }) => !ok || !expected.includes(came))).toEqual([]);
  expect({ ...withToken, out: '' }).toEqual({ code: 0, out: '', err: '' });
  expect(report).toMatchObject({ ok: true, leftOut: [] });
  expect(withToken.out).not.toContain(token);
  const kinds = new Set(report.attacks.map(({ kind }) => kind));
  expect(kinds).toEqual(new Set(['token', 'path', 'header', 'head', 'framing', 'body', 'realm']));
  expect(report.attacks.length).toBeGreaterThan(150);

  const without = await attack(['--url', gateway, '--path', '/orders']);
  expect({ code: without.code, err: without.err }).toEqual({ code: 0, err: '' });
  expect(without.out).toMatch(/^yes {2}token: alg none +- +401 token_invalid +401 token_invalid$/m);
  expect(without.out).toMatch(/^\d+ attacks: each was answered as it should be$/m);
  expect(without.out).toContain('Without a token, no broken bodies');
});

test('a naive proxy is shown to be one', async () => {
  const file = join(scratch(), 'token');
  writeFileSync(file, `e30.${Buffer.from('{"sub":"alice"}').toString('base64url')}.x\n`);
  const { code, out, err } = await attack([
    '--url', await startNaiveProxy(), '--path', '/orders', '--token-file', file, '--json',
  ]); // prettier-ignore
  expect({ code, err }).toEqual({ code: 1, err: '' });
  const { attacks } = JSON.parse(out) as Report;
  const cameOf = (name: string) => attacks.find((each) => each.name === name);
  expect(cameOf('no token')).toMatchObject({ came: '401', ok: true });
  expect(cameOf('alg none')).toMatchObject({ came: '200', ok: false });
  expect(cameOf('an expired token')).toMatchObject({ came: '200', ok: false });
  expect(cameOf('encoded slashes')).toMatchObject({ came: '200', ok: false });
  expect(cameOf('a longer name, without a token')).toMatchObject({ came: '401', ok: true });
  expect(cameOf('the admin API')).toMatchObject({ came: '200', ok: false });
  // Node's parser sees that itself.
  expect(cameOf('a NUL in a name')).toMatchObject({ came: '400', ok: true });
  expect(cameOf('an empty Host')).toMatchObject({ ok: false });
  expect(cameOf('two Hosts that agree')).toMatchObject({ came: '200, then 200' });
}, 60_000);

describe('where nothing can be judged', () => {
  test('a token that the path refuses is told, and nothing is attacked', async () => {
    const { gateway } = await startRealmgate();
    expect(await attack(['--url', gateway, '--path', '/orders'], 'sesame')).toEqual({
      code: 1,
      out: '',
      err:
        'realmgate attack-test: with the token, /orders answers 401: nothing could be told from what else is refused\n' +
        'Give the --path of a service, a token that may call it, or no token at all (--no-token).\n',
    });
  });

  test('a path without a service is told, where a token lets one see it', async () => {
    const { gateway, token } = await startRealmgate();
    const { code, err } = await attack(['--url', gateway], token);
    expect(code).toBe(1);
    expect(err).toContain('/hello answers 404');
  });

  test('a gateway that is not there is told', async () => {
    const url = `http://127.0.0.1:${await freePort()}`;
    const { code, out, err } = await attack(['--url', url]);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toContain(`${url}: nothing listens there`);
  });
});

test.each([
  [[], '--url URL is needed'],
  [['--url', 'http://192.0.2.1'], '--i-operate-this-gateway'],
  [['--url', 'https://services.example.com'], '--i-operate-this-gateway'],
  [['--url', 'ftp://127.0.0.1'], '--url must be'],
  [['--url', 'http://127.0.0.1/orders'], '--path'],
  [['--url', 'http://127.0.0.1', '--path', 'orders'], '--path begins with /'],
  [['--url', 'http://127.0.0.1', '--path', '/a/../b'], '--path begins with /'],
  [['--url', 'http://127.0.0.1', '--path', '/a\r\nX-A: b'], '--path begins with /'],
  [['--url', 'http://127.0.0.1', '--no-token', '--token-file', 'x'], 'exclude each other'],
  [['http://127.0.0.1'], 'only options are taken'],
])('%j is wrong usage', async (args, told) => {
  const { code, out, err } = await attack(args);
  expect({ code, out }).toEqual({ code: 64, out: '' });
  expect(err).toContain(told);
});

test('a token does not travel readable to another host, even to one that is the user’s own', async () => {
  const args = ['--url', 'http://192.0.2.1', '--i-operate-this-gateway'];
  const { code, err } = await attack(args, 'sesame');
  expect(code).toBe(64);
  expect(err).toContain('--insecure-http');
});
