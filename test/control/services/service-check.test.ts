import { expect, test } from 'vitest';
import type { SourceCheck } from '../../../src/contracts/driver.ts';
import type { Environment, Problem } from '../../../src/contracts/service.ts';
import { ServiceCheck, type Surroundings } from '../../../src/control/services/service-check.ts';

const DEFAULT: Environment = {
  name: 'default',
  variables: {},
  interpreters: { bash: null, python: null, node: null },
  resources: { cpu: null, memory: null },
  image: null,
  kubernetes: {},
};

const BODY = {
  name: 'otter',
  endpoint: '/otter',
  path: 'run.sh',
  git: { repository: 'https://git.example.com/app.git' },
};

function start(around: Partial<Surroundings> = {}, found: readonly Problem[] = []) {
  const asked: SourceCheck[] = [];
  const check = new ServiceCheck({
    environment: (name) => (name === 'default' ? DEFAULT : null),
    secretKeys: () => null,
    secretValues: () => null,
    holder: () => null,
    fixedPortHolder: () => null,
    driver: {
      check: (source) => {
        asked.push(source);
        return Promise.resolve(found);
      },
    },
    ...around,
  });
  return { check, asked };
}

test('what both the secret and the repository say of credentials is told once', async () => {
  const { check } = start({ secretKeys: () => ['other'], secretValues: () => ({ other: 'x' }) }, [
    { field: 'git.credentials', message: 'the driver says it too' },
    { field: 'path', message: 'is not there' },
  ]);
  const body = { ...BODY, git: { ...BODY.git, credentials: 'openai' } };
  const problems = await check.problems(body, { kind: 'new' });
  expect(problems.map(({ field }) => field)).toEqual(['git.credentials', 'path']);
  expect(problems[0]!.message).toContain('needs a secret with the keys');
});

test('a fixed port is of one service only, whose own changes are no conflict', async () => {
  const { check, asked } = start({
    fixedPortHolder: (port, except) => (port === 8787 && except !== 'a' ? 'lynx' : null),
  });
  await expect(check.service({ ...BODY, fixedPort: true }, { kind: 'new' })).rejects.toMatchObject({
    code: 'conflict',
    message: 'port: 8787 is the fixed port of the service lynx, and can be that of one only',
  });
  const other = { ...BODY, fixedPort: true, port: 8788 };
  expect(await check.service(other, { kind: 'new' })).toMatchObject({ port: 8788 });
  expect(await check.service(BODY, { kind: 'new' })).toMatchObject({ port: 8787 });
  const base = await check.service(BODY, { kind: 'new' });
  expect(await check.service({ fixedPort: true }, { kind: 'update', base, id: 'a' })).toMatchObject({
    port: 8787,
  });
  expect(asked.at(-1)).toMatchObject({ port: 8787, fixedPort: true, service: 'a' });
});
