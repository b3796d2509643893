import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { scratch } from '../config/support.ts';
import { startRealm } from '../embedded/harness.ts';
import { freePort } from '../support/free-port.ts';
import { ROOT, runRealmgate } from './run-realmgate.ts';
import { startPlatform } from './support/platform.ts';

const NOTHING = { REALMGATE_TOKEN: '', REALMGATE_ADMIN_URL: '', REALMGATE_PASSWORD: '' };

function realmgate(args: readonly string[], env: Record<string, string> = {}) {
  return runRealmgate(args, ROOT, { ...NOTHING, ...env });
}

function tokenFile(token: string): string {
  const path = join(scratch(), 'token');
  writeFileSync(path, token);
  return path;
}

/** A server that answers everything the same way, and notes the tokens that it is sent. */
async function answering(status: number, body: string): Promise<{ url: string; tokens: string[] }> {
  const tokens: string[] = [];
  const server = createServer((request, response) => {
    tokens.push(request.headers.authorization ?? 'none');
    response.writeHead(status, { location: '/elsewhere' }).end(body);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, tokens };
}

test('without a token: how to get one, and exit 64', async () => {
  const { code, out, err } = await realmgate(['services', 'list']);
  expect({ code, out }).toEqual({ code: 64, out: '' });
  expect(err).toContain('a token is needed: export REALMGATE_TOKEN="$(realmgate token --user NAME)"');
});

test('the token comes from a file, before the environment', async () => {
  const { url } = await startPlatform();
  const args = ['services', 'list', '--admin-url', `${url}/`, '--token-file', tokenFile('viewer\n')];
  expect(await realmgate(args, { REALMGATE_TOKEN: 'broken' })).toMatchObject({ code: 0, err: '' });
  const exclusive = await realmgate([...args, '--user', 'alice']);
  expect(exclusive).toMatchObject({ code: 64 });
});

test('or from a sign-in, whose password nobody sees', async () => {
  const realm = await startRealm();
  const { url, tokens } = await answering(200, '{"items": []}');
  const args = ['services', 'list', '--user', 'admin', '--realm-url', realm.url, '--admin-url', url];
  expect(await realmgate(args, { REALMGATE_PASSWORD: 'admin' })).toMatchObject({ code: 0, err: '' });
  expect(tokens).toEqual([expect.stringMatching(/^Bearer eyJ[\w-]+\.[\w-]+\.[\w-]+$/) as string]);
  const wrong = await realmgate(args, { REALMGATE_PASSWORD: 'hunter2' });
  expect(wrong).toMatchObject({
    code: 1,
    err: `realmgate services list: ${realm.url} refused the username or password of admin\n`,
  });
  const where = await realmgate([...args.slice(0, 4), '--realm-url', `${realm.url}-2`], {
    REALMGATE_PASSWORD: 'x',
  });
  expect(where.err).toContain('check --realm-url');
});

test('a refused token is told without the token, and how to get another', async () => {
  const { url } = await startPlatform();
  const { code, err } = await realmgate(['services', 'list', '--admin-url', url], {
    REALMGATE_TOKEN: 'sesame',
  });
  expect(code).toBe(1);
  expect(err).toMatch(
    /^realmgate services list: the token was refused: the issuer is not accepted\nGet a new one: /,
  );
  expect(err).not.toContain('sesame');
});

test('too little right is told with the role that is needed', async () => {
  const { url } = await startPlatform();
  const args = ['environments', 'set', 'gpu', '--cpu', '1', '--admin-url', url];
  const { code, err } = await realmgate(args, { REALMGATE_TOKEN: 'developer' });
  expect(code).toBe(1);
  expect(err).toContain('the token may not do this: This needs the role boss of the realm demo\n');
});

test('nothing listens there: is serve running?', async () => {
  const url = `http://127.0.0.1:${await freePort()}`;
  const { code, err } = await realmgate(['services', 'list'], {
    REALMGATE_TOKEN: 'x',
    REALMGATE_ADMIN_URL: url,
  });
  expect({ code, err }).toEqual({
    code: 1,
    err: `realmgate services list: cannot reach the admin API at ${url}: nothing listens there (connection refused): is serve running, and is --admin-url right?\n`,
  });
});

test.each([
  ['a page', 200, '<html>'],
  ['another API', 404, '{"message": "no"}'],
  ['a redirect', 302, ''],
])('%s is not the admin API, and the token goes nowhere else', async (_what, status, body) => {
  const { url, tokens } = await answering(status, body);
  const { code, err } = await realmgate(['services', 'list', '--admin-url', url], {
    REALMGATE_TOKEN: 'sesame',
  });
  expect(code).toBe(1);
  expect(err).toContain(`with ${status}, and not as the admin API does: check --admin-url`);
  expect(err).not.toContain('sesame');
  expect(tokens).toHaveLength(1);
});

test.each([
  ['http to another host', 'http://services.example', /would send the token readable to services\.example/],
  ['no URL', 'here', /--admin-url must be an http:\/\/ or https:\/\/ URL of the admin listener/],
  ['a password in it', 'https://a:hunter2@services.example', /must have no user, password/],
])('an admin URL is refused before anything is sent: %s', async (_what, url, message) => {
  const { code, err } = await realmgate(['services', 'list', '--admin-url', url], {
    REALMGATE_TOKEN: 'sesame',
  });
  expect(code).toBe(64);
  expect(err).toMatch(message);
  expect(err).not.toMatch(/hunter2|sesame/);
});

test('http to another host is done when the user insists', async () => {
  const args = ['services', 'list', '--admin-url', 'http://host.invalid', '--insecure-http'];
  const { code, err } = await realmgate(args, { REALMGATE_TOKEN: 'sesame' });
  expect(code).toBe(1);
  expect(err).toContain('cannot reach the admin API at http://host.invalid: ');
});

test('what is no token is not sent, nor shown', async () => {
  const { url } = await startPlatform();
  const args = ['services', 'list', '--admin-url', url, '--token-file', tokenFile('sesame\r\nx-evil: 1')];
  const { code, err } = await realmgate(args);
  expect(code).toBe(1);
  expect(err).toContain('what was given as the token is none');
  expect(err).not.toMatch(/sesame|evil/);
});
