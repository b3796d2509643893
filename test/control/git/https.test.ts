import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { GitSource } from '../../../src/contracts/service.ts';
import { CA_FILE, type HttpsGit, type HttpsGitOptions, serveHttps } from './https-server.ts';
import { SourceRepository, temporaryDirectory, TestCache } from './source-repository.ts';

const PASSWORD = 'pa:ss/w@rd %21&=ü';
const LOGIN = `ada:${PASSWORD}`;
const CREDENTIALS = { username: 'ada', password: PASSWORD };

interface Hosted {
  readonly app: SourceRepository;
  readonly server: HttpsGit;
  readonly source: GitSource;
  readonly cache: TestCache;
}

/** A repository `app` behind HTTPS. */
async function host(options: HttpsGitOptions = {}): Promise<Hosted> {
  const root = temporaryDirectory();
  const app = new SourceRepository(join(root, 'app'));
  const server = await serveHttps(root, options);
  const credentials = options.login == null ? null : 'team';
  const source = app.source({ repository: server.url('app'), credentials });
  return { app, server, source, cache: trusting() };
}

function trusting(name = 'SSL_CERT_FILE'): TestCache {
  return new TestCache({ environment: { PATH: process.env['PATH'] ?? '', [name]: CA_FILE } });
}

/** Every file below, as text. */
function textOf(directory: string): string {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((file) => file.isFile())
    .map(({ parentPath, name }) => readFileSync(join(parentPath, name), 'latin1'))
    .join('\n');
}

describe('a repository over https', () => {
  test.each(['SSL_CERT_FILE', 'GIT_SSL_CAINFO'])('is read with the certificates of %s', async (name) => {
    const { app, source } = await host();
    const commit = app.commit({ a: '1' });
    const cache = trusting(name);
    expect(await cache.fetch(source)).toEqual({ commit, offline: false });
    expect(readFileSync(join(await cache.checkout(source, commit), 'a'), 'utf8')).toBe('1');
  });

  test('whose certificate nobody trusts is refused', async () => {
    const { app, source } = await host();
    app.commit({ a: '1' });
    await expect(new TestCache().fetch(source)).rejects.toMatchObject({
      kind: 'unreachable',
      message: `The certificate of ${source.repository} is not one that this machine trusts`,
    });
  });

  test.each([
    ['a username and a password', LOGIN, CREDENTIALS],
    ['a password from a file', LOGIN, { username: 'ada', password: `${PASSWORD}\n` }],
    ['a token', 'x-access-token:t0ken', { token: 't0ken' }],
  ])('is read with %s, which are kept nowhere', async (_, login, credentials) => {
    const { app, source, cache } = await host({ login });
    const commit = app.commit({ a: '1' });
    expect((await cache.fetch(source, { credentials })).commit).toBe(commit);
    const clone = await cache.checkout(source, commit, credentials);
    expect(readFileSync(join(clone, '.git/config'), 'utf8')).toContain(`url = "${source.repository}"`);
    for (const directory of [cache.directory, clone]) {
      const text = textOf(directory);
      expect(text).not.toContain('t0ken');
      expect(text).not.toContain('pa:ss');
      expect(text).not.toContain(encodeURIComponent('pa:ss'));
    }
  });

  test('tells wrong credentials, missing ones and unusable ones apart', async () => {
    const { app, source, cache } = await host({ login: LOGIN });
    app.commit({ a: '1' });
    const wrong = cache.fetch(source, { credentials: { username: 'ada', password: 'wr0ng' } });
    await expect(wrong).rejects.toMatchObject({
      kind: 'refused',
      field: 'git.credentials',
      message: `The repository ${source.repository} refuses the credentials of the secret "team"`,
    });
    await expect(cache.fetch({ ...source, credentials: null })).rejects.toMatchObject({
      kind: 'refused',
      field: 'git.credentials',
      message: `The repository ${source.repository} does not exist, or needs credentials; name a secret with them`,
    });
    for (const credentials of [{ username: 'ada' }, { password: '' }, { token: 'a\nhost=evil.example' }]) {
      await expect(cache.fetch(source, { credentials })).rejects.toMatchObject({
        kind: 'refused',
        field: 'git.credentials',
      });
    }
  });

  test('tells a missing repository, branch and commit apart', async () => {
    const { app, server, source, cache } = await host();
    app.commit({ a: '1' });
    const missing = { ...source, repository: server.url('nope') };
    await expect(cache.fetch(missing)).rejects.toMatchObject({ kind: 'missing', field: 'git.repository' });
    await expect(cache.fetch({ ...source, branch: 'nope' })).rejects.toMatchObject({
      kind: 'missing',
      field: 'git.branch',
    });
    for (const commit of ['abcdef1', 'abcdef1'.padEnd(40, '0')]) {
      await expect(cache.fetch({ ...source, commit })).rejects.toMatchObject({
        kind: 'missing',
        field: 'git.commit',
      });
    }
  });

  test('of a server that gives only what branches point at is searched for the commit', async () => {
    const { app, source, cache } = await host({ oldProtocol: true });
    const first = app.commit({ a: '1' });
    app.commit({ a: '2' });
    expect((await cache.fetch({ ...source, commit: first })).commit).toBe(first);
    await expect(cache.fetch({ ...source, commit: 'abcdef1'.padEnd(40, '0') })).rejects.toMatchObject({
      field: 'git.commit',
    });
  });
});

