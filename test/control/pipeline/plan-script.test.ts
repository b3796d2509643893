import { execFileSync } from 'node:child_process';
import { existsSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { planScript } from '../../../src/control/pipeline/plan-script.ts';
import { INTERPRETERS, PlanRun, Place, bashTasks, parse, pipelineOf, runPlan } from './run-plan.ts';

describe('order', () => {
  test('without depends_on, one after the other', async () => {
    const place = new Place().write({ 'a.sh': 'echo from a', 'b.sh': 'echo from b', 'c.sh': '' });
    const { code, lines } = await runPlan(place, bashTasks({ a: null, b: null, c: null }));
    expect(lines).toEqual([
      '[a] starting',
      'from a',
      '[a] exited with 0',
      '[b] starting',
      'from b',
      '[b] exited with 0',
      '[c] starting',
      '[c] exited with 0',
    ]);
    expect(code).toBe(0);
  });

  test('independent tasks run at the same time, and a task waits for all of its own', async () => {
    // Each of the two waits for a file that the other makes: one after the other would never end.
    const meet = (own: string, other: string): string =>
      `touch ${own}; until [ -e ${other} ]; do sleep 0.05; done`;
    const place = new Place().write({
      'left.sh': meet('l', 'r'),
      'right.sh': meet('r', 'l'),
      'join.sh': 'ls l r',
      'last.sh': 'echo last',
    });
    const tasks = { last: ['join'], left: [], join: ['left', 'right'], right: [] };
    const { code, lines } = await runPlan(place, bashTasks(tasks));
    expect(code).toBe(0);
    expect(lines.slice(0, 2)).toEqual(['[left] starting', '[right] starting']);
    expect(lines.slice(2, 4).sort()).toEqual(['[left] exited with 0', '[right] exited with 0']);
    expect(lines.slice(4)).toEqual([
      '[join] starting',
      'l',
      'r',
      '[join] exited with 0',
      '[last] starting',
      'last',
      '[last] exited with 0',
    ]);
  });

  test('a hundred tasks that end at once are all seen to end', async () => {
    const names = Array.from({ length: 99 }, (_, i) => `t${i}`);
    const place = new Place().write(Object.fromEntries([...names, 'end'].map((name) => [`${name}.sh`, ''])));
    const tasks = Object.fromEntries(names.map((name) => [name, []]));
    const { code, lines } = await runPlan(place, bashTasks({ ...tasks, end: names }));
    expect(code).toBe(0);
    expect(lines).toHaveLength(200);
    expect(lines.at(-1)).toBe('[end] exited with 0');
  });
});

describe('a task', () => {
  test('runs with its interpreter, in its working directory, its path from the root', async () => {
    const place = new Place().write({
      'top/x.sh': 'pwd; echo "$GREETING"',
      'top/deep/.keep': '',
      'x.py': 'import os; print(os.getcwd(), os.environ["GREETING"])',
      'js/x.js': 'console.log(process.cwd(), process.env.GREETING)',
    });
    const pipeline = parse(`
pipeline:
  name: p
  working_dir: top
  tasks:
    - {name: a, type: bash script, bash_script_path: top/x.sh}
    - {name: b, type: python, py_path: x.py, working_dir: top/deep}
    - {name: c, type: js, js_path: js/x.js, working_dir: .}
`);
    const { code, lines } = await runPlan(place, pipeline, { variables: { GREETING: 'hello' } });
    expect(code).toBe(0);
    expect(lines.filter((line) => !line.startsWith('['))).toEqual([
      join(place.repository, 'top'),
      'hello',
      `${join(place.repository, 'top/deep')} hello`,
      `${place.repository} hello`,
    ]);
  });

  test('has the variables of the service and no other, no input, and no open file of ours', async () => {
    const openFiles = 'ls /proc/$$/fd | tr "\\n" " "';
    const place = new Place().write({
      'a.sh': `cat; ${openFiles}; env | cut -d= -f1 | sort | tr "\\n" " "`,
      'bare.sh': openFiles,
    });
    // Those of any shell that this process starts, which may itself have inherited some.
    const bare = execFileSync('bash', [join(place.repository, 'bare.sh')], { encoding: 'utf8' });
    const { lines } = await runPlan(place, bashTasks({ a: null }), { variables: { X: '1' } });
    expect(lines[1]).toBe(`${bare}HOME OLDPWD PATH PWD SHLVL X _ [a] exited with 0`);
  });

  test('is told when its directory, its script or its interpreter is not there', async () => {
    const place = new Place().write({ 'a.sh': '' });
    const program = { kind: 'bash', path: 'a.sh' } as const;
    const gone = await runPlan(place, pipelineOf({ name: 'a', program, workingDirectory: 'gone' }));
    expect(gone).toMatchObject({ code: 1, output: expect.stringContaining('gone: No such file') as unknown });
    const script = await runPlan(place, pipelineOf({ name: 'a', program: { kind: 'bash', path: 'b.sh' } }));
    expect(script).toMatchObject({
      code: 127,
      output: expect.stringContaining('b.sh: No such file') as unknown,
    });
    const interpreters = { bash: '/no/such/bash' };
    const none = await runPlan(place, pipelineOf({ name: 'a', program }), { interpreters });
    expect(none).toMatchObject({ code: 127, output: expect.stringContaining('/no/such/bash') as unknown });
  });

  test('cannot reach out of its quotes', async () => {
    const place = new Place();
    const evil = [
      `'; touch hacked; '`,
      '$(touch hacked)',
      '`touch hacked`',
      '"; touch hacked; "',
      'a\ntouch hacked\n',
      '-rf',
      '--version',
      '\\',
      '*',
      '${IFS}x & touch hacked',
      '}; touch hacked; {',
      '%s %n',
      ' ',
      'é日本',
    ];
    const pipeline = pipelineOf(
      ...evil.map((name, i) => ({
        name,
        program: { kind: 'bash', path: `d${i}/${name}` } as const,
        workingDirectory: `w/${name}`,
        after: i === 0 ? [] : [i - 1],
      })),
    );
    for (const [i, name] of evil.entries()) {
      place.write({ [`d${i}/${name}`]: 'printf "<%s>" "${PWD##*/w/}"', [`w/${name}/.keep`]: '' });
    }
    const { code, output } = await runPlan(place, { ...pipeline, name: evil.join('\n') });
    expect(output).toBe(
      evil.map((name) => `[${name}] starting\n<${name}>[${name}] exited with 0\n`).join(''),
    );
    expect(code).toBe(0);
    const found = execFileSync('find', [place.repository, place.state, '-name', 'hacked'], {
      encoding: 'utf8',
    });
    expect(found).toBe('');
  });

  test('cannot hold a NUL, and the state directory is absolute', () => {
    const options = { interpreters: INTERPRETERS, stateDirectory: '/s', parameters: [], killAfter: 1 };
    const pipeline = pipelineOf({ name: 'a\0b', program: { kind: 'bash', path: 'x' } });
    expect(() => planScript(pipeline, options)).toThrow(TypeError);
    expect(() => planScript(bashTasks({ a: null }), { ...options, stateDirectory: 's' })).toThrow(TypeError);
  });
});

/** Prints its process id and waits; the signals come as they are. */
const WAIT = 'echo "pid $$ $1"; while :; do sleep 0.1; done';

describe('the end', () => {
  test('the first task that fails ends the run with its status, and the others with all that they started', async () => {
    const place = new Place().write({
      // The shell ends on TERM at once, and what it started would live on.
      'server.sh': `bash -c 'echo child $$; exec sleep 1000'`,
      'fails.sh': 'until [ -e go ]; do sleep 0.05; done; exit 42',
      'never.sh': 'echo never',
    });
    const run = new PlanRun(place, bashTasks({ server: [], fails: [], never: ['fails'] }));
    await run.printed('child ');
    place.write({ go: '' });
    await expect(run.ended).resolves.toEqual({ code: 42, signal: null });
    expect(run.output).toContain('[fails] exited with 42\n[server] exited with 143\n');
    expect(run.output).not.toContain('never');
    expect(run.output).not.toContain('Terminated');
    expect(runs(Number(/child (\d+)/.exec(run.output)![1]))).toBe(false);
  });

  test('a task that ignores TERM is killed, and so is a child that it left', async () => {
    const place = new Place().write({
      'stubborn.sh': `trap '' TERM; ${WAIT}`,
      'fails.sh': 'until [ -e go ]; do sleep 0.05; done; exit 3',
    });
    const run = new PlanRun(place, bashTasks({ stubborn: [], fails: [] }), { killAfter: 1 });
    await run.printed('pid ');
    place.write({ go: '' });
    await expect(run.ended).resolves.toEqual({ code: 3, signal: null });
    expect(run.output).toContain('[stubborn] exited with 137');
    expect(runs(Number(/pid (\d+)/.exec(run.output)![1]))).toBe(false);
  });

  test.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
    ['SIGHUP', 129],
  ] as const)('%s is handed to every task, which may take its time', async (signal, code) => {
    const place = new Place().write({
      'a.sh': `trap 'sleep 0.3; echo a cleaned up; exit 7' TERM; ${WAIT}`,
      'b.sh': `trap 'echo b cleaned up; exit 0' TERM; ${WAIT}`,
      'c.sh': 'echo never',
    });
    const run = new PlanRun(place, bashTasks({ a: [], b: [], c: ['b'] }));
    await expect.poll(() => run.output.match(/pid/g)?.length, { timeout: 20_000 }).toBe(2);
    run.signal(signal);
    await expect(run.ended).resolves.toEqual({ code, signal: null });
    expect(run.output).toContain('a cleaned up');
    expect(run.output).toContain('[a] exited with 7');
    expect(run.output).toContain('[b] exited with 0');
    expect(run.output).not.toContain('never');
  });

  test('a stop that tasks hear of otherwise is not told to them twice', async () => {
    const place = new Place().write({ 'a.sh': `trap 'echo told' TERM; ${WAIT}` });
    const run = new PlanRun(place, bashTasks({ a: [] }), { stoppedByOthers: true, killAfter: 1 });
    await run.printed('pid ');
    run.signal('SIGTERM');
    await expect(run.ended).resolves.toEqual({ code: 143, signal: null });
    expect(run.output).not.toContain('told');
    expect(run.output).toContain('[a] exited with 137');
  });

  test('a signal that ends a task is its status', async () => {
    const place = new Place().write({ 'a.sh': 'kill -SEGV $$' });
    expect(await runPlan(place, bashTasks({ a: null }))).toEqual({
      code: 139,
      output: '[a] starting\n[a] exited with 139\n',
      lines: ['[a] starting', '[a] exited with 139'],
    });
  });

  test('what a task leaves in the background does not hold the run up, and outlives the task', async () => {
    const place = new Place().write({
      'a.sh': 'sleep 1000 & echo "pid $!"',
      'b.sh': 'exit 5',
    });
    const run = new PlanRun(place, bashTasks({ a: null, b: null }));
    await run.printed('[b] exited with 5');
    const pid = Number(/pid (\d+)/.exec(run.output)![1]);
    expect(runs(pid)).toBe(true);
    process.kill(pid, 'SIGKILL');
    await expect(run.ended).resolves.toMatchObject({ code: 5 });
  });

  test('a task whose shell is killed is missed', { timeout: 60_000 }, async () => {
    const place = new Place().write({ 'a.sh': 'echo "shell $PPID pid $$"; exec sleep 1000' });
    const run = new PlanRun(place, bashTasks({ a: null }), { killAfter: 5 });
    await run.printed('pid ');
    const [, shell, pid] = /shell (\d+) pid (\d+)/.exec(run.output)!;
    process.kill(Number(shell), 'SIGKILL');
    await expect(run.ended).resolves.toMatchObject({ code: 137 });
    expect(run.output).toContain('[a] exited with 137');
    expect(runs(Number(pid))).toBe(false);
  });
});

