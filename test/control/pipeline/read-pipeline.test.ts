import { describe, expect, test } from 'vitest';

import { pipelineNeeds } from '../../../src/control/pipeline/pipeline-needs.ts';
import type { Pipeline } from '../../../src/control/pipeline/pipeline.ts';
import { checkPorts, readPipeline } from '../../../src/control/pipeline/read-pipeline.ts';

function read(text: string): Pipeline {
  const { pipeline, problems } = readPipeline(text);
  expect(problems).toEqual([]);
  return pipeline!;
}

/** Every fault as `field: message`. */
function faults(text: string): string[] {
  const { pipeline, problems } = readPipeline(text);
  expect(pipeline).toBeNull();
  return problems.map(({ field, message }) => `${field}: ${message}`);
}

/** A pipeline of these tasks, each a line in braces. */
function withTasks(...tasks: string[]): string {
  return ['pipeline:', '  name: p', '  tasks:', ...tasks.map((task) => `    - ${task}`)].join('\n');
}

/** A task that has nothing wrong, with more keys. */
function task(name: string, more = ''): string {
  return `{name: ${name}, type: bash script, bash_script_path: run.sh${more === '' ? '' : `, ${more}`}}`;
}

describe('what Shakudo’s docs write', () => {
  test('every kind of step, under pipeline', () => {
    const pipeline = read(`
pipeline:
  name: "Example pipeline"
  working_dir: app/
  requirements: "./streamlit_example/requirements.txt"
  tasks:
  - name: "QA app"
    type: "bash script"
    port: 8787
    bash_script_path: "LLM/confluence_app/run.sh"
  - name: notebook
    type: "jupyter notebook"
    notebook_path: "pipeline_job/dask_group_sort.ipynb" #Edit this path
    notebook_output_path: "out/dask.ipynb"
    depends_on: []
  - name: code
    type: vs code notebook
    py_path: a/./b/../train.py
    working_dir: a
    depends_on: [QA app, notebook, QA app]
  - name: js
    type: js script
    js_path: index.js
`);
    expect(pipeline).toEqual({
      name: 'Example pipeline',
      workingDirectory: 'app',
      requirements: 'streamlit_example/requirements.txt',
      tasks: [
        {
          name: 'QA app',
          program: { kind: 'bash', path: 'LLM/confluence_app/run.sh' },
          workingDirectory: null,
          port: { number: 8787, place: 'line 9, column 11' },
          after: [],
        },
        {
          name: 'notebook',
          program: { kind: 'notebook', path: 'pipeline_job/dask_group_sort.ipynb', output: 'out/dask.ipynb' },
          workingDirectory: null,
          port: null,
          after: [],
        },
        {
          name: 'code',
          program: { kind: 'python', path: 'a/train.py' },
          workingDirectory: 'a',
          port: null,
          after: [0, 1],
        },
        {
          name: 'js',
          program: { kind: 'node', path: 'index.js' },
          workingDirectory: null,
          port: null,
          after: [2],
        },
      ],
    });
  });

  test('the sample with name and tasks beside pipeline, and keys with blanks', () => {
    const pipeline = read(
      `pipeline:
name: [name of your pipeline job]
`.replace(/\[(.*)\]/, '"$1"') +
        `working_dir: .
tasks:
  - name: “step1”
    type: Jupyter  Notebook
    notebook_path: a.ipynb
    notebook output path: b.ipynb
    depends_on : []
`,
    );
    expect(pipeline).toMatchObject({
      name: 'name of your pipeline job',
      workingDirectory: '.',
      tasks: [{ name: '“step1”', program: { kind: 'notebook', path: 'a.ipynb', output: 'b.ipynb' } }],
    });
  });

  test('a part under pipeline and a part beside it', () => {
    const text = 'pipeline:\n  name: p\nrequirements: r.txt\ntasks:\n- ' + task('a');
    expect(read(text)).toMatchObject({ name: 'p', requirements: 'r.txt', tasks: [{ name: 'a' }] });
    expect(faults('pipeline:\n  name: p\nname: q\ntasks:\n- ' + task('a'))).toEqual([
      'name: stands under pipeline and beside it, in line 3, column 7 (line 2, column 9)',
    ]);
  });

  test.each([
    ['bash script', 'bash_script_path', 'bash'],
    ...['python script', 'python', 'py', 'vs code notebook', 'vscode notebook'].map((type) => [
      type,
      'py_path',
      'python',
    ]),
    ...['js script', 'javascript', 'js'].map((type) => [type, 'js_path', 'node']),
    ...['jupyter notebook', 'jupyter', 'notebook', 'ipynb'].map((type) => [
      type,
      'notebook_path',
      'notebook',
    ]),
  ] as [string, string, string][])('the type %s has %s', (type, key, kind) => {
    const output = kind === 'notebook' ? ', notebook_output_path: o' : '';
    for (const written of [type, type.toUpperCase(), `"  ${type} "`]) {
      const pipeline = read(withTasks(`{name: t, type: ${written}, ${key}: f${output}}`));
      expect(pipeline.tasks[0]?.program).toMatchObject({ kind, path: 'f' });
    }
  });
});

