import { expect, test } from 'vitest';
import { startPlatform } from './support/platform.ts';

test('set with flags creates, then changes only what is given', async () => {
  const { control, run } = await startPlatform();
  const first = [
    '--var',
    'LOG_LEVEL=info',
    '--var',
    'A=1',
    '--cpu',
    '500m',
    '--interpreter',
    'python=/opt/python',
  ];
  expect(await run(['environments', 'set', 'gpu', ...first])).toEqual({
    code: 0,
    out: 'gpu is set\n',
    err: '',
  });
  await run([
    'environments',
    'set',
    'gpu',
    '--memory',
    '1Gi',
    '--no-cpu',
    '--unset-var',
    'A',
    '--var',
    'B=x=y',
  ]);
  expect(control.getEnvironment('gpu')).toEqual({
    name: 'gpu',
    variables: { LOG_LEVEL: 'info', B: 'x=y' },
    interpreters: { bash: null, python: '/opt/python', node: null },
    resources: { cpu: null, memory: '1Gi' },
    image: null,
    kubernetes: {},
  });
  await run(['environments', 'set', 'gpu', '--interpreter', 'python=']);
  expect(control.getEnvironment('gpu').interpreters.python).toBeNull();
});

test('set with a file replaces the whole, with the flags over it; it takes back what show gives', async () => {
  const { control, run } = await startPlatform();
  await run(['environments', 'set', 'gpu', '--var', 'A=1', '--memory', '1Gi']);
  await run(['environments', 'set', 'gpu', '-f', '-', '--var', 'B=2'], 'variables: {C: "3"}\n');
  expect(control.getEnvironment('gpu')).toMatchObject({
    variables: { B: '2', C: '3' },
    resources: { memory: null },
  });
  const { out } = await run(['environments', 'show', 'gpu', '--json']);
  expect(await run(['environments', 'set', 'gpu', '-f', '-'], out)).toMatchObject({ code: 0 });
  expect(JSON.parse(out)).toEqual(control.getEnvironment('gpu'));
  expect(await run(['environments', 'set', 'other', '-f', '-'], out)).toMatchObject({ code: 64 });
});

test('list, show and delete', async () => {
  const { run } = await startPlatform();
  await run(['environments', 'set', 'gpu', '--var', 'A=1', '--cpu', '2']);
  expect((await run(['environments', 'list'])).out).toMatch(/^gpu +2 +- +A +- +-$/m);
  expect((await run(['environments', 'show', 'gpu'])).out).toMatch(/^Variable A: +1$/m);
  expect(await run(['environments', 'delete', 'gpu'])).toMatchObject({ code: 0, out: 'gpu is deleted\n' });
  expect(await run(['environments', 'delete', 'default'])).toMatchObject({
    code: 1,
    err: 'realmgate environments delete: The environment default always exists\n',
  });
});

test('wrong fields are told with their flags, and nothing to set is wrong usage', async () => {
  const { run } = await startPlatform();
  const { code, err } = await run(['environments', 'set', 'gpu', '--memory', 'much', '--cpu', 'all']);
  expect(code).toBe(1);
  expect(err).toMatch(/^ {2}resources\.cpu \(--cpu\): /m);
  expect(err).toMatch(/^ {2}resources\.memory \(--memory\): /m);
  expect(await run(['environments', 'set', 'gpu'])).toMatchObject({ code: 64 });
  expect(await run(['environments', 'set', 'gpu', '--var', 'A=1', '--unset-var', 'A'])).toMatchObject({
    code: 64,
  });
});