describe('requirements', () => {
  test(
    'are installed first, into an environment of the run, and every task sees them',
    { timeout: 120_000 },
    async () => {
      const place = new Place().write({
        'deps/requirements.txt': './deps/greeting-1-py3-none-any.whl\n',
        'a.sh': 'command -v python; command -v pip; echo "$VIRTUAL_ENV"',
        'b.py': 'import greeting, sys; print(sys.prefix, greeting.TEXT)',
      });
      makeWheel(join(place.repository, 'deps'));
      const pipeline = parse(`
pipeline:
  name: p
  requirements: deps/requirements.txt
  tasks:
    - {name: a, type: bash script, bash_script_path: a.sh}
    - {name: b, type: py, py_path: b.py}
    - {name: c, type: py, py_path: b.py, depends_on: []}
`);
      const { code, lines } = await runPlan(place, pipeline);
      expect(code).toBe(0);
      const venv = join(place.state, 'venv');
      expect(lines[0]).toBe('[requirements] starting');
      const begun = lines.indexOf('[requirements] exited with 0');
      expect(begun).toBeGreaterThan(0);
      expect(lines.slice(begun)).toEqual(
        expect.arrayContaining([`${venv}/bin/python`, `${venv}/bin/pip`, venv]),
      );
      expect(lines.filter((line) => line === `${venv} from a wheel`)).toHaveLength(2);
    },
  );

  test(
    'are used again by a later run while they and what was installed are the same',
    { timeout: 240_000 },
    async () => {
      const place = new Place().write({
        'r.txt': './deps/greeting-1-py3-none-any.whl\n',
        'deps/note': '',
        'a.py': 'import greeting; print(greeting.TEXT)',
      });
      makeWheel(join(place.repository, 'deps'));
      const pipeline = parse(
        'pipeline: {name: p, requirements: r.txt, tasks: [{name: a, type: py, py_path: a.py}]}',
      );
      const kept = 'r.txt has not changed: what an earlier run installed is used';
      const run = async (): Promise<boolean> => {
        const { code, lines } = await runPlan(place, pipeline);
        expect(code).toBe(0);
        expect(lines.filter((line) => line === 'from a wheel')).toHaveLength(1);
        expect(lines.includes(kept)).toBe(!lines.some((line) => line.startsWith('Processing')));
        return lines.includes(kept);
      };
      expect(await run()).toBe(false);
      expect(await run()).toBe(true);

      place.write({ 'r.txt': '# newer\n./deps/greeting-1-py3-none-any.whl\n' });
      expect(await run()).toBe(false);

      // A task has changed it.
      const [module] = globSync(join(place.state, 'venv/lib/*/site-packages/greeting.py'));
      writeFileSync(module!, 'TEXT = 1');
      expect(await run()).toBe(false);

      // It was not finished.
      rmSync(join(place.state, 'venv/realmgate.mark'));
      expect(await run()).toBe(false);
    },
  );

  test('that need the clone itself are installed by each run', { timeout: 120_000 }, async () => {
    const place = new Place().write({
      'r.txt': '--editable ./own\n',
      'a.sh': '',
      'own/pyproject.toml':
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
      'own/backend.py': EDITABLE_BACKEND,
    });
    const pipeline = { ...bashTasks({ a: null }), requirements: 'r.txt' };
    expect((await runPlan(place, pipeline)).code).toBe(0);
    expect(existsSync(join(place.state, 'venv/realmgate.mark'))).toBe(false);
  });

  test('that cannot be installed end the run, and no task starts', { timeout: 120_000 }, async () => {
    const place = new Place().write({ 'r.txt': './no-such-folder\n', 'a.sh': 'echo never' });
    const pipeline = { ...bashTasks({ a: null }), requirements: 'r.txt' };
    const { code, output } = await runPlan(place, pipeline);
    expect(code).toBe(1);
    expect(output).toContain('no-such-folder');
    expect(output).toContain('[requirements] exited with 1');
    expect(output).not.toContain('never');
  });

  test('without venv say what to do', async () => {
    const place = new Place().write({ 'r.txt': '', 'a.sh': '', 'no-venv': '#!/bin/sh\nexit 1\n' });
    const python = join(place.repository, 'no-venv');
    execFileSync('chmod', ['+x', python]);
    const pipeline = { ...bashTasks({ a: null }), requirements: 'r.txt' };
    const { code, output } = await runPlan(place, pipeline, { interpreters: { python } });
    expect(code).toBe(1);
    expect(output).toContain(`${python} cannot install r.txt: it needs the modules venv and ensurepip`);
    expect(existsSync(join(place.state, 'venv'))).toBe(false);
  });

  test('being installed end on TERM as well', async () => {
    const place = new Place().write({
      'r.txt': '',
      'a.sh': '',
      python: '#!/bin/sh\necho installing\nexec sleep 1000\n',
    });
    const python = join(place.repository, 'python');
    execFileSync('chmod', ['+x', python]);
    const pipeline = { ...bashTasks({ a: null }), requirements: 'r.txt' };
    const run = new PlanRun(place, pipeline, { interpreters: { python } });
    await run.printed('installing');
    run.signal('SIGTERM');
    await expect(run.ended).resolves.toEqual({ code: 143, signal: null });
  });
});

/** Builds, without a network, what pip installs as a link into the clone. */
const EDITABLE_BACKEND = `
import os, zipfile
def build_editable(folder, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(os.path.join(folder, "own-1-py3-none-any.whl"), "w") as wheel:
        wheel.writestr("own-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: own\\nVersion: 1\\n")
        wheel.writestr("own-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("own-1.dist-info/RECORD", "")
    return "own-1-py3-none-any.whl"
`;

/** A package that pip installs without a network. */
function makeWheel(folder: string): void {
  const script = `
import sys, zipfile
with zipfile.ZipFile(sys.argv[1] + "/greeting-1-py3-none-any.whl", "w") as wheel:
    wheel.writestr("greeting.py", "TEXT = 'from a wheel'")
    wheel.writestr("greeting-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: greeting\\nVersion: 1\\n")
    wheel.writestr("greeting-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    wheel.writestr("greeting-1.dist-info/RECORD", "")
`;
  execFileSync('python3', ['-c', script, folder]);
}

/** Whether a process is there and has not ended. */
function runs(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