describe('texts are what is written', () => {
  test.each(['1', '007', '1e3', 'yes', 'true', '2026-01-01', '0x10', '12:30:45', '1.10'])(
    'the name %s, also for YAML 1.1',
    (name) => {
      const text = withTasks(task('first'), task(name), task('last', `depends_on: [${name}]`));
      for (const head of ['', '%YAML 1.1\n---\n', '%YAML 1.2\n---\n']) {
        expect(read(head + text).tasks.map((each) => each.name)).toEqual(['first', name, 'last']);
      }
    },
  );

  test('aliases, CRLF, a byte order mark and JSON', () => {
    const aliased = withTasks(task('a', 'depends_on: &none []'), task('b', 'depends_on: *none'));
    expect(read(aliased).tasks.map((each) => each.after)).toEqual([[], []]);
    expect(read(`\uFEFF${aliased.replaceAll('\n', '\r\n')}`).tasks).toHaveLength(2);
    const json = { pipeline: { name: 'p', tasks: [{ name: 'a', type: 'js', js_path: 'x.js' }] } };
    expect(read(JSON.stringify(json)).tasks).toHaveLength(1);
  });
});

describe('every fault is told at once, with its place and what would be right', () => {
  test('of many fields', () => {
    const text = `pipeline:
  requirements: /etc/passwd
  working_dir: ../elsewhere
  retries: 3
  tasks:
    - name: one
      type: bsh script
      bash_script_path: run.sh
    - type: python script
      py_pth: x.py
      port: 99999
    - name: one
      type: notebook
      notebook_path: a/../../b.ipynb
      py_path: b.py
      depends_on: [twoo, two]
    - name: two
      type: js
      js_path: dir/
      depends_on:
    - just text
`;
    expect(faults(text)).toEqual([
      'retries: is not known: the keys here are name, working_dir, requirements, tasks (line 4, column 3)',
      'name: is missing: it has to be a name for the pipeline (line 1, column 1)',
      'working_dir: "../elsewhere" leaves the repository; it has to be a directory of the repository, relative to its root (line 3, column 16)',
      'requirements: "/etc/passwd" is an absolute path; it has to be a file of the repository, relative to its root (line 2, column 17)',
      'tasks[0].type: "bsh script" is no type of task: did you mean bash script? (line 7, column 13)',
      'tasks[1].py_pth: is not known: did you mean py_path? (line 10, column 7)',
      'tasks[1].name: is missing: it has to be a name for the task (line 9, column 7)',
      'tasks[1].py_path: is missing: a task of type python script has it (line 9, column 7)',
      'tasks[1].port: "99999" is no port; it has to be a number from 1 to 65535 (line 11, column 13)',
      'tasks[2].name: "one" is the name of tasks[0] already; every task has its own (line 12, column 13)',
      'tasks[2].py_path: does not belong to a task of type notebook, which has notebook_path and notebook_output_path (line 15, column 16)',
      'tasks[2].notebook_path: "a/../../b.ipynb" leaves the repository; it has to be a file of the repository, relative to its root (line 14, column 22)',
      'tasks[2].notebook_output_path: is missing: a task of type notebook has it (line 12, column 7)',
      'tasks[3].js_path: "dir/" is a directory; it has to be a file of the repository, relative to its root (line 19, column 16)',
      expect.stringMatching(
        /^tasks\[4\]: has to be a mapping with the keys name, .*, not "just text" \(line 21, column 7\)$/,
      ),
      'tasks[2].depends_on[0]: "twoo" is the name of no task: did you mean "two"? (line 16, column 20)',
      'tasks[3].depends_on: has to be a list of names of tasks; [] starts the task at once, and without the key it waits for the task before, not empty (line 20, column 7)',
    ]);
  });

  test.each([
    [
      '',
      'pipeline: has to be a mapping with the keys pipeline, name, working_dir, requirements, tasks, not empty',
    ],
    ['just text', 'pipeline: has to be a mapping'],
    ['- a', 'pipeline: has to be a mapping'],
    ['name: p\ntasks: []', 'pipeline: has no key pipeline'],
    [
      'pipeline: []',
      'pipeline: has to be a mapping with the keys name, working_dir, requirements, tasks, not a list',
    ],
    ['pipeline: {name: p}', 'tasks: is missing: a pipeline has a list of tasks'],
    ['pipeline: {name: p, tasks: }', 'tasks: has to be a list of tasks, not empty'],
    ['pipeline: {name: p, tasks: {a: b}}', 'tasks: has to be a list of tasks, not a mapping'],
    ['pipeline: {name: p, tasks: []}', 'tasks: has to have at least one task'],
    ['pipeline: {name: , tasks: [' + task('a') + ']}', 'name: has to be a name for the pipeline, not empty'],
    [
      'pipeline: {name: {}, tasks: [' + task('a') + ']}',
      'name: has to be a name for the pipeline, not a mapping',
    ],
    [
      `pipeline: {name: p, tasks: [${task('a')}]}\npipeline: {name: q}`,
      'pipeline: stands there twice, first in line 1, column 11',
    ],
    ['pipeline: {name: p, name: q, tasks: [' + task('a') + ']}', 'name: stands there twice'],
    ['pipeline: &a [*a]', 'pipeline: has to be a mapping'],
    ['pipeline: *nothing', 'pipeline: is an alias without an anchor before it'],
    ['pipeline: !!python/object:os.system {}', 'pipeline: has a YAML tag here'],
    [
      'pipeline:\n---\npipeline:',
      'pipeline: has a second YAML document here; a pipeline is one document (line 2',
    ],
    [
      'pipeline:\nname: p\ntasks:\n\t- name: a',
      'pipeline: is no YAML: tabs are not allowed as indentation (line 4',
    ],
    ['pipeline: "open', 'pipeline: is no YAML: missing closing "quote'],
    ['? [a]\n: b', 'pipeline: is no YAML'],
    ['['.repeat(60_000), 'pipeline: is nested too deeply'],
    [`#${'x'.repeat(70_000)}`, 'pipeline: is larger than 64 KiB'],
    [withTasks(task('""')), 'tasks[0].name: has to be a name for the task, not ""'],
    [
      withTasks(task('"a\\nb"')),
      'tasks[0].name: has to be one line of text without control characters, not "a\\nb"',
    ],
    [withTasks(task('"a\\0b"')), 'tasks[0].name: has to be one line of text'],
    [withTasks(task('"\\uD800"')), 'tasks[0].name: has to be one line of text'],
    [withTasks(task('x'.repeat(1001))), 'tasks[0].name: is longer than 1000 characters'],
    [
      withTasks('{name: a, type: constructor, py_path: x}'),
      'tasks[0].type: "constructor" is no type of task',
    ],
    [withTasks('{name: a, type: py, py_path: .}'), 'tasks[0].py_path: "." is a directory'],
    [withTasks('{name: a, type: py, py_path: ..}'), 'tasks[0].py_path: ".." leaves the repository'],
    [withTasks('{name: a, type: py, py_path: "x\\0"}'), 'tasks[0].py_path: has to be one line of text'],
    [withTasks('{name: a, type: py, py_path: "//x/y"}'), 'tasks[0].py_path: "//x/y" is an absolute path'],
    [withTasks(task('a', 'port: 0x50')), 'tasks[0].port: "0x50" is no port'],
    [withTasks(task('a', 'depends_on: b')), 'tasks[0].depends_on: has to be a list of names of tasks'],
    [
      withTasks(task('a', 'depends_on: [[b]]')),
      'tasks[0].depends_on[0]: has to be the name of a task, not a list',
    ],
    [withTasks(...Array.from({ length: 101 }, (_, i) => task(`t${i}`))), 'tasks: has 101 tasks; at most 100'],
  ])('fault %#', (text, expected) => {
    const found = faults(text);
    expect(found[0]).toContain(expected);
    expect(found).toEqual([found[0]]);
  });

  test('an alias to much is no more than one', () => {
    const bomb = ['a: &a [x, x]', 'b: &b [*a, *a]', 'c: &c [*b, *b]', 'pipeline: *c'].join('\n');
    expect(faults(bomb)).toContainEqual(expect.stringContaining('not a list'));
    const many = `depends_on: [${Array.from({ length: 101 }, () => '*n').join(', ')}]`;
    expect(faults(withTasks(task('&n n'), task('b', many)))).toContainEqual(
      expect.stringMatching(/^tasks\[1\]\.depends_on\[100\]: is alias number 101; at most 100 may be used/),
    );
  });

  test('a hostile file has no more faults than a person reads', () => {
    const keys = Array.from({ length: 6000 }, (_, i) => ` k${i}: 1`).join('\n');
    const found = faults(`pipeline:\n${keys}`);
    expect(found).toHaveLength(101);
    expect(found.at(-1)).toBe('pipeline: has 5902 more faults');
  });
});

