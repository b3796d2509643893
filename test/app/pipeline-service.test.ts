import { expect, test } from 'vitest';
import { SourceRepository } from '../control/git/source-repository.ts';
import { portRange } from '../support/free-port.ts';
import { findPart, requireParts } from '../support/require.ts';
import { RealmServer } from './realm-server.ts';
import { serve } from './serve-process.ts';

const NOTEBOOK = {
  cells: [
    {
      cell_type: 'code',
      execution_count: null,
      id: 'one',
      metadata: {},
      outputs: [],
      source: ["import os\nopen('notebook.txt', 'w').write('notebook after ' + open('bash.txt').read())"],
    },
  ],
  metadata: { kernelspec: { display_name: 'Python 3', language: 'python', name: 'python3' } },
  nbformat: 4,
  nbformat_minor: 5,
};

const FILES: Readonly<Record<string, string>> = {
  'pipeline.yaml': `
pipeline:
  name: report
  tasks:
    - {name: gather, type: bash script, bash_script_path: gather.sh, depends_on: []}
    - {name: count, type: python, py_path: count.py, depends_on: [gather]}
    - {name: note, type: jupyter notebook, notebook_path: note.ipynb, notebook_output_path: out/note.ipynb, depends_on: [gather]}
    - {name: serve, type: js script, js_path: serve.mjs, port: 8787, depends_on: [count, note]}
`,
  'gather.sh': 'printf bash > bash.txt\n',
  'count.py': "open('python.txt', 'w').write('python after ' + open('bash.txt').read())\n",
  'note.ipynb': JSON.stringify(NOTEBOOK),
  'serve.mjs': `
import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
const seen = ['python.txt', 'notebook.txt'].map((file) => readFileSync(file, 'utf8'));
createServer((_request, response) => response.end(JSON.stringify(seen))).listen(process.env.PORT, '127.0.0.1');
`,
};

test.skipIf(!requireParts('papermill'))(
  'a pipeline of bash, python, notebook and js tasks serves once the tasks before are done',
  async () => {
    const source = new SourceRepository();
    source.commit(FILES);
    const realm = await RealmServer.start();
    const { gateway, admin } = await serve({
      realms: [realm.settings],
      services: { local: { portRange: await portRange() } },
    });
    const headers = {
      authorization: `Bearer ${await realm.token({ realm_access: { roles: ['realmgate-admin'] } })}`,
      'content-type': 'application/json',
    };
    const send = async (method: string, path: string, body: object): Promise<void> => {
      const answer = await fetch(admin + path, { method, headers, body: JSON.stringify(body) });
      expect({ status: answer.status, body: await answer.text() }).toMatchObject({
        status: 201,
      });
    };
    await send('PUT', '/api/v1/environments/notebooks', { interpreters: { python: findPart('papermill') } });
    await send('POST', '/api/v1/services', {
      name: 'report',
      endpoint: '/report',
      type: 'pipeline',
      path: 'pipeline.yaml',
      environment: 'notebooks',
      git: { repository: source.url },
    });

    const answer = await fetch(`${gateway}/report`, { headers });
    expect({ status: answer.status, body: await answer.json() }).toEqual({
      status: 200,
      body: ['python after bash', 'notebook after bash'],
    });
  },
  120_000,
);
