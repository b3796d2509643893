import { once } from 'node:events';
import { readFileSync, symlinkSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { SourceCheck } from '../../../../src/contracts/driver.ts';
import type { Environment, Problem } from '../../../../src/contracts/service.ts';
import { SourceRepository } from '../../git/source-repository.ts';
import { APP, ENVIRONMENT, TestDriver } from './test-driver.ts';

async function check(
  files: Readonly<Record<string, string>> | SourceRepository,
  source: Partial<SourceCheck> = {},
  interpreters: Partial<Environment['interpreters']> = {},
): Promise<readonly Problem[]> {
  const local = await TestDriver.start();
  const repository = files instanceof SourceRepository ? files : new SourceRepository();
  if (!(files instanceof SourceRepository)) repository.commit(files);
  return local.driver.check({
    git: repository.source(),
    credentials: null,
    type: 'shell',
    path: 'run.sh',
    port: 8787,
    fixedPort: false,
    service: null,
    environment: { ...ENVIRONMENT, interpreters: { ...ENVIRONMENT.interpreters, ...interpreters } },
    ...source,
  });
}

const PIPELINE = { type: 'pipeline', path: 'p.yaml' } as const;

describe('a check finds', () => {
  test('nothing wrong with what can work', async () => {
    expect(await check({ 'run.sh': 'true' })).toEqual([]);
    const files = {
      'p.yaml':
        'pipeline: {name: x, tasks: [{name: a, type: bash script, bash_script_path: a.sh, port: 8787}]}',
      'a.sh': '',
    };
    expect(await check(files, PIPELINE)).toEqual([]);
    const dotted = files['p.yaml'].replace('tasks:', 'working_dir: ., tasks:').replace(': a.sh', ': ./a.sh');
    expect(await check({ ...files, 'p.yaml': dotted }, { ...PIPELINE, path: './p.yaml' })).toEqual([]);
  });

  test('a repository, a branch and a commit that are not there', async () => {
    const repository = new SourceRepository();
    repository.commit({ 'run.sh': '' });
    const fields = async (git: object): Promise<string[]> =>
      (await check(repository, { git: { ...repository.source(), ...git } })).map(({ field }) => field);
    expect(await fields({ branch: 'nope' })).toEqual(['git.branch']);
    expect(await fields({ commit: 'abcdef1234' })).toEqual(['git.commit']);
    expect(await fields({ repository: 'file:///nowhere/at/all' })).toEqual(['git.repository']);
    expect(await fields({ repository: 'ext::sh -c true' })).toEqual(['git.repository']);
  });

  test('a path that is missing, a directory, or leads out of the repository', async () => {
    const repository = new SourceRepository();
    repository.write({ 'scripts/run.sh': '' });
    symlinkSync('/etc/passwd', join(repository.directory, 'out.sh'));
    symlinkSync('scripts/run.sh', join(repository.directory, 'link.sh'));
    repository.commit({});
    const of = (path: string): Promise<readonly Problem[]> => check(repository, { path });
    expect(await of('nope.sh')).toEqual([
      { field: 'path', message: 'nope.sh is not in the repository at this commit' },
    ]);
    expect(await of('scripts')).toEqual([{ field: 'path', message: 'scripts is a directory, not a file' }]);
    expect(await of('out.sh')).toEqual([
      { field: 'path', message: 'out.sh is a link that leads out of the repository' },
    ]);
    expect(await of('link.sh')).toEqual([]);
  });

  test('a fixed port that something else has', async () => {
    const local = await TestDriver.start();
    const [origin] = await local.ready(await local.deploy(APP, { service: 'other' }));
    const port = Number(new URL(origin!).port);
    const repository = new SourceRepository();
    repository.commit({ 'run.sh': '' });
    const of = async (changes: Partial<SourceCheck>): Promise<string[]> => {
      const problems = await local.driver.check({
        ...{ git: repository.source(), credentials: null, type: 'shell', path: 'run.sh', port: null },
        ...{ fixedPort: true, service: null, environment: ENVIRONMENT, ...changes },
      });
      return problems.map(({ field, message }) => `${field}: ${message}`);
    };
    expect(await of({ port })).toEqual([
      `port: Port ${port} is in use by the service app: restart that first, and it gets another one`,
    ]);
    expect(await of({ port, fixedPort: false })).toEqual([]);
    expect(await of({ port, service: 'other' })).toEqual([]);
    const server = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void server.close());
    await once(server, 'listening');
    const { port: used } = server.address() as AddressInfo;
    expect(await of({ port: used })).toEqual([
      `port: Port ${used} is in use by process ${process.pid} (${readFileSync('/proc/self/comm', 'utf8').trim()})`,
    ]);
  });

  test('everything that is wrong with a pipeline at once', async () => {
    const problems = await check(
      {
        'p.yaml':
          'pipeline:\n  name: x\n  tasks:\n    - {name: a, type: nothing}\n    - {type: bash script}\n',
      },
      PIPELINE,
    );
    expect(problems.length).toBeGreaterThanOrEqual(3);
    expect(new Set(problems.map(({ field }) => field))).toEqual(new Set(['path']));
    expect(problems[0]!.message).toMatch(/^tasks\[0\]\.type/);
  });

  test('files, ports and interpreters that a pipeline needs', async () => {
    const pipeline = `
pipeline:
  name: x
  working_dir: nowhere
  tasks:
    - {name: a, type: python, py_path: a.py, port: 9000}
    - {name: b, type: bash script, bash_script_path: b.sh}
`;
    const problems = await check({ 'p.yaml': pipeline, 'b.sh': '' }, PIPELINE, { python: '/no/python' });
    expect(problems.map(({ field, message }) => `${field}: ${message}`)).toEqual([
      expect.stringMatching(/^port: tasks\[0\]\.port .*9000.* 8787/),
      'path: tasks[0].py_path: a.py is not in the repository at this commit',
      'path: working_dir: nowhere is not in the repository at this commit',
      'environment: /no/python, the python of "default", is not on this machine',
    ]);
  });

  test('that nothing can run notebooks', async () => {
    const files = {
      'p.yaml':
        'pipeline: {name: x, tasks: [{name: a, type: notebook, notebook_path: a.ipynb, notebook_output_path: o.ipynb}]}',
      'a.ipynb': '{}',
    };
    const problems = await check(files, PIPELINE, { python: '/bin/false' });
    expect(problems).toEqual([
      { field: 'environment', message: expect.stringMatching(/^No notebook can be run: /) as string },
    ]);
  });

  test('a bash of the environment that is not there', async () => {
    expect(await check({ 'run.sh': '' }, {}, { bash: 'no-such-bash' })).toEqual([
      { field: 'environment', message: 'no-such-bash, the bash of "default", is not on this machine' },
    ]);
  });
});
