import { execFileSync } from 'node:child_process';

import { describe, expect, test } from 'vitest';

import type { Environment } from '../../../src/contracts/service.ts';
import {
  environmentVariableProblems,
  serviceVariables,
  variableProblems,
} from '../../../src/control/services/variables.ts';

function environment(changes: Partial<Environment> = {}): Environment {
  return {
    name: 'default',
    variables: {},
    interpreters: { bash: null, python: null, node: null },
    resources: { cpu: null, memory: null },
    image: null,
    kubernetes: {},
    ...changes,
  };
}

function problems(
  parameters: Record<string, string>,
  variables: Record<string, string> = {},
  secrets: { name: string; keys: string[] }[] = [],
): { field: string; message: string }[] {
  return variableProblems({ parameters, secrets, environment: environment({ variables }) });
}

const service = {
  base: { PATH: '/usr/bin:/bin', HOME: '/home/x' },
  spec: { name: 'brave-otter', endpoint: '/hello', parameters: {} },
  environment: environment(),
  secrets: {},
  port: 20001,
  secretsDirectory: null,
};

describe('the variables of a service', () => {
  test('parameters have both names, secrets theirs, and the platform tells where it is', () => {
    const variables = serviceVariables({
      ...service,
      spec: { ...service.spec, parameters: { 'model-name': 'small', 'weird.näme': 'x' } },
      environment: environment({ variables: { LOG_LEVEL: 'debug' } }),
      secrets: { openai: { 'openai-key': 'sk' }, other: { '2fa': 'code' } },
      secretsDirectory: '/etc/hyperplane/secrets',
    });
    expect(variables).toEqual({
      PATH: '/usr/bin:/bin',
      HOME: '/home/x',
      PYTHONUNBUFFERED: '1',
      LOG_LEVEL: 'debug',
      MODEL_NAME: 'small',
      HYPERPLANE_JOB_PARAMETER_MODEL_NAME: 'small',
      WEIRD_N_ME: 'x',
      HYPERPLANE_JOB_PARAMETER_WEIRD_N_ME: 'x',
      HYPERPLANE_CUSTOM_SECRET_KEY_OPENAI_KEY: 'sk',
      HYPERPLANE_CUSTOM_SECRET_KEY_2FA: 'code',
      HYPERPLANE_SECRETS_DIR: '/etc/hyperplane/secrets',
      PORT: '20001',
      SERVICE_NAME: 'brave-otter',
      SERVICE_ENDPOINT: '/hello',
    });
  });

  test('the nearer wins: the parameter over the environment, the environment over the system, the platform over all', () => {
    const variables = serviceVariables({
      ...service,
      base: { A: 'base', B: 'base', PORT: '1', PYTHONUNBUFFERED: '' },
      spec: { ...service.spec, parameters: { b: 'parameter', port: '3' } },
      environment: environment({ variables: { A: 'environment', B: 'environment', PORT: '2' } }),
    });
    expect(variables).toMatchObject({
      A: 'environment',
      B: 'parameter',
      PORT: '20001',
      PYTHONUNBUFFERED: '',
    });
  });

  test('the Python and the Node of the environment stand first in PATH, once', () => {
    const interpreters = { bash: '/bash/bin/bash', python: '/py/bin/python3', node: 'node22' };
    const one = serviceVariables({ ...service, environment: environment({ interpreters }) });
    expect(one['PATH']).toBe('/py/bin:/usr/bin:/bin');
    const both = { ...interpreters, python: '/bin/python3', node: '/opt/node/bin/node' };
    expect(serviceVariables({ ...service, environment: environment({ interpreters: both }) })['PATH']).toBe(
      '/bin:/opt/node/bin:/usr/bin',
    );
  });

  test('a secret that no variable can hold is in its file alone, and the program starts', () => {
    const secrets = { keys: { binary: 'a\0b', large: 'x'.repeat(140_000), fine: 'f' } };
    const variables = serviceVariables({ ...service, secrets });
    expect(Object.keys(variables).filter((name) => name.includes('SECRET_KEY'))).toEqual([
      'HYPERPLANE_CUSTOM_SECRET_KEY_FINE',
    ]);
  });
});

