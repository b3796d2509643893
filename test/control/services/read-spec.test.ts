import fc from 'fast-check';
import { Check } from 'typebox/schema';
import { expect, test } from 'vitest';
import type { ServiceSpec } from '../../../src/contracts/service.ts';
import type { InvalidRequest } from '../../../src/errors.ts';
import {
  type SpecOptions,
  type SpecReading,
  readRollback,
  readSpec,
} from '../../../src/control/services/read-spec.ts';
import { SERVICE_BODY, SERVICE_CHANGE } from '../../../src/control/services/spec-schema.ts';
import { SERVICE_REVISION } from '../../../src/control/services/view-schema.ts';
import { specOf } from '../store/support.ts';

const SMALL = {
  name: 'brave-otter',
  endpoint: '/hello',
  path: 'run.sh',
  git: { repository: 'https://git.example.com/team/app.git' },
};

function read(body: unknown, options: Partial<SpecOptions> = {}): SpecReading {
  return readSpec(body, { base: null, clone: false, taken: () => false, ...options });
}

function change(body: unknown, base: ServiceSpec = specOf()): SpecReading {
  return read(body, { base });
}

/** `field: message` of each problem. */
function faults(reading: SpecReading): string[] {
  return reading.problems.map(({ field, message }) => `${field}: ${message}`);
}

test('the least that can be said gets every default', () => {
  expect(read(SMALL)).toEqual({
    spec: {
      name: 'brave-otter',
      endpoint: '/hello',
      environment: 'default',
      type: 'shell',
      path: 'run.sh',
      port: 8787,
      minReplicas: 1,
      maxReplicas: 1,
      git: { ...SMALL.git, branch: null, commit: null, credentials: null },
      parameters: {},
      secrets: [],
      fixedPort: false,
      stripPrefix: true,
      access: { roles: [], scopes: [], clients: [] },
      public: false,
      health: null,
    },
    sketch: expect.anything() as unknown,
    problems: [],
  });
});

test('the example of the contract is taken as it is, and a spec that was read is read as itself', () => {
  const { health, ...rest } = specOf();
  const { spec } = read({ ...rest, access: { roles: [] } });
  expect(spec?.health).toBe(health);
  expect(spec).toMatchObject({ maxReplicas: 3, parameters: { 'model-name': 'small' } });
  expect(JSON.stringify(read(specOf()).spec)).toBe(JSON.stringify(specOf()));
});

test('a name is made up where there is none, and is one that nobody has', () => {
  const asked: string[] = [];
  const { spec } = read(
    { ...SMALL, name: null },
    {
      taken: (name) => {
        asked.push(name);
        return asked.length < 30;
      },
    },
  );
  expect(spec?.name).toBe(asked.at(-1));
  expect(asked).toHaveLength(30);
  for (const name of asked) expect(name).toMatch(/^[a-z]+-[a-z]+(-\d+)?$/);
});

test.each([
  [{ minReplicas: 0 }, [0, 1]],
  [{ maxReplicas: 4 }, [1, 4]],
  [{ minReplicas: 2, maxReplicas: 4 }, [2, 4]],
  [{ fixedPort: true }, [1, 1]],
  [{ fixedPort: true, minReplicas: 0 }, [0, 1]],
])('replicas of %j', (body, [least, most]) => {
  expect(read({ ...SMALL, ...body }).spec).toMatchObject({ minReplicas: least, maxReplicas: most });
});

