import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { decodeJwt } from 'jose';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { readPassword } from '../../src/cli/read-password.ts';
import { token } from '../../src/cli/token.ts';
import { UsageError } from '../../src/cli/verb.ts';
import { startRealm } from '../embedded/harness.ts';

async function run(...args: string[]) {
  const said = { out: '', err: '' };
  const code = await token.run(args, {
    out: (text) => void (said.out += text),
    err: (text) => void (said.err += text),
  });
  return { code, ...said };
}

/** A server that answers everything the same way. */
async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/auth/realms/demo`;
}

const json = (status: number, body: object, type = 'application/json') =>
  serve((_req, res) => res.writeHead(status, { 'content-type': type }).end(JSON.stringify(body)));

beforeEach(() => vi.stubEnv('REALMGATE_PASSWORD', ''));
afterEach(() => vi.unstubAllEnvs());

describe('a sign-in', () => {
  test('prints the access token and a newline, nothing else', async () => {
    const realm = await startRealm();
    const { code, out, err } = await run('--url', realm.url, '--user', 'alice', '--password', 'wonderland');
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
    expect(decodeJwt(out.trim())).toMatchObject({
      iss: realm.url,
      preferred_username: 'alice',
      azp: 'istio',
    });
  });

  test('takes the password from a file without its last line end', async () => {
    const realm = await startRealm();
    const file = join(realm.dataDir, 'password');
    await writeFile(file, 'wonderland\n');
    expect(await run('--url', `${realm.url}/`, '--user', 'alice', '--password-file', file)).toMatchObject({
      code: 0,
    });
  });

  test('takes the password from REALMGATE_PASSWORD, and an option before it', async () => {
    const realm = await startRealm();
    vi.stubEnv('REALMGATE_PASSWORD', 'wonderland');
    expect(await run('--url', realm.url, '--user', 'alice')).toMatchObject({ code: 0 });
    expect(await run('--url', realm.url, '--user', 'alice', '--password', 'x')).toMatchObject({ code: 1 });
  });

  test('prints the claims with --decode and the whole response with --json', async () => {
    const realm = await startRealm();
    const args = ['--url', realm.url, '--user', 'admin', '--password', 'admin'];
    const decoded = JSON.parse((await run(...args, '--decode')).out) as Record<string, unknown>;
    expect(decoded).toMatchObject({ typ: 'Bearer', preferred_username: 'admin' });
    const whole = JSON.parse((await run(...args, '--json', '--scope', 'openid')).out) as Record<
      string,
      unknown
    >;
    expect(whole).toMatchObject({ expires_in: 300, scope: 'openid email profile' });
    expect(decodeJwt(String(whole['id_token']))).toMatchObject({ typ: 'ID' });
  });

  test('posts to the given URL, whatever hosts the discovery document names', async () => {
    const realm = await startRealm();
    const gateway = await serve((req, res) => {
      const target = new URL(req.url!, realm.url);
      const init = { method: req.method!, headers: { 'content-type': req.headers['content-type'] ?? '' } };
      const body = req.method === 'POST' ? { body: req as unknown as ReadableStream, duplex: 'half' } : {};
      void fetch(target, { ...init, ...body } as RequestInit).then(async (answer) => {
        res.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text());
      });
    });
    const args = ['--url', gateway, '--user', 'alice', '--password', 'wonderland', '--scope', 'openid'];
    expect(await run(...args, '--decode')).toMatchObject({ code: 0, err: '' });
  });
});

describe('a failure is one line that says what would be right', () => {
  test.each([
    ['a wrong password', ['--password', 'not-it'], /refused the username or password of alice/],
    [
      'an unknown client',
      ['--client', 'nobody'],
      /refused the client nobody \(invalid_client.*check --client/,
    ],
    ['an unknown scope', ['--scope', 'money'], /refused --scope \(invalid_scope: Invalid scopes: money\)/],
  ])('%s', async (_what, args, line) => {
    const realm = await startRealm();
    vi.stubEnv('REALMGATE_PASSWORD', 'wonderland');
    const { code, out, err } = await run('--url', realm.url, '--user', 'alice', ...args);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toMatch(/^realmgate token: [^\n]+\n$/);
    expect(err).toMatch(line);
    expect(err).not.toMatch(/not-it|wonderland/);
  });

  test('another realm, also when asking for the scope openid', async () => {
    const realm = await startRealm();
    const url = realm.url.replace('demo', 'other');
    const args = ['--url', url, '--user', 'alice', '--password', 'x'];
    expect((await run(...args)).err).toContain(`${url} is not a realm (404): check --url`);
    expect((await run(...args, '--scope', 'openid')).err).toContain('publishes no discovery document (404)');
  });

  test('nothing listens there', async () => {
    const realm = await startRealm();
    await realm.close();
    const { code, err } = await run('--url', realm.url, '--user', 'alice', '--password', 'x');
    expect(code).toBe(1);
    expect(err).toContain('connection refused');
  });

  test.each([
    [429, 'takes no more sign-ins for now (429)'],
    [404, 'is not a realm (404)'],
    [503, 'answered 503'],
  ])('a gateway says %i with problem+json', async (status, line) => {
    const url = await json(status, { type: 'about:blank', status }, 'application/problem+json');
    expect((await run('--url', url, '--user', 'a', '--password', 'x')).err).toContain(line);
  });

  test('the answer is no token response', async () => {
    const args = ['--user', 'a', '--password', 'x'];
    expect((await run(...args, '--url', await json(200, { hello: 1 }))).err).toContain('check --url');
    const opaque = await json(200, { access_token: 'opaque', token_type: 'Bearer' });
    expect((await run(...args, '--url', opaque, '--decode')).err).toContain('is not a JWT');
  });

  test('the server sends the password and control characters back', async () => {
    const url = await json(400, { error: 'invalid_scope', error_description: 'no: hunter2' });
    const { err } = await run('--url', url, '--user', 'a', '--password', 'hunter2');
    expect(err).not.toContain('hunter2');
    const evil = await json(400, { error: 'invalid_scope', error_description: '\u001b[2J\nfine' });
    const line = (await run('--url', evil, '--user', 'a', '--password', 'hunter2')).err;
    expect(line).toMatch(/^[^\u001b\n]+\n$/);
  });

  test('the password file cannot be read', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'realmgate-token-'));
    onTestFinished(() => rm(directory, { recursive: true }));
    const { code, err } = await run('--user', 'a', '--password-file', join(directory, 'none'));
    expect(code).toBe(1);
    expect(err).toContain('none cannot be read (ENOENT)');
  });
});

describe('wrong usage', () => {
  test.each([
    ['no user', []],
    ['an unknown option', ['--user', 'a', '--secret=hunter2']],
    ['a bare argument', ['--user', 'a', 'hunter2']],
    ['an option without its value', ['--user']],
    ['two kinds of output', ['--user', 'a', '--decode', '--json']],
    ['two passwords', ['--user', 'a', '--password', 'hunter2', '--password-file', 'f']],
    ['http to another host', ['--user', 'a', '--url', 'http://services.example/auth/realms/demo']],
    ['no URL', ['--user', 'a', '--url', 'demo']],
    ['a password in the URL', ['--user', 'a', '--url', 'https://a:hunter2@services.example/']],
  ])('is a UsageError without secrets: %s', async (_what, args) => {
    const failure = await run(...args).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(UsageError);
    expect((failure as UsageError).message).not.toContain('hunter2');
  });

  test('http to another host is done when the user insists', async () => {
    const url = 'http://host.invalid/auth/realms/demo';
    const { code, err } = await run('--user', 'a', '--password', 'x', '--url', url, '--insecure-http');
    expect(code).toBe(1);
    expect(err).toContain(`cannot sign in at ${url}`);
  });
});

describe('reading the password from standard input', () => {
  const input = (properties: object = {}) =>
    Object.assign(new PassThrough(), properties) as unknown as NodeJS.ReadStream & PassThrough;
  const read = (stream: NodeJS.ReadStream, prompt: () => void = () => undefined) =>
    readPassword(stream, prompt, () => undefined);

  test('takes the first line, and none when there is none', async () => {
    const piped = input();
    piped.end('wonderland\r\nmore\n');
    expect(await read(piped)).toBe('wonderland');
    const empty = input();
    empty.end();
    expect(await read(empty)).toBeNull();
  });

  test('asks on a terminal without echo, understands erasing, and gives up at Ctrl-C', async () => {
    const modes: boolean[] = [];
    const terminal = () => input({ isTTY: true, setRawMode: (on: boolean) => void modes.push(on) });
    const typing = terminal();
    let prompted = false;
    const typed = read(typing, () => {
      prompted = true;
    });
    typing.write('wonderlamd\u007f');
    typing.write('\u007fnd\r');
    expect(await typed).toBe('wonderland');
    expect(prompted).toBe(true);
    const giving = terminal();
    const given = read(giving);
    giving.write('won\u0003');
    expect(await given).toBeNull();
    expect(modes).toEqual([true, false, true, false]);
  });
});
