import { once } from 'node:events';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { freePort } from '../../../support/free-port.ts';
import { SourceRepository, temporaryDirectory } from '../../git/source-repository.ts';
import { APP, get, portRange, TestDriver, until } from './test-driver.ts';

/** Listens like a program that has nothing to do with Realmgate. */
async function stranger(port: number): Promise<() => void> {
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return () => void server.close();
}

describe('a deployment', () => {
  test('runs the head of its branch and becomes ready on the configured port', async () => {
    const local = await TestDriver.start();
    const repository = new SourceRepository();
    const commit = repository.commit(APP);
    const port = await freePort();
    const id = await local.deploy(repository, { spec: { port } });
    const [origin] = await local.ready(id);
    expect(origin).toBe(`http://127.0.0.1:${port}`);
    expect(await get(`${origin!}/SERVICE_NAME`)).toBe('app');
    expect(await get(`${origin!}/PORT`)).toBe(String(port));
    expect(local.driver.state(id)?.resolvedCommit).toBe(commit);
    expect(local.told.map(({ kind }) => kind)).toEqual(['preparing', 'prepared', 'starting', 'ready']);
    expect(local.changed).toContain(id);
  });

  test('tells nothing from within a call', async () => {
    const local = await TestDriver.start();
    const id = await local.deploy(APP);
    local.changed.length = 0;
    local.driver.scale(id, 0);
    expect(local.changed).toEqual([]);
    await until(() => expect(local.replicas(id)).toEqual([]));
    expect(local.changed).toContain(id);
  });

  test('is gone once it was removed, with its processes, its clones and its port', async () => {
    const local = await TestDriver.start();
    const id = await local.deploy(APP);
    const [origin] = await local.ready(id);
    expect(readdirSync(join(local.dataDir, 'runs'))).toEqual([`${id}-1`]);
    await local.driver.remove(id);
    expect(local.driver.state(id)).toBeNull();
    expect(readdirSync(join(local.dataDir, 'runs'))).toEqual([]);
    await expect(get(origin!)).rejects.toThrow();
    await local.driver.remove(id); // what is not there is no error
    await local.event('stopped');
    expect((await local.lines()).at(-1)).toBe('[realmgate] Stopped');
  });

  test('runs again from a fresh clone of the same commit, after growing pauses, whatever its exit code', async () => {
    const local = await TestDriver.start({ restartBackoff: { first: 20, max: 80, resetAfter: 60_000 } });
    const repository = new SourceRepository();
    const commit = repository.commit({
      'run.sh': 'echo "left: $(ls)"; touch left-over; echo last words >&2; exit 0',
    });
    const id = await local.deploy(repository);
    await local.event('exited');
    repository.commit({ 'run.sh': 'echo newer; exit 1' });
    const { data, message, cause, replica } = await local.event('exited', 4);
    expect(message).toBe(`${cause!}; it is run again after ${message.split('after ').at(-1)!}`);
    expect(replica).toBe(`${id}-1`);
    expect(data).toMatchObject({ exitCode: 0, signal: null, reason: null, commit });
    expect(data['lastLines']).toEqual([
      expect.stringMatching(/Starts on port/),
      'left: run.sh',
      'last words',
    ]);
    expect(message).toMatch(/^It exited with code 0 after .* s; it is run again after 0\.1 s$/);
    const pauses = local.ofKind('exited').map(({ message: text }) => text.replace(/.*again after/, ''));
    expect(pauses.slice(0, 4)).toEqual([' 0 s', ' 0 s', ' 0.1 s', ' 0.1 s']);
    expect(local.replicas(id)[0]).toMatchObject({ lastExit: { code: 0, signal: null, reason: null } });
    expect(local.replicas(id)[0]!.restarts).toBeGreaterThanOrEqual(3);
    expect(await local.lines()).not.toContain('newer');
  });

  test('tells the signal that ended it, and that it is not ready at once', async () => {
    const local = await TestDriver.start({ restartBackoff: { first: 60_000, max: 60_000, resetAfter: 1 } });
    // The shell in between is not the one that Realmgate has started.
    const id = await local.deploy({ 'run.sh': 'exec bash -c "kill -SEGV \\$\\$"' });
    const { data } = await local.event('exited');
    expect(data).toMatchObject({ exitCode: null, signal: 'SIGSEGV' });
    expect(local.replicas(id)[0]).toMatchObject({ state: 'waiting', origin: null });
  });

  test('whose repository cannot be had is tried again, and says why', async () => {
    const local = await TestDriver.start();
    const directory = join(temporaryDirectory(), 'later');
    const id = await local.deploy(new SourceRepository(), {
      spec: { git: { repository: `file://${directory}`, branch: 'main', commit: null, credentials: null } },
    });
    const { message } = await local.event('prepare-failed');
    expect(message).toContain(directory);
    expect(local.replicas(id)[0]?.lastExit?.reason).toMatch(/^preparation failed: /);
    new SourceRepository(directory).commit(APP);
    await local.ready(id);
  });
});