describe('collisions', () => {
  test('of two parameters name both', () => {
    expect(problems({ 'model-name': 'a', MODEL_NAME: 'b' })).toEqual([
      {
        field: 'parameters.MODEL_NAME',
        message: '"MODEL_NAME" becomes the variable MODEL_NAME, as "model-name" does; choose another name',
      },
    ]);
    expect(problems({ 'model-name': 'a', 'model-names': 'b' })).toEqual([]);
  });

  test('of a parameter with the environment name both', () => {
    expect(problems({ 'log-level': 'a' }, { LOG_LEVEL: 'b' })).toEqual([
      {
        field: 'parameters.log-level',
        message:
          '"log-level" becomes the variable LOG_LEVEL, which the environment "default" sets; choose another name',
      },
    ]);
  });

  test.each([
    ['port', 'PORT', 'the platform'],
    ['service-name', 'SERVICE_NAME', 'the platform'],
    ['Service.Endpoint', 'SERVICE_ENDPOINT', 'the platform'],
    ['hyperplane-secrets-dir', 'HYPERPLANE_SECRETS_DIR', 'the platform'],
    ['path', 'PATH', 'the system'],
    ['home', 'HOME', 'the system'],
    ['tmpdir', 'TMPDIR', 'the system'],
    ['lang', 'LANG', 'the system'],
    ['lc-all', 'LC_ALL', 'the system'],
    ['uid', 'UID', 'the shell'],
    ['bash-env', 'BASH_ENV', 'the shell'],
    ['ifs', 'IFS', 'the shell'],
  ])('of the parameter %s with %s, which %s sets', (name, variable, owner) => {
    expect(problems({ [name]: '1' })).toEqual([
      {
        field: `parameters.${name}`,
        message: `"${name}" becomes the variable ${variable}, which ${owner} sets; choose another name`,
      },
    ]);
  });

  test('every variable that a script would not find as it was given is taken', () => {
    // A bash whose standard input is a socket reads ~/.bashrc.
    const stdio = ['ignore', 'pipe', 'inherit'] as const;
    const list = execFileSync('bash', ['-c', 'compgen -v'], { encoding: 'utf8', stdio: [...stdio] });
    const known = list.trim().split('\n');
    const free = known.filter((name) => problems({ [name]: '1' }).length === 0);
    const env = { PATH: process.env['PATH'], ...Object.fromEntries(free.map((name) => [name, 'as given'])) };
    const script = 'for name; do [ "${!name}" = "as given" ] || echo "$name"; done';
    expect(
      execFileSync('bash', ['-c', script, 'bash', ...free], { env, encoding: 'utf8', stdio: [...stdio] }),
    ).toBe('');
    expect(free.length).toBeGreaterThan(0);
  });

  test('of the keys of two secrets, or of one, name both', () => {
    const secrets = [
      { name: 'openai', keys: ['openai-key'] },
      { name: 'azure', keys: ['x', 'openai_key', 'X'] },
    ];
    expect(problems({}, {}, secrets)).toEqual([
      {
        field: 'secrets[1]',
        message:
          'the key "openai_key" of the secret "azure" becomes the variable HYPERPLANE_CUSTOM_SECRET_KEY_OPENAI_KEY, ' +
          'as does the key "openai-key" of the secret "openai"',
      },
      {
        field: 'secrets[1]',
        message:
          'the key "X" of the secret "azure" becomes the variable HYPERPLANE_CUSTOM_SECRET_KEY_X, ' +
          'as does the key "x" of the secret "azure"',
      },
    ]);
  });

  test('names that people use are free', () => {
    const names = [
      'env',
      'username',
      'host',
      'tz',
      'node-env',
      'term',
      'model',
      'year',
      'NODE_OPTIONS',
      'a1',
    ];
    expect(problems(Object.fromEntries(names.map((name) => [name, 'x'])))).toEqual([]);
  });
});

