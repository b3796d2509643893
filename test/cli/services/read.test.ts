import { expect, test } from 'vitest';
import { startPlatform } from '../support/platform.ts';

const COMMIT = '0123456789abcdef0123456789abcdef01234567';

test('list shows current services in aligned columns, and past ones when asked', async () => {
  const { control, add, run } = await startPlatform();
  await add('web');
  await add('brave-otter');
  await add('old');
  await control.cancelService('old', 'alice');
  const lines = (await run(['services', 'list'])).out.split('\n');
  expect(lines[0]).toMatch(/^NAME +STATUS +READY +ENDPOINT +REPOSITORY +COMMIT +AGE$/);
  expect(lines[1]).toMatch(
    /^web +running +1\/1 +\/web +https:\/\/git\.example\.com\/team\/app\.git +- +\d+s$/,
  );
  expect(lines[2]!.indexOf('running')).toBe(lines[1]!.indexOf('running'));
  expect(lines).toHaveLength(4);
  expect((await run(['services', 'list', '--all'])).out).toMatch(/^old +cancelled .* [0-9a-f-]{36}$/m);
  expect((await run(['services', 'list', '--status', 'cancelled', '-q', 'OLD'])).out).toMatch(/^old /m);
  const none = ['services', 'list', '-q', 'nothing'];
  expect((await run(none)).out).toBe('There are no current services to list; --all lists past ones too.\n');
  expect((await run([...none, '--all'])).out).toBe('There are no services to list.\n');
});

test('list and show have no colours where no terminal is, and are JSON for programs', async () => {
  const { add, run } = await startPlatform();
  const { id } = await add('web');
  expect((await run(['services', 'list'])).out).not.toContain('\u001b');
  const list = JSON.parse((await run(['services', 'list', '--json'])).out) as { items: object[] };
  expect(list.items).toMatchObject([{ id, name: 'web' }]);
  expect(JSON.parse((await run(['services', 'show', id, '--json'])).out)).toMatchObject({ id, port: 8787 });
});

test('show tells everything that is set, the replicas and how they ended, by name or id', async () => {
  const { add, run } = await startPlatform();
  const { id } = await add('web', {
    git: { repository: 'https://git.example.com/a.git', commit: COMMIT },
    parameters: { 'model-name': 'small' },
    access: { roles: ['realm:editor'] },
    minReplicas: 1,
    maxReplicas: 3,
  });
  const { out } = await run(['services', 'show', 'web']);
  expect(out).toContain(`Id: `);
  expect(out).toMatch(/^Status: +running$/m);
  expect(out).toMatch(/^Callers: +a valid token with$/m);
  expect(out).toMatch(/^Roles: +realm:editor$/m);
  expect(out).toMatch(/^Param model-name: +small$/m);
  expect(out).toMatch(/^Replicas: +1 to 3$/m);
  expect(out).toMatch(/^r1 +ready +1 +exit code 1, \d+s ago$/m);
  const byId = (await run(['services', 'show', id])).out;
  expect(byId.replace(/\d+s ago/, '')).toBe(out.replace(/\d+s ago/, ''));
});

test('a past service is found by its name, and a name that nobody has gets the nearest', async () => {
  const { control, add, run } = await startPlatform();
  await add('brave-otter');
  await control.cancelService('brave-otter', 'alice');
  expect((await run(['services', 'show', 'brave-otter'])).out).toMatch(/^Status: +cancelled$/m);
  const { code, out, err } = await run(['services', 'show', 'brave-oter']);
  expect({ code, out }).toEqual({ code: 1, out: '' });
  expect(err).toContain('there is no service brave-oter; did you mean brave-otter?');
});

test('events are told oldest first, with their last lines, and cannot move the cursor', async () => {
  const { control, add, run } = await startPlatform();
  await add('web');
  control.happen('web', 'exited', 'It ended with exit code 3', {
    exitCode: 3,
    signal: null,
    lastLines: ['one', '\u001b[2Jtwo'],
  });
  const { out } = await run(['services', 'events', 'web']);
  const lines = out.split('\n');
  expect(lines[0]).toMatch(/^\d{4}-\S+Z +created +It was made by create$/);
  expect(lines[1]).toMatch(/^\d{4}-\S+Z +exited +\[r1\] It ended with exit code 3$/);
  expect(lines.slice(2)).toEqual(['    exitCode: 3', '    lastLines:', '      one', '      [2Jtwo', '']);
  const json = JSON.parse((await run(['services', 'events', 'web', '--json'])).out) as { items: object[] };
  expect(json.items).toHaveLength(2);
});

test('revisions are listed, and rollback goes back to one', async () => {
  const { control, add, run } = await startPlatform();
  await add('web');
  await control.updateService('web', { port: 9000 }, 'bob');
  expect((await run(['services', 'revisions', 'web'])).out).toMatch(
    /^2 +active +- +update +bob +\d{4}-\S+ +-$/m,
  );
  expect(await run(['services', 'rollback', 'web', '1'])).toMatchObject({ code: 0 });
  expect(control.getService('web').port).toBe(8787);
  expect((await run(['services', 'rollback', 'web', '99'])).err).toContain(
    'revision (REVISION): is not a revision',
  );
  expect(await run(['services', 'rollback', 'web', 'x'])).toMatchObject({ code: 64 });
});