describe('replicas', () => {
  test('get ports of their own, and the youngest are stopped first', async () => {
    const local = await TestDriver.start();
    const port = await freePort();
    const id = await local.deploy(APP, { spec: { port }, replicas: 3 });
    const origins = await local.ready(id, 3);
    expect(new Set(origins).size).toBe(3);
    expect(origins).toContain(`http://127.0.0.1:${port}`);
    local.driver.scale(id, 1);
    await until(() => expect(local.replicas(id)).toHaveLength(1));
    expect(local.replicas(id)[0]).toMatchObject({ id: `${id}-1`, state: 'ready' });
    local.driver.scale(id, 2);
    const [, second] = await local.ready(id, 2);
    expect(origins).not.toContain(second); // a port that was just given back rests
    local.driver.scale(id, 0);
    await until(() => expect(local.replicas(id)).toEqual([]));
  });

  test('leave the configured port to whoever has it', async () => {
    const range = portRange();
    const local = await TestDriver.start({ portRange: range });
    const port = await freePort();
    await stranger(port);
    const [origin] = await local.ready(await local.deploy(APP, { spec: { port } }));
    const given = Number(new URL(origin!).port);
    expect(given).toBeGreaterThanOrEqual(range.first);
    expect(given).toBeLessThanOrEqual(range.last);
  });

  test('get no requests while somebody else listens on their port, and then another one', async () => {
    const local = await TestDriver.start();
    const go = join(temporaryDirectory(), 'go');
    const wait = `until [[ -e ${go} ]]; do sleep 0.05; done`;
    const id = await local.deploy({ ...APP, 'run.sh': `${wait}\nexec node server.cjs\n` });
    const port = Number((await local.event('starting')).data['port']);
    await stranger(port);

    const { message } = await local.event('warning');
    expect(message).toContain(`Port ${port} is in use by process ${process.pid} (`);
    expect(local.replicas(id)[0]?.state).toBe('starting');

    writeFileSync(go, '');
    expect((await local.event('exited')).data['lastLines']).toContainEqual(
      expect.stringContaining('EADDRINUSE'),
    );
    expect(await local.ready(id)).not.toEqual([`http://127.0.0.1:${port}`]);
    expect(local.ofKind('ready')).toHaveLength(1);
  });

  test('are ready with a program that their script has left in the background', async () => {
    const local = await TestDriver.start();
    const run = `(setsid env -i PORT=$PORT ${process.execPath} server.cjs &)\nexec sleep 1000\n`;
    const [origin] = await local.ready(await local.deploy({ ...APP, 'run.sh': run }));
    expect(await get(origin!)).toMatch(/^\d+$/);
  });

  test('of two deployments never share a port', async () => {
    const local = await TestDriver.start();
    const port = await freePort();
    const old = await local.ready(await local.deploy(APP, { spec: { port } }));
    const successor = await local.ready(await local.deploy(APP, { spec: { port } }));
    expect(successor).not.toEqual(old);
  });

  test('wait for a fixed port, and tell who has it', async () => {
    const local = await TestDriver.start();
    const port = await freePort();
    const leave = await stranger(port);
    const id = await local.deploy(APP, { spec: { port, fixedPort: true } });
    const { message } = await local.event('prepare-failed');
    expect(message).toContain(`Port ${port} is in use by process ${process.pid} (`);
    leave();
    expect(await local.ready(id)).toEqual([`http://127.0.0.1:${port}`]);
  });

  test('leave a fixed port to the one that can do with no other', async () => {
    const local = await TestDriver.start();
    const port = await freePort();
    const other = await local.deploy(APP, { spec: { port }, service: 'other' });
    const fixed = await local.deploy(APP, { spec: { port, fixedPort: true } });
    expect(await local.ready(fixed)).toEqual([`http://127.0.0.1:${port}`]);
    expect(await local.ready(other)).not.toEqual([`http://127.0.0.1:${port}`]);
    await local.driver.remove(fixed);
    const next = await local.deploy(APP, { spec: { port }, service: 'other' });
    expect(await local.ready(next)).toEqual([`http://127.0.0.1:${port}`]);
  });

  test('tell when no port is left', async () => {
    const port = await freePort();
    const local = await TestDriver.start({ portRange: { first: port, last: port } });
    await local.deploy(APP, { spec: { port }, replicas: 2 });
    const { message } = await local.event('prepare-failed');
    expect(message).toContain(`None of the ports ${port} to ${port} is free`);
  });

  test('are not ready any more once somebody could not connect, until they accept again', async () => {
    const local = await TestDriver.start();
    const server = `
      const { existsSync } = require('node:fs');
      const server = require('node:http').createServer((request, response) => {
        response.end('closing');
        server.close();
        const timer = setInterval(() => existsSync('open') && (clearInterval(timer), listen()), 10);
      });
      const listen = () => server.listen(Number(process.env.PORT), '127.0.0.1');
      listen();
    `;
    const id = await local.deploy({ ...APP, 'server.cjs': server });
    const [origin] = await local.ready(id);
    await local.driver.suspect(origin!);
    expect(local.replicas(id)[0]?.state).toBe('ready');
    expect(await get(origin!)).toBe('closing');
    local.changed.length = 0;
    await until(async () => {
      await local.driver.suspect(origin!);
      expect(local.replicas(id)[0]?.state).toBe('starting');
    });
    expect(local.changed).toEqual([id]);
    expect((await local.event('warning')).message).toContain('no longer answers');
    writeFileSync(join(local.dataDir, 'runs', `${id}-1/1/clone/open`), '');
    expect(await local.ready(id)).toEqual([origin]);
    expect(local.replicas(id)[0]?.restarts).toBe(0);
  });

  test('with a health path are ready when it answers well', async () => {
    const local = await TestDriver.start();
    const id = await local.deploy(
      { ...APP, 'run.sh': 'touch unwell; node server.cjs & sleep 0.3; echo well; rm unwell; wait' },
      { spec: { health: { path: '/healthz' } } },
    );
    await local.ready(id);
    expect(await local.lines()).toContain('well');
    const [folder] = readdirSync(join(local.dataDir, 'runs'));
    const unwell = join(local.dataDir, 'runs', folder!, '1/clone/unwell');
    expect(existsSync(unwell)).toBe(false);
    writeFileSync(unwell, '');
    await local.ready(id, 0);
    expect(local.replicas(id)[0]?.state).toBe('starting');
    const { message } = await local.event('warning');
    expect(message).toContain('no longer answers');
  });
});