describe('names and values that no variable can have', () => {
  test.each([
    ['2fa', 'x', 'cannot begin with a digit'],
    ['', 'x', 'no letter and no digit'],
    ['--', 'x', 'no letter and no digit'],
    ['日本', 'x', 'no letter and no digit'],
    ['a\nb', 'x', 'control characters'],
    ['a'.repeat(201), 'x', 'longer than 200'],
    ['a', 'x\0y', 'has a NUL'],
    ['a', '\ud800', 'not well-formed'],
    ['a', 'é'.repeat(66_000), 'longer than 127 KiB'],
  ])('the parameter %j: %#', (name, value, fault) => {
    expect(problems({ [name]: value })).toEqual([
      { field: `parameters.${name}`, message: expect.stringContaining(fault) as string },
    ]);
  });

  test('the largest value that is let through is one that a program starts with', () => {
    const value = 'x'.repeat(128 * 1024 - 2 - 'HYPERPLANE_JOB_PARAMETER_A'.length);
    expect(problems({ a: value })).toEqual([]);
    expect(problems({ a: `${value}x` })).toHaveLength(1);
    const variables = serviceVariables({ ...service, spec: { ...service.spec, parameters: { a: value } } });
    expect(execFileSync('bash', ['-c', 'echo ${#A}'], { env: variables, encoding: 'utf8' })).toBe(
      `${value.length}\n`,
    );
  });

  test('too much of everything', () => {
    const many = Object.fromEntries(Array.from({ length: 6 }, (_, i) => [`a${i}`, 'x'.repeat(100_000)]));
    expect(problems(many)).toEqual([
      { field: 'parameters', message: 'the values together are longer than 512 KiB' },
    ]);
  });

  test('every fault is told at once', () => {
    const secrets = [{ name: 's', keys: ['..'] }];
    expect(problems({ port: '1', '2fa': 'x', ok: 'y' }, {}, secrets).map(({ field }) => field)).toEqual([
      'parameters.port',
      'parameters.2fa',
      'secrets[0]',
    ]);
  });
});

describe('the variables of an environment', () => {
  test('settings of languages and loaders are the environment’s business', () => {
    const names = [
      'NODE_OPTIONS',
      'PYTHONPATH',
      'LANG',
      'LC_ALL',
      'TZ',
      'LD_LIBRARY_PATH',
      'http_proxy',
      '_x',
    ];
    expect(environmentVariableProblems(Object.fromEntries(names.map((name) => [name, '1'])))).toEqual([]);
  });

  test('what the platform, the system or the shell sets is refused, and so is what is no variable', () => {
    const variables = {
      PORT: '1',
      PATH: '/x',
      BASH_ENV: '/x',
      HYPERPLANE_X: '1',
      realmgate_root: '/',
      REALMGATE_REPLICA: '1',
      'a-b': '',
      '1a': '',
    };
    expect(environmentVariableProblems({ ...variables, N: '\0' })).toEqual([
      // Keys that look like numbers aside, objects keep their order.
      { field: 'variables.PORT', message: 'PORT is set by the platform; choose another name' },
      { field: 'variables.PATH', message: 'PATH is set by the system; choose another name' },
      { field: 'variables.BASH_ENV', message: 'BASH_ENV is set by the shell; choose another name' },
      {
        field: 'variables.HYPERPLANE_X',
        message: 'HYPERPLANE_X is set by the platform; choose another name',
      },
      {
        field: 'variables.realmgate_root',
        message: 'realmgate_root is set by the platform; choose another name',
      },
      {
        field: 'variables.REALMGATE_REPLICA',
        message: 'REALMGATE_REPLICA is set by the platform; choose another name',
      },
      {
        field: 'variables.a-b',
        message: expect.stringContaining('"a-b" is no name of a variable') as string,
      },
      { field: 'variables.1a', message: expect.stringContaining('"1a" is no name of a variable') as string },
      { field: 'variables.N', message: 'the value has a NUL, which no variable can hold' },
    ]);
  });
});