test('every wrong field is told at once, each with its value and with what would be right', () => {
  const reading = read({
    nme: 'x',
    name: 'A_B',
    endpoint: '/auth/x',
    environment: '',
    type: 'bash',
    path: '../x',
    port: '8787',
    minReplicas: -1,
    maxReplicas: 1.5,
    git: { repository: 'ext::sh -c id', branch: '-x', commit: 'zz', credentials: 7, brnch: 1 },
    parameters: { count: 1, '9x': 'y', empty: null },
    secrets: ['ok', 'ok', 'NO'],
    fixedPort: 'yes',
    access: { roles: ['admin'], scopes: 'read', clients: [''] },
    public: null,
    health: { path: 'x' },
    status: 'running',
  });
  expect(reading.spec).toBeNull();
  expect(reading.sketch).toEqual({ stripPrefix: true });
  expect(faults(reading)).toEqual([
    'nme: is not a field here; did you mean name?',
    'status: is set by Realmgate and cannot be given; leave it out',
    'name: "A_B" is not the name of a service; expected a DNS label, lower-case letters, digits and - inside, such as brave-otter',
    'endpoint: "/auth/x" is not an endpoint: /auth belongs to the realms; expected a canonical path such as /hello',
    'environment: "" is not the name of an environment; expected lower-case letters, digits, - and . inside, such as python-3.14',
    'type: "bash" is not one of shell, pipeline',
    'path: "../x" is not a path in the repository: it has a .. segment; expected one relative to its root, such as run.sh',
    'port: "8787" is text; expected a whole number from 1 to 65535',
    'minReplicas: -1 is not a whole number from 0 to 1000',
    'maxReplicas: 1.5 is not a whole number from 1 to 1000',
    'git.brnch: is not a field here; did you mean branch?',
    'git.credentials: 7 is a number; expected the name of a secret, lower-case letters, digits, - and . inside, such as openai (in quotes)',
    'parameters.count: 1 is a number; expected text without NUL (in quotes)',
    'parameters.9x: "9x" is not the name of a parameter; expected a letter, then letters, digits, ., _ and -, such as model-name',
    'parameters.empty: is null; expected text without NUL',
    'secrets[1]: "ok" stands in the list twice',
    'secrets[2]: "NO" is not the name of a secret; expected lower-case letters, digits, - and . inside, such as openai',
    'fixedPort: "yes" is text; expected true or false',
    'access.roles[0]: "admin" is not a role; expected realm:ROLE or client:CLIENT/ROLE, such as realm:admin',
    'access.scopes: is text; expected a list',
    'access.clients[0]: "" is not a name; expected text on one line',
    'public: is null; expected true or false',
    'health.path: "x" is not a path to ask for; expected one such as /healthz',
    expect.stringMatching(/^git\.repository: The repository cannot be used/) as string,
    expect.stringMatching(/^git\.branch: .*begins with a dash/) as string,
    expect.stringMatching(/^git\.commit: .*hexadecimal/) as string,
  ]);
});

test('fields that are missing are named', () => {
  expect(read({}).problems.map(({ field }) => field)).toEqual(['endpoint', 'path', 'git']);
  expect(read({ ...SMALL, git: {} }).problems.map(({ field }) => field)).toEqual(['git.repository']);
  for (const body of [undefined, null, [], 'text', 7]) {
    expect(read(body).problems).toMatchObject([{ field: 'body' }]);
  }
});

test.each([
  ['/', true],
  ['/a', true],
  ['/a/b-c_d~e', true],
  ['/author', true],
  ['/...', true],
  ['', false],
  ['a', false],
  ['/a/', false],
  ['//', false],
  ['/a//b', false],
  ['/.', false],
  ['/a/../b', false],
  ['/%61', false],
  ['/a;b', false],
  ['/a?b', false],
  ['/a#b', false],
  ['/a b', false],
  ['/é', false],
  ['/a\\b', false],
  ['/auth', false],
  ['/auth/x', false],
  [`/${'a'.repeat(199)}`, true],
  [`/${'a'.repeat(200)}`, false],
])('endpoint %j: %s', (endpoint, right) => {
  expect(read({ ...SMALL, endpoint }).spec !== null).toBe(right);
});

test.each([
  ['run.sh', true],
  ['a/b.sh', true],
  ['./run.sh', true],
  ['..run', true],
  ['a/..b', true],
  ['日本.sh', true],
  ['', false],
  ['/run.sh', false],
  ['-c', false],
  ['..', false],
  ['a/../../b', false],
  ['a/..', false],
  ['a/', false],
  ['a\0b', false],
  ['a\nb', false],
  ['\ud800', false],
])('path %j: %s', (path, right) => {
  expect(read({ ...SMALL, path }).spec !== null).toBe(right);
});