describe('a repository that does not answer', () => {
  test('is replaced by its last commit, while that is in the cache and fits', async () => {
    const { app, server, source, cache } = await host();
    const commit = app.commit({ a: '1' });
    await cache.fetch(source);
    await server.close();
    expect(await cache.fetch(source, { lastCommit: commit })).toEqual({ commit, offline: true });
    expect(readFileSync(join(await cache.checkout(source, commit), 'a'), 'utf8')).toBe('1');
    const unreachable = {
      kind: 'unreachable',
      field: 'git.repository',
      message: `The repository ${source.repository} does not answer: no connection`,
    };
    await expect(cache.fetch(source)).rejects.toMatchObject(unreachable);
    const other = 'abcdef1'.padEnd(40, '0');
    await expect(cache.fetch(source, { lastCommit: other })).rejects.toMatchObject(unreachable);
    await expect(cache.fetch({ ...source, commit: other }, { lastCommit: commit })).rejects.toMatchObject(
      unreachable,
    );
    await expect(trusting().fetch(source, { lastCommit: commit })).rejects.toMatchObject(unreachable);
  });

  test.each([500, 503, 429])('or answers %i', async (status) => {
    let broken = false;
    const { app, source, cache } = await host({
      answer: (_, response) => broken && Boolean(response.writeHead(status).end()),
    });
    const commit = app.commit({ a: '1' });
    await cache.fetch(source);
    broken = true;
    expect(await cache.fetch(source, { lastCommit: commit })).toEqual({ commit, offline: true });
  });

  test('or breaks off', async () => {
    let broken = false;
    const { app, source, cache } = await host({
      answer: (request) => broken && request.method === 'POST' && Boolean(request.socket.destroy()),
    });
    const commit = app.commit({ a: '1' });
    await cache.fetch(source);
    broken = true;
    expect(await cache.fetch(source, { lastCommit: commit })).toEqual({ commit, offline: true });
  });

  test('one that refuses, or lacks the branch, is not replaced', async () => {
    let status = 403;
    const { app, source, cache } = await host({
      answer: (_, response) => status !== 200 && Boolean(response.writeHead(status).end()),
    });
    status = 200;
    const commit = app.commit({ a: '1' });
    await cache.fetch(source);
    status = 403;
    await expect(cache.fetch(source, { lastCommit: commit })).rejects.toMatchObject({ kind: 'refused' });
    status = 200;
    app.git('branch', '-m', 'other');
    await expect(cache.fetch(source, { lastCommit: commit })).rejects.toMatchObject({ field: 'git.branch' });
  });
});

describe('credentials go to their own host alone', () => {
  test('not to another port that a redirection names', async () => {
    const other = await host({ login: LOGIN });
    other.app.commit({ a: '1' });
    const { source, cache, server } = await host({
      login: LOGIN,
      answer: (request, response) =>
        Boolean(response.writeHead(302, { location: other.server.url((request.url ?? '').slice(1)) }).end()),
    });
    await expect(cache.fetch(source, { credentials: CREDENTIALS })).rejects.toMatchObject({
      kind: 'refused',
    });
    expect(server.seen.at(-1)?.login).toBe(LOGIN);
    expect(other.server.seen.length).toBeGreaterThan(0);
    expect(other.server.seen.map(({ login }) => login)).toEqual(other.server.seen.map(() => null));
  });

  test('not to the host of a submodule elsewhere, but to that of one beside it', async () => {
    const elsewhere = await host({ login: LOGIN });
    elsewhere.app.commit({ a: '1' });
    const { app, server, source, cache } = await host({ login: LOGIN });
    const beside = new SourceRepository(join(app.directory, '../lib'));
    const inner = beside.commit({ b: 'beside' });
    const add = (path: string, url: string, commit: string): string => {
      app.git('update-index', '--add', '--cacheinfo', `160000,${commit},${path}`);
      app.git('config', '-f', '.gitmodules', `submodule.${path}.path`, path);
      app.git('config', '-f', '.gitmodules', `submodule.${path}.url`, url);
      app.git('add', '.gitmodules');
      app.git('commit', '-qm', 'Add');
      return app.git('rev-parse', 'HEAD');
    };
    const first = add('beside', '../lib', inner);
    await cache.fetch(source, { credentials: CREDENTIALS });
    const clone = await cache.checkout(source, first, CREDENTIALS);
    expect(readFileSync(join(clone, 'beside/b'), 'utf8')).toBe('beside');
    expect(server.seen.some(({ target, login }) => target.startsWith('/lib') && login === LOGIN)).toBe(true);

    const second = add('elsewhere', elsewhere.source.repository, elsewhere.app.git('rev-parse', 'HEAD'));
    await cache.fetch(source, { credentials: CREDENTIALS });
    const failed = cache.checkout(source, second, CREDENTIALS);
    await expect(failed).rejects.toMatchObject({ kind: 'refused', field: 'git.credentials' });
    await expect(failed).rejects.toThrow('Submodule "elsewhere"');
    expect(elsewhere.server.seen.map(({ login }) => login)).toEqual(elsewhere.server.seen.map(() => null));
  });

  test('not to http, which a redirection names', async () => {
    const asked: string[] = [];
    const plain = createServer((request, response) => {
      asked.push(request.url ?? '');
      response.writeHead(404).end();
    });
    plain.listen(0, '127.0.0.1');
    await once(plain, 'listening');
    onTestFinished(() => void plain.close());
    const location = `http://127.0.0.1:${(plain.address() as AddressInfo).port}/app`;
    const { source, cache } = await host({
      login: LOGIN,
      answer: (_, response) => Boolean(response.writeHead(302, { location }).end()),
    });
    await expect(cache.fetch(source, { credentials: CREDENTIALS })).rejects.toMatchObject({
      name: 'GitError',
    });
    expect(asked).toEqual([]);
  });
});

