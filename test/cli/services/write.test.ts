import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { scratch } from '../../config/support.ts';
import { Captured, startPlatform } from '../support/platform.ts';

const NEEDED = ['--git', 'https://git.example.com/a.git', '--path', 'run.sh', '--endpoint', '/web'];

function file(name: string, content: string): string {
  const path = join(scratch(), name);
  writeFileSync(path, content);
  return path;
}

describe('create', () => {
  test('sends a field for every flag, and no other', async () => {
    const { control, run } = await startPlatform();
    const flags = [
      ...[
        '--name',
        'web',
        '--branch',
        'main',
        '--commit',
        'abc123',
        '--credentials',
        'key',
        '--type',
        'pipeline',
      ],
      ...[
        '--port',
        '9000',
        '--min-replicas',
        '1',
        '--max-replicas',
        '3',
        '--param',
        'a=1=2',
        '--param',
        'b=',
      ],
      ...['--secret', 'x', '--secret', 'y', '--environment', 'gpu', '--fixed-port', '--no-strip-prefix'],
      ...['--role', 'realm:a', '--scope', 'read', '--client', 'istio', '--public', '--health', '/healthz'],
    ];
    const { code, out } = await run(['services', 'create', ...NEEDED, ...flags]);
    expect({ code, out }).toEqual({ code: 0, out: 'web is running: http://127.0.0.1:8080/web\n' });
    expect(control.bodies).toEqual([
      {
        name: 'web',
        endpoint: '/web',
        environment: 'gpu',
        type: 'pipeline',
        path: 'run.sh',
        port: 9000,
        minReplicas: 1,
        maxReplicas: 3,
        git: {
          repository: 'https://git.example.com/a.git',
          branch: 'main',
          commit: 'abc123',
          credentials: 'key',
        },
        parameters: { a: '1=2', b: '' },
        secrets: ['x', 'y'],
        fixedPort: true,
        stripPrefix: false,
        access: { roles: ['realm:a'], scopes: ['read'], clients: ['istio'] },
        public: true,
        health: { path: '/healthz' },
      },
    ]);
  });

  test('takes a YAML file or JSON on standard input, with the flags over it', async () => {
    const { control, run } = await startPlatform();
    const yaml = 'name: one\nendpoint: /one\npath: run.sh\ngit: {repository: file:///a, branch: main}\n';
    const args = ['services', 'create', '-f', file('app.yaml', yaml), '--branch', 'next', '--json'];
    expect(JSON.parse((await run(args)).out)).toMatchObject({ name: 'one', status: 'running' });
    const body = { endpoint: '/two', path: 'run.sh', git: { repository: 'file:///a' } };
    expect(await run(['services', 'create', '-f', '-', '--name', 'two'], JSON.stringify(body))).toMatchObject(
      {
        code: 0,
      },
    );
    expect(control.bodies).toMatchObject([
      { git: { repository: 'file:///a', branch: 'next' } },
      { ...body, name: 'two' },
    ]);
  });

  test('tells every wrong field with the flag that sets it', async () => {
    const { run } = await startPlatform();
    const args = [
      '--git',
      'file:///a',
      '--endpoint',
      'hello',
      '--path',
      'run.sh',
      '--port',
      '0',
      '--role',
      'x',
    ];
    const { code, out, err } = await run(['services', 'create', ...args]);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    const lines = err.split('\n');
    expect(lines[0]).toBe('realmgate services create: 3 fields are wrong:');
    expect(lines.slice(1, 4).toSorted()).toEqual([
      expect.stringMatching(/^ {2}access\.roles\.0 \(--role\): /) as string,
      expect.stringMatching(/^ {2}endpoint \(--endpoint\): /) as string,
      expect.stringMatching(/^ {2}port \(--port\): /) as string,
    ]);
  });

  test('shows what happens while it starts, one line each, until it runs', async () => {
    const { control, begin } = await startPlatform();
    control.newStatus = 'starting';
    const child = begin(['services', 'create', ...NEEDED, '--name', 'web']);
    const [out, err] = [new Captured(child.stdout), new Captured(child.stderr)];
    await err.until('created');
    control.happen('web', 'prepared', 'Commit 0123456 is checked out');
    control.become('web', 'running');
    const [code] = (await once(child, 'close')) as [number];
    expect(err.text).toMatch(/^created .*\nprepared +\[r1\] Commit 0123456 is checked out\n$/);
    expect({ code, out: out.text }).toEqual({ code: 0, out: 'web is running: http://127.0.0.1:8080/web\n' });
  });

  test('exits 1 when it fails, and says why: exit code and last lines', async () => {
    const { control, begin } = await startPlatform();
    control.newStatus = 'starting';
    const child = begin(['services', 'create', ...NEEDED, '--name', 'web']);
    await expect.poll(() => control.bodies.length).toBe(1);
    const err = new Captured(child.stderr);
    control.happen('web', 'exited', 'The program ended with exit code 3', {
      exitCode: 3,
      lastLines: ['no model'],
    });
    control.happen('web', 'failed', 'It ended three times before it was ready');
    control.become('web', 'failed');
    expect((await once(child, 'close'))[0]).toBe(1);
    expect(err.text).toMatch(
      /realmgate services create: web failed: It ended three times before it was ready\nexited +\[r1\] The program ended with exit code 3\n {2}exitCode: 3\n {2}lastLines:\n {4}no model\n/,
    );
  });

  test('Ctrl-C stops the waiting and not the service, and says so', async () => {
    const { control, begin } = await startPlatform();
    control.newStatus = 'starting';
    const child = begin(['services', 'create', ...NEEDED, '--name', 'web']);
    await expect.poll(() => control.bodies.length).toBe(1);
    const err = new Captured(child.stderr);
    await err.until('created');
    child.kill('SIGINT');
    expect((await once(child, 'close'))[0]).toBe(1);
    expect(err.text).toContain('no longer waiting; web goes on starting');
    expect(control.getService('web').status).toBe('starting');
  });

  test.each([
    ['--no-wait', ['--no-wait'], 'web is starting: '],
    ['no replica to start', ['--min-replicas', '0'], 'web is starting: '],
  ])('does not wait with %s', async (_what, flags, said) => {
    const { control, run } = await startPlatform();
    control.newStatus = 'starting';
    const { code, out } = await run(['services', 'create', ...NEEDED, '--name', 'web', ...flags]);
    expect(code).toBe(0);
    expect(out).toContain(said);
  });

  test('--timeout ends the waiting', async () => {
    const { control, run } = await startPlatform();
    control.newStatus = 'starting';
    const { code, err } = await run(['services', 'create', ...NEEDED, '--name', 'web', '--timeout', '1']);
    expect(code).toBe(1);
    expect(err).toContain('it takes longer than --timeout; web goes on starting');
  });

  test.each([
    [['services', 'create'], 'what to run is missing'],
    [['services', 'create', '--endpiont', 'x'], 'there is no option --endpiont; did you mean --endpoint?'],
    [['services', 'create', '--port', 'http'], '--port takes a whole number'],
    [['services', 'create', '--param', 'x'], '--param takes KEY=VALUE'],
    [['services', 'create', '--name', '--json'], '--name needs its value'],
    [['services', 'create', '-f', '/nowhere/app.yaml'], 'the file /nowhere/app.yaml cannot be read (ENOENT)'],
  ])('%j is wrong usage', async (args, message) => {
    const { run } = await startPlatform();
    const { code, out, err } = await run(args);
    expect({ code, out }).toEqual({ code: 64, out: '' });
    expect(err).toContain(`realmgate: ${message}`);
    expect(err).toContain('See: realmgate services create --help\n');
  });

  test('a file that is no YAML is told with its line and column', async () => {
    const { run } = await startPlatform();
    const path = file('app.yaml', 'name: web\ngit: {a: 1\n');
    expect((await run(['services', 'create', '-f', path])).err).toMatch(
      /^realmgate: .*app\.yaml:\d+:\d+: \S/,
    );
  });
});