test('a role, a scope and a client are what tokens can have', () => {
  const access = { roles: ['realm:a b', 'client:api/x/y'], scopes: ['read:all'], clients: ['istio'] };
  expect(read({ ...SMALL, access }).spec?.access).toEqual(access);
  const wrong = { roles: ['realm:', 'client:api'], scopes: ['a b', 'a"'] };
  expect(read({ ...SMALL, access: wrong }).problems.map(({ field }) => field)).toEqual([
    'access.roles[0]',
    'access.roles[1]',
    'access.scopes[0]',
    'access.scopes[1]',
  ]);
});

test('rules between fields are told for the field that was given', () => {
  expect(faults(read({ ...SMALL, minReplicas: 3, maxReplicas: 2 }))).toEqual([
    'maxReplicas: 2 is below minReplicas; expected 3 at least',
  ]);
  expect(faults(read({ ...SMALL, minReplicas: 3 }))).toEqual([
    'maxReplicas: 1 is below minReplicas; expected 3 at least',
  ]);
  expect(faults(change({ minReplicas: 5 }))).toEqual([
    'minReplicas: 5 is above maxReplicas; expected 3 at most',
  ]);
  expect(faults(change({ fixedPort: true }))).toEqual([
    'maxReplicas: 3 replicas cannot share one port; with fixedPort, expected 1',
  ]);
});

test('a change is a merge patch: what is not named stays, null takes a field back to its default', () => {
  const base = specOf({
    git: { repository: 'https://git.example.com/a.git', branch: 'x', commit: 'c0ffee', credentials: null },
    access: { roles: ['realm:a'], scopes: ['s'], clients: [] },
    parameters: { a: '1', b: '2' },
  });
  const { spec, problems } = change(
    {
      git: { branch: 'main', commit: null },
      access: { roles: ['realm:b'] },
      parameters: { a: null, c: '3' },
      port: null,
      minReplicas: 0,
      maxReplicas: null,
      health: { path: '/healthz' },
    },
    base,
  );
  expect(problems).toEqual([]);
  expect(spec).toEqual({
    ...base,
    git: { ...base.git, branch: 'main', commit: null },
    access: { roles: ['realm:b'], scopes: ['s'], clients: [] },
    parameters: { b: '2', c: '3' },
    port: 8787,
    minReplicas: 0,
    maxReplicas: 1,
    health: { path: '/healthz' },
  });
  expect(change({ access: null, parameters: null, secrets: null }, base).spec).toMatchObject({
    access: { roles: [], scopes: [], clients: [] },
    parameters: {},
    secrets: [],
  });
  expect(JSON.stringify(change({}, base).spec)).toBe(JSON.stringify(base));
});

test('what has no default cannot be taken back', () => {
  const fields = change({ endpoint: null, path: null, git: null }).problems.map(({ field }) => field);
  expect(fields).toEqual(['endpoint', 'path', 'git']);
  expect(change({ git: { repository: null } }).problems).toMatchObject([{ field: 'git.repository' }]);
});

test('a clone keeps the name where it is free, and an update in any case', () => {
  const taken = (name: string) => name === 'brave-otter';
  const base = specOf();
  expect(read({}, { base, clone: true, taken: () => false }).spec?.name).toBe('brave-otter');
  expect(read({}, { base, clone: true, taken }).spec?.name).not.toBe('brave-otter');
  expect(read({ name: 'brave-otter' }, { base, clone: true, taken }).spec?.name).toBe('brave-otter');
  expect(read({}, { base, taken }).spec?.name).toBe('brave-otter');
  expect(read({ name: null }, { base, taken }).spec?.name).not.toBe('brave-otter');
});

test('what is right of a wrong body can be looked at further', () => {
  const { sketch } = read({ ...SMALL, port: 0, git: { ...SMALL.git, branch: 7 } });
  expect(sketch).toMatchObject({ name: 'brave-otter', path: 'run.sh', type: 'shell' });
  expect(sketch).not.toHaveProperty('port');
  expect(sketch).not.toHaveProperty('git');
});

