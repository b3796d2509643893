import { existsSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../git/source-repository.ts';
import { APP, get, TestDriver, until } from './test-driver.ts';

const SECRETS = { openai: { 'openai-key': 'first line\n  second line\n', url: 'https://example.com' } };

/** Prints what there is to know, and waits to be ended. */
const LOOK = 'echo begin; bash look.sh; echo end; exec sleep 1000\n';

async function seen(
  files: Record<string, string>,
  changes: Parameters<TestDriver['deploy']>[1] = {},
): Promise<string[]> {
  const local = await TestDriver.start();
  await local.deploy({ 'run.sh': LOOK, ...files }, changes);
  await until(async () => expect(await local.lines(), JSON.stringify(local.told)).toContain('end'));
  const lines = await local.lines();
  return lines.slice(lines.indexOf('begin') + 1, lines.indexOf('end'));
}

describe('inside of a service', () => {
  test('there are its parameters, its secrets and what the platform says', async () => {
    const local = await TestDriver.start();
    const id = await local.deploy(APP, {
      spec: { parameters: { 'model-name': 'small' } },
      environment: { variables: { REGION: 'eu' } },
      secrets: SECRETS,
    });
    const [origin] = await local.ready(id);
    const variable = (name: string): Promise<string> => get(`${origin!}/${name}`);
    expect(await variable('MODEL_NAME')).toBe('small');
    expect(await variable('HYPERPLANE_JOB_PARAMETER_MODEL_NAME')).toBe('small');
    expect(await variable('HYPERPLANE_CUSTOM_SECRET_KEY_OPENAI_KEY')).toBe(SECRETS.openai['openai-key']);
    expect(await variable('REGION')).toBe('eu');
    expect(await variable('SERVICE_ENDPOINT')).toBe('/app');
    expect(await variable('HOME')).toBe(local.dataDir);
    expect(await variable('REALMGATE_GUARD')).toMatch(/^\d+$/); // not set
  });

  test('nothing of the environment of Realmgate is there', async () => {
    process.env['REALMGATE_TEST_ONLY'] = 'must not be seen';
    const lines = await seen({ 'look.sh': 'env' });
    delete process.env['REALMGATE_TEST_ONLY'];
    expect(lines.join('\n')).not.toContain('must not be seen');
    expect(lines.some((line) => line.startsWith('PATH='))).toBe(true);
  });

  test('secret files are exact, and readable by their owner alone', async () => {
    const look = 'cd "$HYPERPLANE_SECRETS_DIR"; stat -c "%a %n" * */*; od -An -c openai/openai-key | tail -1';
    expect(await seen({ 'look.sh': look }, { secrets: SECRETS })).toEqual([
      '500 openai',
      '400 openai/openai-key',
      '400 openai/url',
      expect.stringMatching(/l {3}i {3}n {3}e {2}\\n$/),
    ]);
  });

  test('secret files are of this service alone, and of nobody after it', async () => {
    const local = await TestDriver.start();
    const look = 'echo "$HYPERPLANE_SECRETS_DIR"; ls "$HYPERPLANE_SECRETS_DIR"; echo end; exec sleep 1000';
    await local.deploy({ 'run.sh': look }, { secrets: { mine: { key: 'value-1' } }, service: 'one' });
    const other = await local.deploy(
      { 'run.sh': look },
      { secrets: { yours: { key: 'value-2' } }, service: 'two' },
    );
    await until(async () => expect(await local.lines('one')).toContain('end'));
    await until(async () => expect(await local.lines('two')).toContain('end'));
    const [, directory = '', ...names] = await local.lines('two');
    expect(names).toEqual(['yours', 'end']);
    await local.driver.remove(other);
    expect(existsSync(join(directory, 'yours'))).toBe(false);
  });

  test('no secret is on the disk or in an argument of a process', async () => {
    const local = await TestDriver.start();
    const value = 'a-very-secret-value';
    await local.ready(await local.deploy(APP, { secrets: { openai: { key: value } } }));
    const files = readdirSync(local.dataDir, { recursive: true, withFileTypes: true, encoding: 'utf8' });
    for (const file of files.filter((entry) => entry.isFile())) {
      expect(readFileSync(join(file.parentPath, file.name), 'latin1')).not.toContain(value);
    }
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      const path = `/proc/${pid}/cmdline`;
      let text = '';
      try {
        text = readFileSync(path, 'latin1');
      } catch {
        continue; // it has ended
      }
      expect(text).not.toContain(value);
    }
  });

  test('there is what an earlier run of its pipeline installed, until the replica is gone', async () => {
    const local = await TestDriver.start();
    const tasks = '[{name: a, type: bash script, bash_script_path: a.sh}]';
    const id = await local.deploy(
      {
        'pipeline.yaml': `pipeline: {name: p, requirements: r.txt, tasks: ${tasks}}`,
        'r.txt': '# nothing yet\n',
        'a.sh': 'echo "in $VIRTUAL_ENV"; exit 1',
      },
      { spec: { type: 'pipeline', path: 'pipeline.yaml' } },
    );
    await local.event('exited', 2);
    const lines = await local.lines();
    const folder = join(local.dataDir, 'runs', `${id}-1`);
    expect(lines.filter((line) => line === `in ${folder}/venv`).length).toBeGreaterThanOrEqual(2);
    expect(lines).toContain('r.txt has not changed: what an earlier run installed is used');
    await local.driver.remove(id);
    expect(existsSync(folder)).toBe(false);
  });

  test('there is nothing of what Realmgate keeps but its own run', async () => {
    const look =
      'pwd; ls -A "$HOME" "$HOME/runs" ../..; ls "$HOME/git" "$HOME/local-driver.json"; git status --short';
    const local = await TestDriver.start();
    await local.ready(await local.deploy(APP, { service: 'other' }));
    const id = await local.deploy({ 'run.sh': `${look} 2>&1; exit 1` });
    const { data } = await local.event('exited');
    const run = join(local.dataDir, 'runs', `${id}-1/1`);
    const missing = (name: string): string =>
      `ls: cannot access '${local.dataDir}/${name}': No such file or directory`;
    expect(data['lastLines']).toEqual([
      expect.stringContaining('Starts on'),
      `${run}/clone`,
      ...['../..:', '1', '', `${local.dataDir}:`, 'runs', '', `${local.dataDir}/runs:`, `${id}-1`],
      ...[missing('git'), missing('local-driver.json')],
    ]);
  });

  test('what loads code into programs is for its own programs only', async () => {
    const local = await TestDriver.start();
    await local.deploy({ 'run.sh': 'sleep 0; exit 1' }, { spec: { parameters: { 'ld-debug': 'libs' } } });
    const { data } = await local.event('exited');
    const started = (data['lastLines'] as string[]).flatMap(
      (line) => /initialize program: (\S+)/.exec(line) ?? [],
    );
    expect(started).toContain('sleep');
    expect((await local.lines()).filter((line) => /program: .*(unshare|mount)/.test(line))).toEqual([]);
  });

  test('programs can write to /dev/stdout and /dev/stderr', async () => {
    const look =
      'echo one | tee /dev/stderr > /dev/stdout; node -e \'fs.writeFileSync("/dev/stderr", "two\\n")\'';
    expect((await seen({ 'look.sh': look })).sort()).toEqual(['one', 'one', 'two']);
  });

  test('standard input is empty, and no descriptor of Realmgate is open', async () => {
    expect(await seen({ 'look.sh': 'cat; ls /proc/self/fd | tr "\\n" " "; echo' })).toEqual(['0 1 2 3 ']);
  });

  test('the working directory is the root of the clone', async () => {
    expect(await seen({ 'look.sh': 'ls; git log --format=%s' })).toEqual(['look.sh', 'run.sh', 'Change']);
  });

  test('the interpreter of the environment runs the script', async () => {
    const local = await TestDriver.start();
    const own = join(temporaryDirectory(), 'my-bash');
    symlinkSync('/bin/bash', own);
    await local.deploy(
      { 'run.sh': 'echo "by $BASH"; sleep 1000' },
      {
        environment: { interpreters: { bash: own, python: null, node: null } },
      },
    );
    await until(async () => expect(await local.lines()).toContain(`by ${own}`));
  });

  test('a script whose name looks like an option is a script', async () => {
    const local = await TestDriver.start();
    await local.deploy({ '-c': 'echo "it runs"; sleep 1000' }, { spec: { path: '-c' } });
    await until(async () => expect(await local.lines()).toContain('it runs'));
  });

  test('a pipeline runs task after task, and again from the top when one fails', async () => {
    const local = await TestDriver.start();
    const pipeline = `
pipeline:
  name: two steps
  tasks:
    - {name: first, type: bash script, bash_script_path: steps/first.sh}
    - {name: second, type: js script, js_path: second.cjs}
`;
    await local.deploy(
      {
        'p.yaml': pipeline,
        'steps/first.sh': 'echo made > made.txt',
        'second.cjs':
          'console.log(require("node:fs").readFileSync("made.txt", "utf8").trim()); process.exit(7)',
      },
      { spec: { type: 'pipeline', path: 'p.yaml' } },
    );
    const { data } = await local.event('exited', 2);
    expect(data['exitCode']).toBe(7);
    expect(data['lastLines']).toEqual(
      expect.arrayContaining(['[first] exited with 0', 'made', '[second] exited with 7']),
    );
  });

  test('a pipeline that is wrong does not start, and says where', async () => {
    const local = await TestDriver.start();
    await local.deploy(
      { 'p.yaml': 'pipeline: {name: x, tasks: [{name: a, type: nothing}]}' },
      {
        spec: { type: 'pipeline', path: 'p.yaml' },
      },
    );
    expect((await local.event('prepare-failed')).message).toContain('p.yaml: tasks[0].type');
  });
});
