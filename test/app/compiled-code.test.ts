import { chmodSync, existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { freePort } from '../support/free-port.ts';
import { RealmServer } from './realm-server.ts';
import { serve, temporaryFolder } from './serve-process.ts';

const USERS = [{ username: 'alice', password: 'alice', roles: [] }];

/** The data directory after a start and an end of an installation that takes nothing itself. */
async function dataAfterStart(mode: number): Promise<string> {
  const folder = temporaryFolder();
  const data = join(folder, 'data');
  mkdirSync(data);
  chmodSync(data, mode);
  const realm = await RealmServer.start();
  const { process } = await serve(
    { realms: [realm.settings], gateway: { workers: 1 } },
    { folder, env: { NODE_COMPILE_CACHE: '/dev/null/nowhere' } },
  );
  expect(await process.stop()).toEqual({ code: 0, signal: null });
  return data;
}

test('compiled code is kept in the data directory where the installation takes none', async () => {
  const data = await dataAfterStart(0o700);
  const kept = readdirSync(join(data, 'compiled'), { recursive: true });
  expect(kept.length).toBeGreaterThan(100);
  expect(statSync(data).mode & 0o077).toBe(0);
});

test('no code is kept where others could put theirs', async () => {
  expect(existsSync(join(await dataAfterStart(0o770), 'compiled'))).toBe(false);
});

test('the data directory has none where the installation takes it', async () => {
  const realm = await RealmServer.start();
  const { process } = await serve({ realms: [realm.settings], gateway: { workers: 1 } });
  expect(await process.stop()).toEqual({ code: 0, signal: null });
  expect(existsSync(join(process.folder, 'data/compiled'))).toBe(false);
});

test('what one start has compiled is taken by every process of the next', async () => {
  const folder = temporaryFolder();
  const start = async (env: Record<string, string>): Promise<string> => {
    const { process } = await serve(
      {
        gateway: { workers: 1 },
        embeddedRealm: { listen: `127.0.0.1:${await freePort()}`, name: 'demo', users: USERS },
      },
      { folder, env: { NODE_COMPILE_CACHE: join(folder, 'compiled'), ...env } },
    );
    expect(await process.stop()).toEqual({ code: 0, signal: null });
    return process.stderr;
  };
  await start({});
  const told = await start({ NODE_DEBUG_NATIVE: 'COMPILE_CACHE' });
  const [taken, refused] = ['accepted', 'rejected'].map((what) => told.split(` was ${what}`).length - 1);
  expect(taken).toBeGreaterThan(300);
  expect(refused).toBe(0);
});
