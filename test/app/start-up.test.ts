import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer as createTcpServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';

import { describe, expect, onTestFinished, test } from 'vitest';

import { freePort } from '../support/free-port.ts';
import { RealmServer } from './realm-server.ts';
import { childrenOf, ROOT, runs, serve, ServeProcess, temporaryFolder, until } from './serve-process.ts';

const EXAMPLE = join(ROOT, 'config/examples/hello');
const USERS = [{ username: 'alice', password: 'alice', roles: [] }];

/** A port that another program uses. */
async function takenPort(): Promise<number> {
  const server = createTcpServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

/** Waits for the failure; nothing it had started may be left. */
async function failure(process: ServeProcess): Promise<{ code: number | null; lines: string[] }> {
  const { pid } = process;
  const seen = new Set<number>();
  const looking = setInterval(() => {
    for (const child of childrenOf(pid)) seen.add(child);
  }, 5);
  const { code } = await process.exited;
  clearInterval(looking);
  expect([...seen].filter(runs)).toEqual([]);
  return { code, lines: process.stderr.trimEnd().split('\n') };
}

describe('listening', () => {
  test('is told once, with URLs that accept, and everything on standard output is JSON', async () => {
    const realm = await RealmServer.start();
    const { process, gateway, admin } = await serve({ realms: [realm.settings], gateway: { workers: 2 } });

    expect((await fetch(gateway)).status).toBe(401);
    expect((await fetch(`${admin}/readyz`)).status).toBe(200);
    expect(await process.stop()).toEqual({ code: 0, signal: null });
    const lines = process.log();
    expect(lines.filter((line) => line['event'] === 'listening')).toHaveLength(1);
    for (const line of lines) {
      expect(line).toMatchObject({ level: expect.any(String) as string, time: expect.any(String) as string });
    }
  });

  test('waits until every worker serves', async () => {
    const realm = await RealmServer.start();
    const { process } = await serve({ realms: [realm.settings], gateway: { workers: 3 } });

    expect(process.workers()).toHaveLength(3);
  });
});

describe('a start that the machine does not allow', () => {
  test.each(['gateway', 'admin'] as const)('%s port in use: one line, exit 1', async (listener) => {
    const realm = await RealmServer.start();
    const port = await takenPort();
    const process = new ServeProcess({
      realms: [realm.settings],
      [listener]: { listen: `127.0.0.1:${port}`, ...(listener === 'admin' ? { realm: 'demo' } : {}) },
    });

    const name = { gateway: 'gateway', admin: 'admin listener' }[listener];
    expect(await failure(process)).toEqual({
      code: 1,
      lines: [
        `realmgate: The ${name} cannot listen on 127.0.0.1:${port}: another program uses that port; stop it or choose another port`,
      ],
    });
    expect(process.lines).toEqual([]);
  });

  test('embedded realm port in use: one line, exit 1, and no service was started', async () => {
    const port = await takenPort();
    const process = new ServeProcess({
      embeddedRealm: { listen: `127.0.0.1:${port}`, name: 'demo', users: USERS },
      example: { directory: EXAMPLE },
    });

    expect(await failure(process)).toEqual({
      code: 1,
      lines: [
        `realmgate: The embedded realm cannot listen on 127.0.0.1:${port}: another program uses that port; stop it or choose another port`,
      ],
    });
    expect(existsSync(join(process.folder, 'data/logs'))).toBe(false);
  });

  test('data directory that another serve uses: one line, exit 1', async () => {
    const realm = await RealmServer.start();
    const first = await serve({ realms: [realm.settings] });
    const process = new ServeProcess({ realms: [realm.settings] }, { folder: first.process.folder });

    const { code, lines } = await failure(process);
    expect({ code, lines: lines.length }).toEqual({ code: 1, lines: 1 });
    expect(lines[0]).toContain(join(first.process.folder, 'data'));
  });

  test('driver that this version lacks: one line, exit 1', async () => {
    const realm = await RealmServer.start();
    const process = new ServeProcess({ realms: [realm.settings], services: { driver: 'kubernetes' } });

    expect(await failure(process)).toEqual({
      code: 1,
      lines: [
        'realmgate: This version runs services on this machine only: set services.driver to local, or to none where no services are run',
      ],
    });
  });

  test.each(['gateway', 'admin'] as const)(
    '%s address that this machine lacks: one line, exit 1',
    async (listener) => {
      const realm = await RealmServer.start();
      const process = new ServeProcess({
        realms: [realm.settings],
        [listener]: { listen: '192.0.2.1:0', ...(listener === 'admin' ? { realm: 'demo' } : {}) },
      });

      const { code, lines } = await failure(process);
      expect(code).toBe(1);
      expect(lines).toHaveLength(1);
      expect(lines[0]).toContain('cannot listen on 192.0.2.1:0: this machine has no such address');
    },
  );

  test('file in the place of the data directory: one line, exit 1, nothing bound', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'data'), 'a file');
    const realm = await RealmServer.start();
    const process = new ServeProcess({ realms: [realm.settings] }, { folder });

    expect(await failure(process)).toEqual({
      code: 1,
      lines: [
        `realmgate: The data directory ${join(folder, 'data')} cannot be used: a file stands in the way; set dataDir to one that can`,
      ],
    });
  });

  test('data directory below a file: one line, exit 1', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'data'), 'a file');
    const realm = await RealmServer.start();
    const dataDir = join(folder, 'data/below');
    const process = new ServeProcess({ realms: [realm.settings], dataDir }, { folder });

    expect(await failure(process)).toEqual({
      code: 1,
      lines: [
        `realmgate: The data directory ${dataDir} cannot be used: a file stands in the way; set dataDir to one that can`,
      ],
    });
  });

  test.each(['/proc', '/proc/realmgate'])(
    'data directory %s, where nothing can be made: one line, exit 1',
    async (dataDir) => {
      const realm = await RealmServer.start();
      // The kernel's own file systems take nothing from anybody, root included.
      const process = new ServeProcess({ realms: [realm.settings], dataDir });

      const { code, lines } = await failure(process);
      expect(code).toBe(1);
      expect(lines).toHaveLength(1);
      expect(lines[0]).toContain(`The data directory ${dataDir} cannot be used: `);
    },
  );

  test('file in the place of the embedded realm’s folder: one line, exit 1', async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'data'));
    writeFileSync(join(folder, 'data/embedded'), 'a file');
    const process = new ServeProcess(
      { embeddedRealm: { listen: `127.0.0.1:${await freePort()}`, name: 'demo', users: USERS } },
      { folder },
    );

    const { code, lines } = await failure(process);
    expect(code).toBe(1);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('The embedded realm cannot start: ');
  });
});

