import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { findNotebookRunner } from '../../../src/control/pipeline/notebook-runner.ts';
import { findPart, requireParts } from '../../support/require.ts';
import { PlanRun, Place, parse, runPlan } from './run-plan.ts';

const variables = { PATH: process.env['PATH'] ?? '' };

/** A notebook of code cells; the first can be overwritten by parameters. */
function notebook(...cells: string[]): string {
  return JSON.stringify({
    nbformat: 4,
    nbformat_minor: 5,
    metadata: { kernelspec: { display_name: 'Python 3', language: 'python', name: 'python3' } },
    cells: cells.map((source, i) => ({
      cell_type: 'code',
      id: `cell-${i}`,
      execution_count: null,
      metadata: i === 0 ? { tags: ['parameters'] } : {},
      outputs: [],
      source,
    })),
  });
}

/** What the cells of an executed notebook have printed. */
function printed(place: Place, path: string): string {
  const { cells } = JSON.parse(readFileSync(join(place.repository, path), 'utf8')) as {
    cells: { outputs: { text?: string[] }[] }[];
  };
  return cells.flatMap((cell) => cell.outputs.flatMap((output) => output.text ?? [])).join('');
}

const PIPELINE = parse(`
pipeline:
  name: p
  tasks:
    - name: book
      type: jupyter notebook
      notebook_path: "books/it's.ipynb"
      notebook_output_path: out/of/here.ipynb
      working_dir: work
    - {name: after, type: bash script, bash_script_path: after.sh}
`);

const BOOK = notebook('year = "2000"', 'import os, sys\nprint(os.getcwd(), year, os.environ["YEAR"])');

function place(book = BOOK): Place {
  return new Place().write({ "books/it's.ipynb": book, 'work/.keep': '', 'after.sh': 'ls out/of' });
}

describe.each(['papermill', 'nbconvert'] as const)('with %s', (runner) => {
  describe.skipIf(!requireParts(runner))('of a real Python', () => {
    const python = findPart(runner)!;
    const interpreters = { python };

    test('it is found', async () => {
      await expect(findNotebookRunner(python, variables)).resolves.toEqual({ runner });
    });

    test(
      'a notebook is run in its working directory, and what came of it is written',
      { timeout: 120_000 },
      async () => {
        const here = place();
        const { code, output } = await runPlan(here, PIPELINE, {
          interpreters,
          parameters: ['year', 'model-name', 'class'],
          variables: { YEAR: '1990', HYPERPLANE_JOB_PARAMETER_YEAR: '1990' },
        });
        expect(output).toContain('[book] exited with 0\n[after] starting\nhere.ipynb\n');
        expect(code).toBe(0);
        const year = runner === 'papermill' ? '1990' : '2000';
        expect(printed(here, 'out/of/here.ipynb')).toBe(`${join(here.repository, 'work')} ${year} 1990\n`);
      },
    );

    test('a cell that fails fails the run', { timeout: 120_000 }, async () => {
      const here = place(notebook('x = 1', 'raise ValueError("no such luck")'));
      const { code, output } = await runPlan(here, PIPELINE, { interpreters });
      expect(code).toBe(1);
      expect(output).toMatch(/ValueError.*no such luck/);
      expect(output).toContain('[book] exited with 1');
    });

    test('a notebook that serves ends on TERM, kernel and all', { timeout: 120_000 }, async () => {
      const cell = 'import os, time\nopen("pid", "w").write(str(os.getpid()))\nwhile True: time.sleep(0.1)';
      const here = place(notebook('x = 1', cell));
      const run = new PlanRun(here, PIPELINE, { interpreters });
      const kernel = await expect
        .poll(() => read(join(here.repository, 'work/pid')), { timeout: 60_000 })
        .toMatch(/^\d+$/)
        .then(() => Number(read(join(here.repository, 'work/pid'))));
      run.signal('SIGTERM');
      await expect(run.ended).resolves.toMatchObject({ code: 143 });
      await expect.poll(() => read(`/proc/${kernel}/stat`), { timeout: 30_000 }).toMatch(/^$|\) [ZX] /);
    });

    test(
      'the packages of the environment are there beside the requirements',
      { timeout: 240_000 },
      async () => {
        const here = place().write({ 'r.txt': '' });
        const pipeline = { ...PIPELINE, requirements: 'r.txt' };
        const { code, output } = await runPlan(here, pipeline, { interpreters, variables: { YEAR: '1' } });
        expect(output).toContain('[book] exited with 0');
        expect(code).toBe(0);
      },
    );
  });
});

describe('without either', () => {
  test('a pre-flight says what to install', { timeout: 120_000 }, async () => {
    const here = new Place();
    execFileSync('python3', ['-m', 'venv', '--without-pip', join(here.state, 'empty')]);
    const python = join(here.state, 'empty/bin/python');
    await expect(findNotebookRunner(python, variables)).resolves.toEqual({
      runner: null,
      reason: `"${python}" has neither papermill nor nbconvert: install one of them, with ipykernel`,
    });
    const { code, output } = await runPlan(place(), PIPELINE, { interpreters: { python } });
    expect(code).toBe(1);
    expect(output).toContain(
      `${python} can run no notebook: install papermill or nbconvert, with ipykernel\n`,
    );
  });

  test('a pre-flight outlives a Python that is none', async () => {
    const here = new Place();
    const program = (name: string, text: string): string => {
      const file = join(here.state, name);
      writeFileSync(file, text, { mode: 0o755 });
      return file;
    };
    await expect(findNotebookRunner('/no/python', variables)).resolves.toEqual({
      runner: null,
      reason: 'there is no "/no/python"',
    });
    const fails = program('fails', '#!/bin/sh\nexit 3\n');
    await expect(findNotebookRunner(fails, variables)).resolves.toEqual({
      runner: null,
      reason: `"${fails}" cannot be run`,
    });
    const floods = program('floods', '#!/bin/sh\nexec yes\n');
    await expect(findNotebookRunner(floods, variables)).resolves.toEqual({
      runner: null,
      reason: `"${floods}" cannot be run`,
    });
    const odd = program('odd', '#!/bin/sh\necho hello\n');
    await expect(findNotebookRunner(odd, variables)).resolves.toMatchObject({ runner: null });
    await expect(findNotebookRunner('a\0b', variables)).resolves.toEqual({
      runner: null,
      reason: String.raw`"a\u0000b" cannot be run`,
    });
  });
});

/** '' = it is not there. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