test('a submodule of an https repository is nothing on this machine', async () => {
  const secret = new SourceRepository();
  const inner = secret.commit({ b: 'mine' });
  const { app, source, cache } = await host();
  app.git('update-index', '--add', '--cacheinfo', `160000,${inner},lib`);
  app.write({ '.gitmodules': `[submodule "lib"]\n\tpath = lib\n\turl = ${secret.url}\n` });
  app.git('add', '.gitmodules');
  app.git('commit', '-qm', 'Add');
  const { commit } = await cache.fetch(source);
  await expect(cache.checkout(source, commit)).rejects.toMatchObject({
    kind: 'invalid',
    field: 'git.repository',
    message: 'Submodule "lib": Only a repository of this machine may have one of this machine as a submodule',
  });
});

test('what a server sends back of the credentials is masked', async () => {
  const echo = `ada ${PASSWORD} ${encodeURIComponent(PASSWORD)} ${Buffer.from(LOGIN).toString('base64')}`;
  const { source, cache } = await host({
    login: LOGIN,
    answer: (_, response) => {
      const line = `ERR ${echo}`;
      const text = '001e# service=git-upload-pack\n0000';
      const length = (Buffer.byteLength(line) + 4).toString(16).padStart(4, '0');
      response.writeHead(200, { 'content-type': 'application/x-git-upload-pack-advertisement' });
      response.end(`${text}${length}${line}`);
      return true;
    },
  });
  const error = await cache
    .fetch(source, { credentials: CREDENTIALS })
    .catch((reason: unknown) => reason as Error);
  expect(error).toMatchObject({ name: 'GitError', kind: 'failed' });
  expect((error as Error).message).toContain('ada *** *** ***');
});

describe.skipIf(!existsSync('/proc/self/cmdline'))('while git runs', () => {
  /** Command lines and environments of all processes. */
  function processes(): { pid: string; text: string }[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
      .map((pid) => {
        try {
          const text = ['cmdline', 'environ']
            .map((file) => readFileSync(`/proc/${pid}/${file}`, 'utf8'))
            .join(' ');
          return { pid, text };
        } catch {
          return { pid, text: '' };
        }
      });
  }

  test('no process shows the credentials, and the signal ends all of them', async () => {
    const { promise: asked, resolve } = Promise.withResolvers<undefined>();
    const { source, cache, server } = await host({
      login: LOGIN,
      answer: () => {
        resolve(undefined);
        return true;
      },
    });
    const controller = new AbortController();
    const fetched = cache.fetch(source, { credentials: CREDENTIALS, signal: controller.signal });
    await asked;
    const running = processes().filter(({ text }) => text.includes(cache.directory));
    expect(running.length).toBeGreaterThan(1);
    const texts = processes().map(({ text }) => text);
    for (const form of ['pa:ss', encodeURIComponent('pa:ss'), Buffer.from(LOGIN).toString('base64')]) {
      expect(texts.filter((text) => text.includes(form))).toEqual([]);
    }
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(fetched).rejects.toBe(reason);
    await vi.waitFor(() => {
      expect(processes().filter(({ text }) => text.includes(cache.directory))).toEqual([]);
    });
    expect(readdirSync(cache.directory)).toEqual([]);
    expect(server.seen.at(-1)?.login).toBe(LOGIN);
  });

  test('what waits for its turn is ended by its signal alone', async () => {
    let hang = true;
    const { app, source, cache } = await host({ answer: () => hang });
    const commit = app.commit({ a: '1' });
    const controllers = [new AbortController(), new AbortController()] as const;
    const [first, second] = controllers.map(({ signal }) => cache.fetch(source, { signal }));
    const third = cache.fetch(source);
    controllers[1].abort(new Error('second'));
    await expect(second).rejects.toThrow('second');
    hang = false;
    controllers[0].abort(new Error('first'));
    await expect(first).rejects.toThrow('first');
    expect((await third).commit).toBe(commit);
  });
});