describe('an invalid configuration', () => {
  test('exits 64 with every fault, and binds and makes nothing', async () => {
    const folder = temporaryFolder();
    const process = new ServeProcess(
      { realms: [{ name: 'demo' }], gateway: { listen: 'nowhere', workers: -1 } },
      { folder },
    );

    const { code, lines } = await failure(process);
    expect(code).toBe(64);
    expect(lines).toHaveLength(3);
    for (const line of lines) expect(line).toMatch(/realmgate\.json:\d+:\d+: /);
    expect(process.lines).toEqual([]);
    expect(existsSync(join(folder, 'data'))).toBe(false);
  });
});

describe('a signal during the start', () => {
  test('ends it with exit 0 and leaves nothing running', async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'data'));
    // A realm that accepts and never answers keeps the start waiting.
    const silent = createTcpServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    onTestFinished(() => void silent.close());
    const { port } = silent.address() as AddressInfo;
    const process = new ServeProcess(
      { realms: [{ name: 'demo', url: `http://127.0.0.1:${port}/auth/realms/demo` }] },
      { folder },
    );
    const [socket] = (await once(silent, 'connection')) as [{ destroy(): void }];
    onTestFinished(() => socket.destroy());
    await until(() => process.workers().length === 1);
    const [worker] = process.workers();

    process.kill('SIGTERM');

    expect(await process.exited).toEqual({ code: 0, signal: null });
    expect(runs(worker!)).toBe(false);
    expect(process.log().filter((line) => line['event'] === 'listening')).toEqual([]);
  });
});
