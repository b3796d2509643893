import { Check } from 'typebox/schema';
import { expect, test } from 'vitest';
import type { AuditPage } from '../../../src/contracts/control-api.ts';
import type {
  Environment,
  SecretView,
  ServiceEvent,
  ServiceRevision,
  ServiceView,
} from '../../../src/contracts/service.ts';
import { Environments } from '../../../src/control/services/environments.ts';
import type { Schema } from '../../../src/control/services/schema.ts';
import * as bodySchemas from '../../../src/control/services/spec-schema.ts';
import * as viewSchemas from '../../../src/control/services/view-schema.ts';
import { create, openStore, specOf } from '../store/support.ts';

const AT = '2026-01-02T03:04:05.678Z';

const view: ServiceView = {
  ...specOf({ health: { path: '/healthz' } }),
  id: 'a',
  status: 'degraded',
  url: 'http://127.0.0.1:8080/hello',
  clusterUrl: null,
  resolvedCommit: 'c0ffee',
  revision: 2,
  replicas: [
    { id: 'r-1', state: 'ready', restarts: 0, lastExit: null },
    {
      id: 'r-2',
      state: 'waiting',
      restarts: 3,
      lastExit: { code: null, signal: 'SIGKILL', at: AT, reason: 'out of memory' },
    },
  ],
  createdAt: AT,
  createdBy: 'alice',
  clonedFrom: null,
  cancelledAt: AT,
};

/** Fields at any depth without which a value is another one: `replicas[0].id`, with what is left. */
function withoutOne(value: unknown, path = ''): [string, unknown][] {
  if (Array.isArray(value)) {
    return value.flatMap((item, i) =>
      withoutOne(item, `${path}[${i}]`).map(([at, rest]): [string, unknown] => [at, value.with(i, rest)]),
    );
  }
  if (typeof value !== 'object' || value === null) return [];
  const entries = Object.entries(value);
  return entries.flatMap(([key, inner]) => {
    const at = `${path}.${key}`;
    const others = entries.filter(([other]) => other !== key);
    return [
      [at, Object.fromEntries(others)] as [string, unknown],
      ...withoutOne(inner, at).map(([deep, rest]): [string, unknown] => [
        deep,
        Object.fromEntries([...others, [key, rest]]),
      ]),
    ];
  });
}

test('the schema of a service says what the type says: nothing is missing, and nothing more is there', () => {
  expect(Check(viewSchemas.SERVICE_VIEW, view)).toBe(true);
  expect(Check(viewSchemas.SERVICE_VIEW, { ...view, extra: 1 })).toBe(false);
  const optional = withoutOne(view).filter(([, rest]) => Check(viewSchemas.SERVICE_VIEW, rest));
  expect(optional.map(([path]) => path)).toEqual(['.parameters.model-name']);
});

test('what the store and the environments give is as the schemas say', () => {
  const store = openStore();
  const { id } = create(store);
  store.addEvent(id, { at: AT, kind: 'exited', message: 'x', replica: 'r-1', data: { code: 1 } });
  store.secrets.put({ name: 'a', keys: ['k'], sealed: Buffer.of(1) }, { actor: 'alice', changed: [] });
  const environments = new Environments({ table: store.environments, services: () => [] });
  const answers: [Schema, ServiceEvent | ServiceRevision | SecretView | Environment | AuditPage][] = [
    ...store.events(id).map((event): [Schema, ServiceEvent] => [viewSchemas.SERVICE_EVENT, event]),
    [viewSchemas.SERVICE_REVISION, store.revisions(id)[0]!],
    [viewSchemas.SECRET_VIEW, store.secrets.list()[0]!],
    [viewSchemas.ENVIRONMENT_VIEW, environments.get('default')],
    [viewSchemas.AUDIT_PAGE, store.audit({ limit: 1, before: null })],
  ];
  for (const [schema, answer] of answers) {
    expect(answer).toSatisfy((value) => Check(schema, value));
    const [key = ''] = Object.keys(answer);
    expect(answer).not.toSatisfy((value: object) => Check(schema, { ...value, [key]: undefined }));
  }
});

test('every field has a description', () => {
  const bare: string[] = [];
  const walk = (schema: Schema, path: string): void => {
    for (const [key, property] of Object.entries(schema.properties ?? {})) {
      if (property.description === undefined) bare.push(`${path}.${key}`);
      walk(property, `${path}.${key}`);
    }
    for (const option of schema.anyOf ?? []) walk(option, path);
    if (schema.items !== undefined) walk(schema.items, `${path}[]`);
  };
  const schemas: [string, Schema][] = Object.entries({ ...bodySchemas, ...viewSchemas });
  expect(schemas.length).toBeGreaterThan(10);
  for (const [name, schema] of schemas) walk(schema, name);
  expect(bare).toEqual([]);
});

test('the schema of a change asks for nothing, and lets null take back what has a default', () => {
  expect(Check(bodySchemas.SERVICE_CHANGE, {})).toBe(true);
  const nullable = Object.keys(bodySchemas.SERVICE_BODY.properties ?? {}).filter((key) =>
    Check(bodySchemas.SERVICE_CHANGE, { [key]: null }),
  );
  expect(Object.keys(specOf()).filter((key) => !nullable.includes(key))).toEqual(['endpoint', 'path', 'git']);
  expect(Check(bodySchemas.SERVICE_CHANGE, { git: { branch: 'x' }, parameters: { a: null } })).toBe(true);
  expect(Check(bodySchemas.SERVICE_CHANGE, { git: { repository: null } })).toBe(false);
});