describe('update and clone', () => {
  test('an update sends only what is given, as a merge patch', async () => {
    const { control, add, run } = await startPlatform();
    await add('web', { parameters: { keep: '1', drop: '2' }, secrets: ['x'] });
    const flags = ['--param', 'new=3', '--unset-param', 'drop', '--no-branch', '--secret', 'y', '--no-role'];
    expect(await run(['services', 'update', 'web', ...flags, '--no-health'])).toMatchObject({ code: 0 });
    expect(control.bodies).toEqual([
      {
        git: { branch: null },
        parameters: { new: '3', drop: null },
        secrets: ['y'],
        access: { roles: [] },
        health: null,
      },
    ]);
    expect(control.getService('web').parameters).toEqual({ keep: '1', new: '3' });
  });

  test('an update that fails leaves the old one, exits 1 and says why', async () => {
    const { control, add, begin } = await startPlatform();
    await add('web');
    const gate = Promise.withResolvers<undefined>();
    control.gate = gate.promise;
    control.failure = 'The program ended with exit code 3; what ran before stays';
    const child = begin(['services', 'update', 'web', '--branch', 'next']);
    const err = new Captured(child.stderr);
    await expect.poll(() => control.bodies.length).toBe(1);
    control.happen('web', 'exited', 'The program ended with exit code 3; it is run again after 4 s', {
      lastLines: ['no model'],
      nextRetry: '2026-11-25T12:00:00.000Z',
    });
    gate.resolve(undefined);
    expect((await once(child, 'close'))[0]).toBe(1);
    const [, said] = err.text.split('realmgate services update: ');
    expect(said).toMatch(
      /^The program ended with exit code 3; what ran before stays\n {2}lastLines:\n {4}no model\nMore: /,
    );
  });

  test('Ctrl-C during a restart says that it goes on', async () => {
    const { control, add, begin } = await startPlatform();
    await add('web');
    const gate = Promise.withResolvers<undefined>();
    control.gate = gate.promise;
    const child = begin(['services', 'restart', 'web']);
    const err = new Captured(child.stderr);
    await expect.poll(() => control.restarts).toBe(1);
    control.happen('web', 'starting', 'The program starts');
    await err.until('The program starts');
    child.kill('SIGINT');
    expect((await once(child, 'close'))[0]).toBe(1);
    expect(err.text).toContain('no longer waiting; the restart of web goes on');
    gate.resolve(undefined);
  });

  test('without a change it is wrong usage', async () => {
    const { run } = await startPlatform();
    expect(await run(['services', 'update', 'web'])).toMatchObject({ code: 64, out: '' });
  });

  test('a past service is cancelled, and cloned by its name', async () => {
    const { control, add, run } = await startPlatform();
    const { id } = await add('web');
    expect((await run(['services', 'cancel', 'web'])).out).toBe('web is cancelled\n');
    const again = await run(['services', 'cancel', 'web']);
    expect(again).toMatchObject({ code: 1, err: 'realmgate services cancel: The service is cancelled\n' });
    const cloned = await run(['services', 'clone', 'web', '--name', 'web-2', '--endpoint', '/web-2']);
    expect(cloned).toMatchObject({ code: 0, out: 'web-2 is running: http://127.0.0.1:8080/web-2\n' });
    expect(control.getService('web-2')).toMatchObject({ clonedFrom: id });
  });
});

test('preflight says ok, or every problem and exits 1', async () => {
  const { run } = await startPlatform();
  expect(await run(['services', 'preflight', ...NEEDED])).toMatchObject({
    code: 0,
    out: '✓ nothing stands in the way\n',
  });
  const { code, out } = await run(['services', 'preflight', ...NEEDED, '--port', '0']);
  expect(code).toBe(1);
  expect(out).toMatch(/^✗ port \(--port\): .+\n$/);
});
