import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { freePort } from '../../../support/free-port.ts';
import { SourceRepository, temporaryDirectory } from '../../git/source-repository.ts';
import { DriverProcess } from './driver-process.ts';
import { processesNamed, uniqueSeconds } from './processes.ts';
import { APP, deployment, get, TestDriver, until } from './test-driver.ts';

function newDataDir(): string {
  const dataDir = join(temporaryDirectory(), 'data');
  mkdirSync(dataDir, { mode: 0o700 });
  return dataDir;
}

describe('after kill -9', () => {
  test('everything ends by itself, daemons and what ignores TERM included', async () => {
    const seconds = uniqueSeconds();
    const repository = new SourceRepository();
    repository.commit({
      ...APP,
      'run.sh': `(setsid bash -c 'trap "" TERM; sleep ${seconds}; sleep ${seconds}' &); exec node server.cjs`,
    });
    const port = await freePort();
    const dataDir = newDataDir();
    const first = new DriverProcess(dataDir, [await deployment('d1', repository, { spec: { port } })]);
    await first.event('ready');
    await until(() => expect(processesNamed(seconds)).not.toEqual([]));
    await first.end('SIGKILL');
    await until(() => expect(processesNamed(seconds)).toEqual([]));
    await expect(get(`http://127.0.0.1:${port}`)).rejects.toThrow();
    await new DriverProcess(dataDir, []).event('started'); // takes away what only the next one can
  });

  test('the next start ends what is left before anything runs, and gives the port again', async () => {
    const seconds = uniqueSeconds();
    const repository = new SourceRepository();
    repository.commit({
      ...APP,
      'run.sh': `bash -c 'trap "" TERM; sleep ${seconds}; sleep ${seconds}' & exec node server.cjs`,
    });
    const port = await freePort();
    const dataDir = newDataDir();
    const deployments = [await deployment('d1', repository, { spec: { port }, replicas: 2 })];
    const first = new DriverProcess(dataDir, deployments);
    await first.event('ready', 2);
    const before = processesNamed(seconds);
    expect(before.length).toBeGreaterThanOrEqual(2);
    await first.end('SIGKILL');
    const second = new DriverProcess(dataDir, deployments);
    await second.event('started');
    for (const pid of before) expect(processesNamed(seconds)).not.toContain(pid);
    await second.event('ready', 2);
    const ports = second.told.filter(({ kind }) => kind === 'ready').map(({ data }) => data!['origin']);
    expect(ports).toContain(`http://127.0.0.1:${port}`);
    expect(readdirSync(join(dataDir, 'runs')).sort()).toEqual(['d1-1', 'd1-2']);
    await second.end('SIGTERM');
    expect(processesNamed(seconds)).toEqual([]);
    expect(readdirSync(join(dataDir, 'runs'))).toEqual([]);
  });

  test('at any moment of a start, the next one is clean', async () => {
    const seconds = uniqueSeconds();
    const repository = new SourceRepository();
    repository.commit({ 'run.sh': `exec sleep ${seconds}` });
    const dataDir = newDataDir();
    const deployments = [
      await deployment('d1', repository, { replicas: 3, secrets: { s: { key: 'value' } } }),
    ];
    for (const kind of ['started', 'preparing', 'prepared', 'starting']) {
      const killed = new DriverProcess(dataDir, deployments);
      await killed.event(kind);
      await killed.end('SIGKILL');
    }
    const last = new DriverProcess(dataDir, deployments);
    await last.event('starting', 3);
    await until(() => expect(readdirSync(join(dataDir, 'runs'))).toHaveLength(3));
    await until(() => expect(processesNamed(seconds).filter((pid) => isSleep(pid))).toHaveLength(3));
    await last.end('SIGTERM');
    expect(processesNamed(seconds)).toEqual([]);
  });

  test('two drivers do not share a data directory', async () => {
    const dataDir = newDataDir();
    const first = new DriverProcess(dataDir, []);
    await first.event('started');
    const second = new TestDriver({}, dataDir);
    await expect(second.driver.start()).rejects.toThrow(/is used by process \d+ already/);
    await first.end('SIGKILL');
    await second.driver.start();
    await second.driver.close();
  });
});

function isSleep(pid: number): boolean {
  return processesNamed('sleep').includes(pid);
}
