import { once } from 'node:events';
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { Captured, startPlatform } from '../support/platform.ts';

const APPLY = ['services', 'apply', '-f', '-'];

const TWO = `name: web
endpoint: /web
path: run.sh
git: { repository: https://git.example.com/team/app.git, branch: main }
parameters: { model-name: small, a.b: "1" }
secrets: [x, y]
---
name: api
endpoint: /api
path: run.sh
git: { repository: file:///api }
`;

test('creates what is missing, updates what differs, and leaves the rest alone', async () => {
  const { control, run } = await startPlatform();
  expect(await run(APPLY, TWO)).toMatchObject({ code: 0, out: 'web: created\napi: created\n' });
  expect(await run(APPLY, TWO)).toMatchObject({ code: 0, out: 'web: unchanged\napi: unchanged\n' });
  control.bodies.length = 0;
  const changed = TWO.replace('branch: main', 'branch: next')
    .replace('a.b: "1"', 'c: "2"')
    .replace('[x, y]', '[y, x]');
  expect(await run(APPLY, changed)).toMatchObject({ code: 0, out: 'web: updated\napi: unchanged\n' });
  expect(control.bodies).toEqual([{ git: { branch: 'next' }, parameters: { c: '2', 'a.b': null } }]);
  expect(control.getService('web').parameters).toEqual({ 'model-name': 'small', c: '2' });
});

test('takes back what export gives, all or one', async () => {
  const { control, run } = await startPlatform();
  await run(APPLY, TWO);
  const { out } = await run(['services', 'export']);
  expect(parseAllDocuments(out)).toHaveLength(2);
  expect((await run([...APPLY, '--dry-run'], out)).out).toBe('web: unchanged\napi: unchanged\n');
  await control.cancelService('api', 'alice');
  expect((await run(APPLY, (await run(['services', 'export', 'api'])).out)).out).toBe('api: created\n');
});

test('--dry-run shows the difference field by field, changes nothing, and exits 1', async () => {
  const { control, run } = await startPlatform();
  await run(APPLY, TWO);
  control.bodies.length = 0;
  const wanted = `${TWO.replace('small', 'large').replace(', a.b: "1"', '')}---\nname: new\nendpoint: /new\n`;
  const { code, out } = await run([...APPLY, '--dry-run'], wanted);
  expect(code).toBe(1);
  expect(out.split('\n')).toEqual([
    'web: would be updated',
    '  parameters.model-name: "small" → "large"',
    '  parameters.a.b: "1" → none',
    'api: unchanged',
    'new: would be created',
    '  name: none → "new"',
    '  endpoint: none → "/new"',
    '',
  ]);
  expect(control.bodies).toEqual([]);
  const json = JSON.parse((await run([...APPLY, '--dry-run', '--json'], wanted)).out) as { items: object[] };
  expect(json.items[1]).toEqual({ name: 'api', result: 'unchanged', differences: [] });
});

test('one that is refused does not keep the others from being applied', async () => {
  const { control, run } = await startPlatform();
  const { code, out, err } = await run(APPLY, TWO.replace('/web', 'web'));
  expect({ code, out }).toEqual({ code: 1, out: 'api: created\n' });
  expect(err).toMatch(/^realmgate services apply: web: one field is wrong:\n {2}endpoint: .+\n/);
  expect(control.listServices({ status: null, q: null })).toHaveLength(1);
});

test('waits for those that it created, which start beside each other, and exits 1 when one fails', async () => {
  const { control, begin } = await startPlatform();
  control.newStatus = 'starting';
  const child = begin(APPLY, TWO);
  const [out, err] = [new Captured(child.stdout), new Captured(child.stderr)];
  await expect.poll(() => control.bodies.length).toBe(2);
  control.become('web', 'running');
  control.become('api', 'failed');
  expect((await once(child, 'close'))[0]).toBe(1);
  expect(out.text).toBe('web: created\napi: created\n');
  expect(err.text).toContain('realmgate services apply: api: api failed');
});

test.each([
  ['no name', 'endpoint: /a\n', 'service 1 of - needs a name'],
  ['a name twice', 'services: [{name: a}, {name: a}]\n', '- has two services named a'],
  ['nothing', '# There are no services.\n', 'there is no service in -'],
  ['no YAML', 'name: [\n', 'standard input:'],
])('a file with %s is wrong usage', async (_what, yaml, message) => {
  const { run } = await startPlatform();
  const { code, err } = await run(APPLY, yaml);
  expect(code).toBe(64);
  expect(err).toContain(message);
});