describe('cycles', () => {
  test.each([
    [['a depends_on: [a]'], 'tasks[0].depends_on: is a cycle: "a" waits for "a"'],
    [
      ['a depends_on: []', 'b depends_on: [d]', 'c depends_on: [b]', 'd depends_on: [c, a]'],
      'tasks[1].depends_on: is a cycle: "b" waits for "d" waits for "c" waits for "b"',
    ],
    [
      ['a depends_on: [b]', 'b'],
      'tasks[0].depends_on: is a cycle: "a" waits for "b" waits for "a"; a task without depends_on waits for the one before',
    ],
  ])('%j', (tasks, expected) => {
    const lines = tasks.map((each) => task(...(each.split(/ (.*)/) as [string, string])));
    const found = faults(withTasks(...lines));
    expect(found[0]).toContain(expected);
    expect(found).toHaveLength(1);
  });

  test('each is told', () => {
    const lines = ['a', 'b', 'c'].map((name) => task(name, `depends_on: [${name}]`));
    expect(faults(withTasks(...lines, task('d')))).toHaveLength(3);
  });
});

test('a task has the port of its service', () => {
  const pipeline = read(withTasks(task('a', 'port: 8787'), task('b'), task('c', 'port: "9000"')));
  expect(checkPorts(pipeline, 8787)).toEqual([
    {
      field: 'tasks[2].port',
      message: 'is 9000, but the port of the service is 8787: make them the same (line 6, column 68)',
    },
  ]);
});

describe('what a pipeline needs', () => {
  test('files, directories and interpreters', () => {
    const notebook = '{name: n, type: notebook, notebook_path: n.ipynb, notebook_output_path: o.ipynb}';
    const text = withTasks(task('a', 'working_dir: sub'), notebook, '{name: j, type: js, js_path: j.js}');
    expect(pipelineNeeds(read(`${text}\nworking_dir: top`))).toEqual({
      files: [
        { field: 'tasks[0].bash_script_path', path: 'run.sh' },
        { field: 'tasks[1].notebook_path', path: 'n.ipynb' },
        { field: 'tasks[2].js_path', path: 'j.js' },
      ],
      directories: [
        { field: 'working_dir', path: 'top' },
        { field: 'tasks[0].working_dir', path: 'sub' },
      ],
      interpreters: ['bash', 'python', 'node'],
      notebookRunner: true,
    });
    // They may bring papermill.
    expect(pipelineNeeds(read(`${text}\nrequirements: r.txt`))).toMatchObject({
      files: expect.arrayContaining([{ field: 'requirements', path: 'r.txt' }]) as unknown,
      notebookRunner: false,
    });
    expect(pipelineNeeds(read(withTasks(task('a')))).interpreters).toEqual(['bash']);
  });
});
