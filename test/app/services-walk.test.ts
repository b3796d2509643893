import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Finished, runRealmgate } from '../cli/run-realmgate.ts';
import { SourceRepository } from '../control/git/source-repository.ts';
import { freePort, portRange } from '../support/free-port.ts';
import { ROOT, serve, temporaryFolder } from './serve-process.ts';

const SERVER = `
import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
const { PORT, MODEL_NAME, HYPERPLANE_CUSTOM_SECRET_KEY_OPENAI_KEY: key } = process.env;
createServer((request, response) => {
  console.log('asked for', request.url, 'with the key', key);
  const file = readFileSync(process.env.HYPERPLANE_SECRETS_DIR + '/openai/openai-key', 'utf8');
  response.end(JSON.stringify({ says: 'SAYS', model: MODEL_NAME, secret: key === file && key.length }));
}).listen(PORT, '127.0.0.1', () => console.log('listens'));
`;

/** A service that says what it is given. */
function program(says: string): Record<string, string> {
  return { 'server.mjs': SERVER.replace('SAYS', says), 'run.sh': 'exec node server.mjs\n' };
}

test('a service from its repository to its end, and back: by the command line and as its clients see it', async () => {
  const realmPort = await freePort();
  const gatewayPort = await freePort();
  const config = {
    gateway: { listen: `127.0.0.1:${gatewayPort}` },
    embeddedRealm: {
      listen: `127.0.0.1:${realmPort}`,
      name: 'demo',
      users: [
        { username: 'alice', password: 'alice', roles: [] },
        { username: 'admin', password: 'admin', roles: ['realmgate-admin'] },
      ],
    },
    services: { local: { portRange: await portRange(), restartBackoff: { first: '10ms' } } },
    example: { directory: join(ROOT, 'config/examples/hello') },
  };
  const { process, gateway, admin } = await serve(config);
  const sign = await runRealmgate([
    'token',
    '--user',
    'admin',
    '--password',
    'admin',
    '--url',
    `${gateway}/auth/realms/demo`,
  ]);
  expect(sign).toMatchObject({ code: 0, err: '' });
  const token = sign.out.trim();

  const realmgate = async (...args: string[]): Promise<Finished> => {
    const finished = await runRealmgate([...args, '--admin-url', admin], ROOT, { REALMGATE_TOKEN: token });
    expect({ args, ...finished }).toMatchObject({ code: 0 });
    return finished;
  };
  const call = async (path: string): Promise<{ status: number; body: Record<string, unknown> }> => {
    const answer = await fetch(gateway + path, { headers: { authorization: `Bearer ${token}` } });
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
  };

  // `hello` is there from the start, from the repository that was made of its directory.
  expect(await call('/hello')).toMatchObject({ status: 200, body: { user: 'admin' } });
  expect((await realmgate('services', 'list')).out).toMatch(/^hello .*running/m);

  // A second one, with a parameter and a secret.
  const source = new SourceRepository();
  source.commit(program('first'));
  const key = join(temporaryFolder(), 'key');
  writeFileSync(key, 'sk-0123456789');
  await realmgate('secrets', 'set', 'openai', '--from-file', `openai-key=${key}`);
  await realmgate(
    ...['services', 'create', '--name', 'summary', '--endpoint', '/summary', '--git', source.url],
    ...['--path', 'run.sh', '--param', 'model-name=small', '--secret', 'openai', '--wait'],
  );
  expect(await call('/summary/x')).toEqual({
    status: 200,
    body: { says: 'first', model: 'small', secret: 13 },
  });

  // Its logs, without the secret that it prints.
  const logs = (await realmgate('services', 'logs', 'summary')).out;
  expect(logs).toContain('listens');
  expect(logs).toContain('asked for /x with the key ***');
  expect(logs).not.toContain('sk-0123456789');

  // Its environment cannot take a variable away from it.
  expect(
    await runRealmgate(
      ['environments', 'set', 'default', '--var', 'MODEL_NAME=large', '--admin-url', admin],
      ROOT,
      { REALMGATE_TOKEN: token },
    ),
  ).toMatchObject({ code: 1, err: expect.stringContaining('of the service summary') as string });

  // Changed code comes with a restart.
  source.commit(program('second'));
  expect(await call('/summary')).toMatchObject({ body: { says: 'first' } });
  await realmgate('services', 'restart', 'summary');
  expect(await call('/summary')).toMatchObject({ body: { says: 'second' } });

  // A clone at another endpoint lives beside it.
  await realmgate(
    'services',
    'clone',
    'summary',
    '--name',
    'copy',
    '--endpoint',
    '/copy',
    '--param',
    'model-name=large',
  );
  expect(await call('/copy')).toMatchObject({ status: 200, body: { model: 'large' } });
  expect(await call('/summary')).toMatchObject({ status: 200, body: { model: 'small' } });

  // Cancelled, it is gone at once, and its history stays.
  const { id } = JSON.parse((await realmgate('services', 'show', 'summary', '--json')).out) as { id: string };
  const followed = realmgate('services', 'logs', '-f', 'summary');
  await realmgate('services', 'cancel', 'summary');
  expect((await followed).out).toMatch(/listens\n(?:.*\n)*\[.*\] \[realmgate\] Stopped\n$/);
  expect((await realmgate('services', 'logs', '-f', id)).out).toMatch(/Stopped\n$/);
  expect(
    await runRealmgate(['services', 'cancel', id, '--admin-url', admin], ROOT, { REALMGATE_TOKEN: token }),
  ).toMatchObject({ code: 1, err: expect.stringContaining('is cancelled already') as string });
  expect(await call('/summary')).toMatchObject({ status: 404, body: { code: 'no_such_service' } });
  expect((await realmgate('services', 'logs', id)).out).toContain('listens');
  expect((await realmgate('services', 'events', id)).out).toContain('cancelled');

  // And back, from the past one.
  await realmgate('services', 'clone', id, '--name', 'summary');
  expect(await call('/summary')).toMatchObject({ status: 200, body: { says: 'second', model: 'small' } });

  // Nobody waits for one that has failed, and that is what is foretold.
  source.commit({ 'fail.sh': 'exit 3\n' });
  const broken = ['--name', 'broken', '--endpoint', '/broken', '--git', source.url, '--path', 'fail.sh'];
  expect(
    await runRealmgate(['services', 'create', ...broken, '--admin-url', admin], ROOT, {
      REALMGATE_TOKEN: token,
    }),
  ).toMatchObject({ code: 1, err: expect.stringContaining('It exited with code 3') as string });
  expect(await call('/broken')).toMatchObject({ status: 503, body: { code: 'service_unavailable' } });
  expect(
    await runRealmgate(['explain', '/broken', '--own-token', '--admin-url', admin], ROOT, {
      REALMGATE_TOKEN: token,
    }),
  ).toMatchObject({ code: 1, out: expect.stringContaining('503 service_unavailable') as string });
  await realmgate('services', 'cancel', 'broken');

  // What runs comes back with the program.
  expect(await process.stop()).toEqual({ code: 0, signal: null });
  expect(process.lines.join('\n') + process.stderr).not.toContain('sk-0123456789');
  await serve(config, { folder: process.folder });
  for (const path of ['/hello', '/summary', '/copy']) expect(await call(path)).toMatchObject({ status: 200 });
}, 120_000);
