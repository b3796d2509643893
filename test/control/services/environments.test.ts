import { expect, test } from 'vitest';
import { Environments } from '../../../src/control/services/environments.ts';
import { openStore } from '../store/support.ts';

const EMPTY = {
  variables: {},
  interpreters: { bash: null, python: null, node: null },
  resources: { cpu: null, memory: null },
  image: null,
  kubernetes: {},
};

const FULL = {
  variables: { LOG_LEVEL: 'debug', _X: '' },
  interpreters: { bash: null, python: '/opt/venv/bin/python', node: 'node' },
  resources: { cpu: '500m', memory: '1.5Gi' },
  image: 'registry.example.com/team/python:3.14@sha256:abc',
  kubernetes: {
    nodeSelector: { gpu: 'yes' },
    tolerations: [{ key: 'gpu', operator: 'Exists' }],
    gpu: 1,
    volumes: [{ name: 'data', deep: [{ a: null }] }],
  },
};

interface User {
  readonly name: string;
  readonly parameters: Readonly<Record<string, string>>;
}

function open(users: readonly User[] = []) {
  const store = openStore();
  return { store, environments: new Environments({ table: store.environments, services: () => users }) };
}

function refusal(code: string, message: RegExp): unknown {
  return expect.objectContaining({ code, message: expect.stringMatching(message) as string });
}

test('default always exists, is written like others, and is never deleted', () => {
  const { environments } = open();
  expect(environments.list()).toEqual([{ name: 'default', ...EMPTY }]);
  expect(environments.get('default')).toEqual({ name: 'default', ...EMPTY });
  expect(() => environments.delete('default', 'alice')).toThrow(refusal('conflict', /always exists/));
  environments.put('default', FULL, 'alice');
  expect(environments.list()).toEqual([{ name: 'default', ...FULL }]);
  expect(() => environments.delete('default', 'alice')).toThrow(refusal('conflict', /always exists/));
});

test('an environment is written, read, replaced as a whole and deleted, and all that is in the audit', () => {
  const { store, environments } = open();
  expect(environments.put('python-3.14', FULL, 'alice')).toEqual({ name: 'python-3.14', ...FULL });
  expect(environments.find('python-3.14')).toEqual({ name: 'python-3.14', ...FULL });
  environments.put('alpha', { resources: { cpu: '2' } }, 'alice');
  expect(environments.list().map(({ name }) => name)).toEqual(['alpha', 'default', 'python-3.14']);
  expect(environments.put('python-3.14', { variables: { A: 'b' } }, 'bob')).toEqual({
    name: 'python-3.14',
    ...EMPTY,
    variables: { A: 'b' },
  });
  environments.delete('python-3.14', 'carol');
  expect(environments.find('python-3.14')).toBeNull();
  expect(() => environments.get('python-3.14')).toThrow(refusal('not_found', /no such environment/));
  expect(() => environments.delete('python-3.14', 'carol')).toThrow(
    refusal('not_found', /no such environment/),
  );
  expect(store.audit({ limit: 2, before: null }).items).toMatchObject([
    { actor: 'carol', action: 'environment.delete', target: 'python-3.14' },
    {
      actor: 'bob',
      action: 'environment.put',
      difference: { 'variables.A': [null, 'b'], 'resources.cpu': ['500m', null] },
    },
  ]);
});

test('one that a service uses is not deleted, and the services are named', () => {
  const otter = { name: 'brave-otter', parameters: {} };
  const { environments } = open([otter, otter]);
  environments.put('a', {}, 'alice');
  expect(() => environments.delete('a', 'bob')).toThrow(refusal('conflict', /used by brave-otter;/));
  expect(environments.find('a')).not.toBeNull();
});

test('every wrong field is told at once', () => {
  const { environments } = open();
  let problems: readonly { field: string }[] = [];
  try {
    environments.put(
      'Wrong',
      {
        variables: { '1X': 'a', LEVEL: 3, 'A-B': 'c' },
        interpreters: { bash: 'bin/bash', python: '-c', perl: 'perl' },
        resources: { cpu: '2 cores', memory: '512' },
        image: 'a b',
        kubernetes: { nodeSelector: [], gpus: 1 },
      },
      'alice',
    );
  } catch (error) {
    ({ errors: problems } = error as { errors: typeof problems });
  }
  expect(problems.map(({ field }) => field)).toEqual([
    'name',
    'variables.1X',
    'variables.LEVEL',
    'variables.A-B',
    'interpreters.perl',
    'interpreters.bash',
    'interpreters.python',
    'resources.cpu',
    'resources.memory',
    'image',
    'kubernetes.gpus',
    'kubernetes.nodeSelector',
  ]);
  expect(environments.list()).toHaveLength(1);
});

test('a variable that the platform or the system sets is refused', () => {
  const { environments } = open();
  expect(() => environments.put('a', { variables: { PATH: '/x', PORT: '1' } }, 'alice')).toThrow(
    refusal('invalid_request', /variables\.PATH: .*variables\.PORT: /),
  );
});

test('a variable that a parameter of a service in it becomes as well is refused, naming both', () => {
  const { environments } = open([
    { name: 'otter', parameters: { 'model-name': 'small', other: 'x' } },
    { name: 'lynx', parameters: { 'model.name': 'large' } },
  ]);
  const variables = { MODEL_NAME: 'a', LEVEL: 'b' };
  expect(() => environments.put('a', { variables }, 'alice')).toThrow(
    expect.objectContaining({
      code: 'invalid_request',
      errors: [
        {
          field: 'variables.MODEL_NAME',
          message:
            'MODEL_NAME is what the parameter "model-name" of the service otter and "model.name" of the service lynx ' +
            'becomes; choose another name',
        },
      ],
    }),
  );
  expect(environments.find('a')).toBeNull();
  environments.put('a', { variables: { LEVEL: 'b' } }, 'alice');
});

test('JSON that is passed on may not be nested without end', () => {
  const { environments } = open();
  const deep: unknown = JSON.parse(`${'['.repeat(400_000)}${']'.repeat(400_000)}`);
  for (const kubernetes of [{ gpu: deep }, { nodeSelector: { a: deep } }, { volumes: [{ deep }] }]) {
    expect(() => environments.put('a', { kubernetes }, 'alice')).toThrow(
      refusal('invalid_request', /more than 20 levels deep/),
    );
  }
});
