import { chmodSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { Secrets, type SecretsOptions } from '../../../src/control/services/secrets.ts';
import { makeDataDir, openStore } from '../store/support.ts';

const VALUE = 'sk-very-secret-value';

type Users = ReturnType<SecretsOptions['services']>;

function open(dataDir = makeDataDir(), { keyFile = null as string | null, users = [] as Users } = {}) {
  const store = openStore(dataDir);
  const options = { table: store.secrets, dataDir, keyFile, services: () => users };
  return { dataDir, store, secrets: new Secrets(options), reopen: () => new Secrets(options) };
}

/** A service that gets these secrets, and whose repository one more opens. */
function user(name: string, secrets: readonly string[], credentials: string | null = null): Users[number] {
  return { name, secrets, git: { repository: 'https://git/app', branch: null, commit: null, credentials } };
}

function refusal(code: string, message: RegExp): unknown {
  return expect.objectContaining({ code, message: expect.stringMatching(message) as string });
}

test('values go in, and come out for services only', () => {
  const { secrets } = open();
  const view = secrets.put('openai', { data: { 'b-key': VALUE, 'a-key': '' } }, 'alice');
  expect(view).toEqual({
    name: 'openai',
    keys: ['a-key', 'b-key'],
    updatedAt: expect.any(String) as string,
    updatedBy: 'alice',
  });
  expect(secrets.get('openai')).toEqual(view);
  expect(secrets.list()).toEqual([view]);
  expect(secrets.values('openai')).toEqual({ 'a-key': '', 'b-key': VALUE });
  expect(secrets.values('none')).toBeNull();
  expect(() => secrets.get('none')).toThrow(refusal('not_found', /no such secret/));
});

test('no value is in the files of the store, nor in the audit', () => {
  const { dataDir, store, secrets } = open();
  secrets.put('openai', { data: { key: VALUE } }, 'alice');
  secrets.put('openai', { data: { key: `${VALUE}-2`, other: VALUE } }, 'bob');
  secrets.delete('openai', 'carol');
  const { items } = store.audit({ limit: 10, before: null });
  expect(items).toMatchObject([
    { actor: 'carol', action: 'secret.delete', difference: { keys: [['key', 'other'], null] } },
    {
      actor: 'bob',
      action: 'secret.put',
      target: 'openai',
      difference: { keys: [['key'], ['key', 'other']], changed: [null, ['key']] },
    },
    { actor: 'alice', action: 'secret.put', difference: { keys: [null, ['key']] } },
  ]);
  for (const file of ['realmgate.db', 'realmgate.db-wal']) {
    expect(readFileSync(join(dataDir, file)).includes(VALUE)).toBe(false);
  }
});

test('the same values are never sealed alike', () => {
  const { store, secrets } = open();
  const sealed = ['a', 'b', 'a'].map((name) => {
    secrets.put(name, { data: { key: VALUE } }, 'alice');
    return Buffer.from(store.secrets.get(name)?.sealed ?? []).toString('hex');
  });
  expect(new Set(sealed).size).toBe(3);
});

test('a secret that was moved to another name, or changed in the file, is not opened', () => {
  const { store, secrets } = open();
  secrets.put('mine', { data: { key: VALUE } }, 'alice');
  const { sealed } = store.secrets.get('mine')!;
  store.secrets.put({ name: 'yours', keys: ['key'], sealed }, { actor: 'mallory', changed: [] });
  expect(() => secrets.values('yours')).toThrow('The secret yours is damaged');
  for (const at of [0, 5, 20, sealed.length - 1]) {
    const changed = Uint8Array.from(sealed);
    changed[at]! ^= 1;
    store.secrets.put({ name: 'mine', keys: ['key'], sealed: changed }, { actor: 'mallory', changed: [] });
    expect(() => secrets.values('mine')).toThrow('The secret mine is damaged');
  }
  store.secrets.put(
    { name: 'mine', keys: [], sealed: sealed.subarray(0, 8) },
    { actor: 'mallory', changed: [] },
  );
  expect(() => secrets.values('mine')).toThrow('The secret mine is damaged');
});

test('a damaged secret can be written again', () => {
  const { store, secrets } = open();
  store.secrets.put(
    { name: 'mine', keys: ['key'], sealed: Buffer.of(1, 2) },
    { actor: 'mallory', changed: [] },
  );
  secrets.put('mine', { data: { key: VALUE } }, 'alice');
  expect(secrets.values('mine')).toEqual({ key: VALUE });
});

test('one that a service uses is not deleted, and the services are named', () => {
  // A service about to be another one is there twice.
  const users = [
    user('brave-otter', ['openai']),
    user('brave-otter', ['openai', 'other']),
    user('calm-crab', [], 'openai'),
    user('lynx', ['other'], 'other'),
  ];
  const { secrets } = open(undefined, { users });
  secrets.put('openai', { data: { key: VALUE } }, 'alice');
  expect(() => secrets.delete('openai', 'bob')).toThrow(
    refusal('conflict', /used by brave-otter, calm-crab;/),
  );
  expect(secrets.values('openai')).not.toBeNull();
  expect(() => secrets.delete('none', 'bob')).toThrow(refusal('not_found', /no such secret/));
});

test('a key that becomes the variable of another secret of a service is refused, naming both', () => {
  const users = [
    user('otter', ['openai', 'azure']),
    user('lynx', ['azure', 'openai', 'gone']),
    user('crab', ['openai'], 'git'),
  ];
  const { secrets } = open(undefined, { users });
  secrets.put('azure', { data: { 'api-key': VALUE } }, 'alice');
  secrets.put('git', { data: { 'api-key': VALUE } }, 'alice');
  expect(() => secrets.put('openai', { data: { other: VALUE, api_key: VALUE } }, 'alice')).toThrow(
    expect.objectContaining({
      code: 'invalid_request',
      errors: [
        {
          field: 'data.api_key',
          message:
            'becomes the variable HYPERPLANE_CUSTOM_SECRET_KEY_API_KEY, as does the key "api-key" of the secret "azure", ' +
            'which the service otter gets too, and the key "api-key" of the secret "azure", which the service lynx gets ' +
            'too; choose another name',
        },
      ],
    }),
  );
  expect(secrets.values('openai')).toBeNull();
  secrets.put('openai', { data: { other: VALUE } }, 'alice');
  secrets.put('azure', { data: { 'api-key': `${VALUE}-2` } }, 'alice');
});

test.each([
  ['Upper', { data: {} }, ['name']],
  ['-x', { data: {} }, ['name']],
  ['a..b', { data: {} }, ['name']],
  ['../x', { data: {} }, ['name']],
  ['a', {}, ['data']],
  ['a', { data: VALUE }, ['data']],
  ['a', VALUE, ['body']],
  ['a', { data: { '..': VALUE } }, ['data...']],
  ['a', { data: { 'a/b': VALUE, 'c d': VALUE } }, ['data.a/b', 'data.c d']],
  ['a', { data: { key: 7 } }, ['data.key']],
  ['a', { data: { key: `${VALUE}\0` } }, ['data.key']],
  ['a', { data: { key: [VALUE] } }, ['data.key']],
  ['a', { data: { 'api-key': VALUE, api_key: VALUE } }, ['data']],
  ['a', { data: { '--': VALUE } }, ['data']],
  ['a', { data: { a: 'x'.repeat(600_000), b: 'y'.repeat(600_000) } }, ['data']],
  ['a', { data: { a: 'é'.repeat(600_000) } }, ['data']],
  ['a', { data: {}, extra: 1 }, ['extra']],
])('the secret %j is refused with wrong fields (case %#), and no value is told', (name, body, fields) => {
  const { secrets } = open();
  let problems: readonly { field: string; message: string }[] = [];
  try {
    secrets.put(name, body, 'alice');
  } catch (error) {
    ({ errors: problems } = error as { errors: typeof problems });
  }
  expect(problems.map(({ field }) => field)).toEqual(fields);
  expect(JSON.stringify(problems)).not.toContain(VALUE);
  expect(secrets.list()).toEqual([]);
});

test('keys and values that Kubernetes takes are taken', () => {
  const { secrets } = open();
  const data = {
    'ssh-key': 'line\nline\n',
    '.dockerconfigjson': '{}',
    'ca.crt': 'x'.repeat(1024 * 1024 - 20),
  };
  secrets.put('a.b-c.d', { data }, 'alice');
  expect(secrets.values('a.b-c.d')).toEqual(data);
});

test('the key is made once, for its owner only', () => {
  const { dataDir, store, secrets } = open();
  secrets.put('openai', { data: { key: VALUE } }, 'alice');
  const file = join(dataDir, 'secrets.key');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(Buffer.from(readFileSync(file, 'utf8').trim(), 'base64')).toHaveLength(32);
  const before = readFileSync(file, 'utf8');
  store.close();
  const again = open(dataDir);
  expect(again.secrets.values('openai')).toEqual({ key: VALUE });
  expect(readFileSync(file, 'utf8')).toBe(before);
});

test('a draft that a crash left behind is no key and in nobody’s way', () => {
  const dataDir = makeDataDir();
  writeFileSync(join(dataDir, 'secrets.key.tmp'), 'half');
  open(dataDir);
  expect(existsSync(join(dataDir, 'secrets.key.tmp'))).toBe(false);
});

test('a key that is gone or another one is told at the start, and no new one is made', () => {
  const { dataDir, secrets, reopen } = open();
  secrets.put('openai', { data: { key: VALUE } }, 'alice');
  const file = join(dataDir, 'secrets.key');
  const right = readFileSync(file, 'utf8');
  rmSync(file);
  expect(reopen).toThrow(/secrets\.key, the key that the secrets are sealed with, is gone/);
  expect(existsSync(file)).toBe(false);
  writeFileSync(file, `${Buffer.alloc(32, 7).toString('base64')}\n`, { mode: 0o600 });
  expect(reopen).toThrow(/secrets\.key is not the key that the secrets are sealed with/);
  writeFileSync(file, right);
  expect(reopen().values('openai')).toEqual({ key: VALUE });
});

test('where no secret is left, another key is as good', () => {
  const { dataDir, reopen } = open();
  rmSync(join(dataDir, 'secrets.key'));
  const secrets = reopen();
  secrets.put('openai', { data: { key: VALUE } }, 'alice');
  expect(reopen().values('openai')).toEqual({ key: VALUE });
});

test.each([
  ['others can read it', (file: string) => chmodSync(file, 0o640), /Others can read .*: run `chmod 600 /],
  ['it is too short', (file: string) => writeFileSync(file, 'c2hvcnQ='), /holds no key for secrets/],
  ['it is not base64', (file: string) => writeFileSync(file, '!'.repeat(44)), /holds no key for secrets/],
  ['it is empty', (file: string) => writeFileSync(file, ''), /holds no key for secrets/],
])('a key file is refused when %s', (_why, spoil, message) => {
  const { dataDir, reopen } = open();
  spoil(join(dataDir, 'secrets.key'));
  expect(reopen).toThrow(
    expect.objectContaining({ name: 'SecretsKeyError', message: expect.stringMatching(message) as string }),
  );
});

test('a key file that is configured has to be there, and is the one that is used', () => {
  const dataDir = makeDataDir();
  const keyFile = join(makeDataDir(), 'my.key');
  expect(() => open(dataDir, { keyFile })).toThrow(
    /my\.key, the key of the secrets, does not exist: .*base64/,
  );
  expect(existsSync(keyFile)).toBe(false);
  writeFileSync(keyFile, Buffer.alloc(32, 1).toString('base64'), { mode: 0o600 });
  const other = makeDataDir();
  open(other, { keyFile }).secrets.put('a', { data: { key: VALUE } }, 'alice');
  expect(existsSync(join(other, 'secrets.key'))).toBe(false);
});

test('the check of the key is no secret of its own', () => {
  const { dataDir, store } = open();
  store.close();
  const db = new DatabaseSync(join(dataDir, 'realmgate.db'));
  expect(db.prepare('SELECT name FROM meta').all()).toEqual([expect.objectContaining({ name: 'key-check' })]);
  db.close();
});
