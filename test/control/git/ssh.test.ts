import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { freePort } from '../../support/free-port.ts';
import { findPart, requireParts } from '../../support/require.ts';
import { SourceRepository, temporaryDirectory, TestCache } from './source-repository.ts';

const USER = userInfo().username;

interface SshGit {
  readonly app: SourceRepository;
  readonly port: number;
  readonly url: string;
  readonly credentials: Readonly<Record<'ssh-key' | 'known-hosts', string>>;
  readonly stop: () => Promise<void>;
}

function makeKey(
  directory: string,
  name: string,
  passphrase = '',
  type = ['-t', 'ed25519'],
): { key: string; public: string } {
  const file = join(directory, name);
  execFileSync('ssh-keygen', ['-q', ...type, '-N', passphrase, '-C', name, '-f', file]);
  return { key: readFileSync(file, 'utf8'), public: readFileSync(`${file}.pub`, 'utf8').trim() };
}

/** A repository that a real sshd serves to one key, until the test ends. */
async function serveSsh(): Promise<SshGit> {
  const directory = temporaryDirectory();
  const app = new SourceRepository(join(directory, 'app'));
  const hostKey = makeKey(directory, 'host-key');
  const userKey = makeKey(directory, 'user-key');
  writeFileSync(join(directory, 'authorized'), `${userKey.public}\n`);
  const port = await freePort();
  const config = `ListenAddress 127.0.0.1:${port}
HostKey ${directory}/host-key
AuthorizedKeysFile ${directory}/authorized
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
`;
  writeFileSync(join(directory, 'sshd_config'), config);
  // As root it wants the place that its package makes at boot.
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  const daemon = spawn(findPart('sshd')!, ['-D', '-e', '-f', join(directory, 'sshd_config')], {
    stdio: 'ignore',
  });
  const stop = async (): Promise<void> => {
    if (daemon.exitCode !== null || daemon.signalCode !== null) return;
    daemon.kill();
    await once(daemon, 'exit');
  };
  onTestFinished(stop);
  await vi.waitFor(async () => {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect').finally(() => socket.destroy());
  }, 10_000);
  const knownHosts = `[127.0.0.1]:${port} ${hostKey.public}`;
  const url = `ssh://${USER}@127.0.0.1:${port}${app.directory}`;
  return { app, port, url, credentials: { 'ssh-key': userKey.key, 'known-hosts': knownHosts }, stop };
}

describe.skipIf(!requireParts('sshd'))('a repository over ssh', () => {
  test('is read with the key and the known hosts of the secret, which are kept nowhere', async () => {
    const { app, url, credentials } = await serveSsh();
    const commit = app.commit({ a: '1' });
    const source = app.source({ repository: url, credentials: 'team' });
    // A place that ssh and the shell would take apart.
    const cache = new TestCache({ directory: join(temporaryDirectory(), `it's 100%h "odd"`) });
    const text = { ...credentials, 'ssh-key': credentials['ssh-key'].trimEnd().replaceAll('\n', '\r\n') };
    expect(await cache.fetch(source, { credentials: text })).toEqual({ commit, offline: false });
    const clone = await cache.checkout(source, commit, credentials);
    expect(readFileSync(join(clone, 'a'), 'utf8')).toBe('1');
    expect(readFileSync(join(clone, '.git/config'), 'utf8')).toContain(`url = "${url}"`);
    expect(readdirSync(cache.directory)).toEqual([expect.stringMatching(/^[0-9a-f]{40}$/)]);
  });

  test('is read with its submodule beside it', async () => {
    const { app, url, credentials } = await serveSsh();
    const lib = new SourceRepository(join(app.directory, '../lib'));
    const inner = lib.commit({ b: 'inner' });
    app.git('update-index', '--add', '--cacheinfo', `160000,${inner},lib`);
    app.write({ '.gitmodules': '[submodule "lib"]\n\tpath = lib\n\turl = ../lib\n' });
    app.git('add', '.gitmodules');
    app.git('commit', '-qm', 'Add');
    const source = app.source({ repository: url, credentials: 'team' });
    const cache = new TestCache();
    const { commit } = await cache.fetch(source, { credentials });
    const clone = await cache.checkout(source, commit, credentials);
    expect(readFileSync(join(clone, 'lib/b'), 'utf8')).toBe('inner');
  });

  test('tells a refused key, an unreadable one, an unknown host and a missing repository apart', async () => {
    const { app, url, credentials, port } = await serveSsh();
    app.commit({ a: '1' });
    const directory = temporaryDirectory();
    const other = makeKey(directory, 'other');
    const locked = makeKey(directory, 'locked', 'passphrase');
    const cache = new TestCache();
    const fetch = (secret: Readonly<Record<string, string>>, repository = url): Promise<unknown> =>
      cache.fetch(app.source({ repository, credentials: 'team' }), { credentials: secret });
    const refused = { kind: 'refused', field: 'git.credentials' };
    await expect(fetch({ ...credentials, 'ssh-key': other.key })).rejects.toMatchObject({
      ...refused,
      message: `The repository ${url} refuses the credentials of the secret "team"`,
    });
    const pem = makeKey(directory, 'pem', 'passphrase', ['-t', 'rsa', '-m', 'PEM']);
    for (const key of ['no key', credentials['ssh-key'].slice(0, 100), locked.key, pem.key]) {
      await expect(fetch({ ...credentials, 'ssh-key': key })).rejects.toMatchObject({
        ...refused,
        message:
          'The value of "ssh-key" in the secret is no private key that ssh can read without a passphrase',
      });
    }
    for (const hosts of ['', `[127.0.0.1]:${port} ${other.public}`]) {
      await expect(fetch({ ...credentials, 'known-hosts': hosts })).rejects.toMatchObject({
        ...refused,
        message: `The host of ${url} shows a key that "known-hosts" of the secret does not have`,
      });
    }
    await expect(fetch({ 'ssh-key': credentials['ssh-key'] })).rejects.toMatchObject(refused);
    await expect(fetch(credentials, `${url}-nope`)).rejects.toMatchObject({
      kind: 'missing',
      field: 'git.repository',
    });
  });

  test('that does not answer is replaced by its last commit', async () => {
    const { app, url, credentials, stop } = await serveSsh();
    const commit = app.commit({ a: '1' });
    const source = app.source({ repository: url, credentials: 'team' });
    const cache = new TestCache();
    await cache.fetch(source, { credentials });
    await stop();
    expect(await cache.fetch(source, { credentials, lastCommit: commit })).toEqual({ commit, offline: true });
    await expect(cache.fetch(source, { credentials })).rejects.toMatchObject({ kind: 'unreachable' });
  });

  test('on a machine without ssh', async () => {
    const { app, url, credentials } = await serveSsh();
    const path = temporaryDirectory();
    const git = execFileSync('sh', ['-c', 'command -v git'], { encoding: 'utf8' }).trim();
    writeFileSync(join(path, 'git'), `#!/bin/sh\nPATH=${path} exec ${git} "$@"\n`, { mode: 0o755 });
    expect(statSync(join(path, 'git')).isFile()).toBe(true);
    const cache = new TestCache({ environment: { PATH: path } });
    const source = app.source({ repository: url, credentials: 'team' });
    await expect(cache.fetch(source, { credentials })).rejects.toMatchObject({
      kind: 'unusable',
      message: 'ssh cannot be run on this machine: it is not installed, or not in the PATH',
    });
  });
});
