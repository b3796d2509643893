import { expect, test } from 'vitest';
import { SourceRepository } from '../control/git/source-repository.ts';
import { exerciseOpenApi } from '../support/exercise-openapi.ts';
import { portRange } from '../support/free-port.ts';
import { RealmServer } from './realm-server.ts';
import { serve } from './serve-process.ts';

test('every operation of the OpenAPI document, against the real program: none fails, and each answers as documented', async () => {
  const realm = await RealmServer.start();
  const { process, admin } = await serve({
    realms: [realm.settings],
    services: { readyTimeout: '1s', local: { portRange: await portRange(60) } },
  });
  const token = await realm.token({ realm_access: { roles: ['realmgate-admin'] } });
  const send = async (method: string, path: string, body: object): Promise<void> => {
    const answer = await fetch(`${admin}/api/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    expect({ status: answer.status, body: await answer.text() }).toMatchObject({ status: 201 });
  };
  await send('PUT', '/secrets/openai', { data: { key: 'sk-0123456789' } });
  await send('PUT', '/environments/small', { variables: { A: 'b' } });
  const repository = new SourceRepository();
  repository.commit({ 'run.sh': 'exec sleep 1000\n' }); // takes no request, and does not end
  const git = { repository: repository.url };
  for (const name of ['a', 'b']) {
    await send('POST', '/services', { name, endpoint: `/${name}`, path: 'run.sh', git, minReplicas: 0 });
  }

  const exercised = await exerciseOpenApi({ baseUrl: admin, token, runs: 4 });

  const statuses = [...exercised.values()].flatMap((seen) => [...seen]);
  expect(statuses.filter((status) => status >= 500)).toEqual([]);
  expect(process.log().filter(({ level }) => level === 'error')).toEqual([]);
  expect(process.lines.join('\n')).not.toContain('sk-0123456789');
}, 300_000);
