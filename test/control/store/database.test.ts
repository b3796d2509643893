import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { Store } from '../../../src/control/store/store.ts';
import { create, makeDataDir, named, openStore } from './support.ts';

const PROGRAM = fileURLToPath(new URL('fixtures/writing-process.ts', import.meta.url));

interface Writer {
  readonly child: ChildProcess;
  readonly lines: AsyncIterator<string>;
}

function startWriter(dataDir: string, creates = 0): Writer {
  const child = spawn(process.execPath, [PROGRAM, dataDir, String(creates)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const reader: Interface = createInterface({ input: child.stdout });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  return { child, lines: reader[Symbol.asyncIterator]() };
}

async function kill({ child }: Writer): Promise<void> {
  child.kill('SIGKILL');
  await once(child, 'exit');
}

function fileOf(dataDir: string): string {
  return join(dataDir, 'realmgate.db');
}

function raw(dataDir: string, sql: string): void {
  const db = new DatabaseSync(fileOf(dataDir));
  db.exec(sql);
  db.close();
}

test('one process at a time has the state open, and the other is told which file it is about', async () => {
  const dataDir = makeDataDir();
  const first = startWriter(dataDir);
  expect(await first.lines.next()).toMatchObject({ value: 'open' });

  const { value } = (await startWriter(dataDir).lines.next()) as { value: string };
  expect(value).toMatch(/^StoreBusy: .*\/realmgate\.db is in use: another Realmgate runs/);
  expect(() => new Store(dataDir)).toThrow(expect.objectContaining({ name: 'StoreBusy' }));

  await kill(first);
  openStore(dataDir);
});

test('the lock is held from the start, and over transactions that were rolled back', () => {
  const store = openStore();
  create(store, named('one'));
  expect(() => create(store, named('one'))).toThrow('is taken');
  const dataDir = makeDataDir();
  openStore(dataDir);
  expect(() => new Store(dataDir)).toThrow(expect.objectContaining({ name: 'StoreBusy' }));
});

test('a service that was told to be created is there after kill -9, whole, and the next one too or not at all', async () => {
  const dataDir = makeDataDir();
  const told: string[] = [];
  for (let round = 0; round < 3; round++) {
    const writer = startWriter(dataDir, 100_000);
    expect(await writer.lines.next()).toMatchObject({ value: 'open' });
    for (let i = 0; i < 20 + 7 * round; i++) told.push((await writer.lines.next()).value as string);
    await kill(writer);

    const store = new Store(dataDir);
    const kept = store.services();
    expect(kept.map(({ id }) => id)).toEqual(expect.arrayContaining(told));
    for (const { id, spec } of kept) {
      expect(spec).toEqual(named(id));
      expect(store.events(id).map(({ kind }) => kind)).toEqual(['created']);
      expect(store.holder('name', id)?.id).toBe(id);
    }
    expect(store.audit({ limit: 100_000, before: null }).items).toHaveLength(kept.length);
    store.close();
  }
});

test('the files are for their owner only, also where the umask allows more', () => {
  const dataDir = makeDataDir();
  const before = process.umask(0);
  onTestFinished(() => void process.umask(before));
  const store = openStore(dataDir);
  create(store);
  for (const file of ['realmgate.db', 'realmgate.db-wal']) {
    expect(statSync(join(dataDir, file)).mode & 0o777).toBe(0o600);
  }
});

test('a file that others can read is closed to them when it is opened', () => {
  const dataDir = makeDataDir();
  new Store(dataDir).close();
  chmodSync(fileOf(dataDir), 0o644);
  openStore(dataDir);
  expect(statSync(fileOf(dataDir)).mode & 0o777).toBe(0o600);
});

test('tables of a newer version are left alone', () => {
  const dataDir = makeDataDir();
  new Store(dataDir).close();
  raw(dataDir, 'PRAGMA user_version = 99');
  const before = readFileSync(fileOf(dataDir));
  expect(() => new Store(dataDir)).toThrow(
    expect.objectContaining({
      name: 'StoreError',
      message: expect.stringMatching(/written by a newer Realmgate \(version 99/) as string,
    }),
  );
  expect(readFileSync(fileOf(dataDir)).equals(before)).toBe(true);
});

test('a database of another program is left alone', () => {
  const dataDir = makeDataDir();
  raw(dataDir, 'CREATE TABLE bookmark (url TEXT)');
  const before = readFileSync(fileOf(dataDir));
  expect(() => new Store(dataDir)).toThrow(/is a database of another program/);
  expect(readFileSync(fileOf(dataDir)).equals(before)).toBe(true);
});

test.each([
  ['text', Buffer.from('not a database, but long enough to be looked at as one: '.repeat(20))],
  ['zeros after the header', null],
])('a damaged file is told as such: %s', (_what, content) => {
  const dataDir = makeDataDir();
  if (content === null) {
    const store = new Store(dataDir);
    create(store);
    store.close();
    const bytes = readFileSync(fileOf(dataDir));
    writeFileSync(fileOf(dataDir), bytes.fill(0, 200));
  } else writeFileSync(fileOf(dataDir), content);
  expect(() => new Store(dataDir)).toThrow(/realmgate\.db is damaged or no database: put back a copy/);
});

test('a half-written first start is begun anew', () => {
  const dataDir = makeDataDir();
  writeFileSync(fileOf(dataDir), '');
  create(openStore(dataDir));
});

test('a place where nothing can be written is told with its path', () => {
  const dataDir = makeDataDir();
  mkdirSync(fileOf(dataDir));
  expect(() => new Store(dataDir)).toThrow(/realmgate\.db cannot be opened: .*EISDIR/);
  expect(() => new Store('/proc/nowhere')).toThrow(/\/proc\/nowhere\/realmgate\.db cannot be opened/);
  expect(existsSync('/proc/nowhere')).toBe(false);
});

test('what is written stays over a restart', () => {
  const dataDir = makeDataDir();
  const first = new Store(dataDir);
  const created = create(first);
  first.activateRevision(created.id, 1, 'c0ffee');
  const before = { services: first.services(), audit: first.audit({ limit: 10, before: null }) };
  first.close();
  const second = openStore(dataDir);
  expect({ services: second.services(), audit: second.audit({ limit: 10, before: null }) }).toEqual(before);
});