test('a body made to hurt is answered in bounds', () => {
  for (const length of [1, 20]) {
    const keys = Array.from({ length: 50_000 }, (_, i) => `field-${i}`.repeat(length));
    const { problems } = read({ ...SMALL, ...Object.fromEntries(keys.map((key) => [key, 1])) });
    expect(problems).toHaveLength(100);
    expect(JSON.stringify(problems).length).toBeLessThan(100_000);
  }
  const long = 'x'.repeat(1_000_000);
  expect(
    JSON.stringify(read({ ...SMALL, name: long, parameters: { [long]: long } }).problems).length,
  ).toBeLessThan(2000);
});

test('a part of the source that is wrong in itself is told once', () => {
  const git = { repository: 'ssh://git@git.example.com/a.git', credentials: 7 };
  expect(read({ ...SMALL, git }).problems.map(({ field }) => field)).toEqual(['git.credentials']);
  expect(read({ ...SMALL, git: { ...git, credentials: null } }).problems).toMatchObject([
    { field: 'git.credentials', message: expect.stringContaining('ssh-key') as string },
  ]);
});

test('a password in a repository is in no message', () => {
  const repository = 'https://alice:s3cret@git.example.com/a.git';
  for (const each of [repository, `${repository}\n`, `${repository}${'x'.repeat(5000)}`]) {
    const { problems } = read({ ...SMALL, git: { repository: each } });
    expect(problems).toMatchObject([{ field: 'git.repository' }]);
    expect(JSON.stringify(problems)).not.toContain('s3cret');
  }
});

/** A field, right more often than not, or anything. */
function field(...right: unknown[]): fc.Arbitrary<unknown> {
  return fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom(...right) },
    { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 3 }) },
  );
}

const bodies = fc
  .tuple(
    fc.constantFrom(specOf(), SMALL, {}),
    fc.record(
      {
        name: field('a', 'a-b', null),
        endpoint: field('/', '/a', '/a/b', 'a'),
        environment: field('default', 'python-3.14'),
        type: field('shell', 'pipeline'),
        path: field('run.sh', '../run.sh'),
        port: field(1, 65_535, 0),
        minReplicas: field(0, 1, 2),
        maxReplicas: field(1, 2, null),
        git: field({ repository: 'file:///srv/a.git' }, { branch: 'b', commit: 'abcd' }),
        parameters: field({}, { a: 'b' }, { a: null }),
        secrets: field([], ['a'], ['a', 'a']),
        fixedPort: field(true, false),
        access: field({}, { roles: ['realm:x'] }),
        health: field(null, { path: '/x' }),
        public: field(true),
      },
      { requiredKeys: [] },
    ),
  )
  .map(([right, some]): unknown => ({ ...right, ...some }));

test('what the schema refuses is refused, and what is read is what the schema of answers says', () => {
  const { spec: answer } = SERVICE_REVISION.properties ?? {};
  let accepted = 0;
  fc.assert(
    fc.property(bodies, fc.boolean(), (body, isChange) => {
      const { spec, problems } = isChange ? change(body) : read(body);
      expect(spec === null).toBe(problems.length > 0);
      if (!Check(isChange ? SERVICE_CHANGE : SERVICE_BODY, body)) expect(spec).toBeNull();
      if (spec === null) return;
      accepted += 1;
      expect(Check(answer ?? false, spec)).toBe(true);
      expect(JSON.stringify(read(spec).spec)).toBe(JSON.stringify(spec));
    }),
    { numRuns: 2000 },
  );
  expect(accepted).toBeGreaterThan(10);
});

test('no JSON at all makes it throw', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (body) => {
      expect(read(body).problems.length).toBeGreaterThan(0);
    }),
  );
});

test('a rollback names one revision and nothing else', () => {
  expect(readRollback({ revision: 3 })).toBe(3);
  const fields = (body: unknown): string[] => {
    try {
      return [String(readRollback(body))];
    } catch (error) {
      return (error as InvalidRequest).errors.map(({ field }) => field);
    }
  };
  expect(fields({ revision: 1, force: true })).toEqual(['force']);
  expect(fields({ revision: '1', force: true })).toEqual(['force', 'revision']);
  expect(fields({ revision: 0 })).toEqual(['revision']);
  expect(fields({})).toEqual(['revision']);
});
