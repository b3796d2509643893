import { describe, expect, it } from 'vitest';
import type { ExplainQuestion } from '../../src/contracts/explain.ts';
import { problemOf, service, start } from './support/start.ts';

async function json(response: Response): Promise<Record<string, unknown>> {
  expect(response.headers.get('content-type')).toBe('application/json');
  return (await response.json()) as Record<string, unknown>;
}

describe('services', () => {
  it('are created with a place of their own, shown by id and by name, and listed', async () => {
    const { call } = await start();
    const response = await call('developer', 'POST', '/api/v1/services', service('a'));
    expect(response.status).toBe(201);
    const made = await json(response);
    expect(made).toMatchObject({ name: 'a', createdBy: 'developer' });
    const location = response.headers.get('location')!;
    expect(location).toBe(`/api/v1/services/${String(made['id'])}`);
    expect(await json(await call('viewer', 'GET', location))).toEqual(made);
    expect(await json(await call('viewer', 'GET', '/api/v1/services/a'))).toEqual(made);
    expect(await json(await call('viewer', 'GET', '/api/v1/services'))).toEqual({ items: [made] });
  });

  it('are found by status and by text', async () => {
    const { call, control } = await start();
    const found = async (query: string) => {
      const { items } = await json(await call('viewer', 'GET', `/api/v1/services?${query}`));
      return (items as { name: string }[]).map(({ name }) => name);
    };
    await control.createService(service('a'), 'x');
    await control.createService(service('b'), 'x');
    await control.cancelService('a', 'x');
    expect(await found('status=cancelled')).toEqual(['a']);
    expect(await found('status=running&q=app.git')).toEqual(['b']);
    expect(await found('q=%2Fb')).toEqual(['b']);
    expect(await found('')).toEqual(['a', 'b']);
  });

  it('are updated, rolled back, restarted, cancelled and cloned', async () => {
    const { call, control } = await start();
    await control.createService(service('a'), 'x');
    const act = (action: string, body?: object) =>
      call('developer', 'POST', `/api/v1/services/a/${action}`, body);
    const updated = await call('developer', 'PATCH', '/api/v1/services/a', { port: 9000 });
    expect(await json(updated)).toMatchObject({ port: 9000, revision: 2 });
    expect(await json(await act('rollback', { revision: 1 }))).toMatchObject({ port: 8787, revision: 3 });
    expect(await json(await act('restart'))).toMatchObject({ name: 'a' });
    const revisions = await json(await call('viewer', 'GET', '/api/v1/services/a/revisions'));
    expect(revisions).toMatchObject({ items: [{}, { reason: 'update' }, { reason: 'rollback to 1' }] });
    const events = await json(await call('viewer', 'GET', '/api/v1/services/a/events'));
    expect(events).toMatchObject({ items: [{ kind: 'created' }, {}, {}] });
    const cloned = await act('clone', { name: 'b', endpoint: '/b' });
    const copy = await json(cloned);
    expect(cloned.status).toBe(201);
    expect(cloned.headers.get('location')).toBe(`/api/v1/services/${String(copy['id'])}`);
    const cancelled = await json(await act('cancel'));
    expect(cancelled).toMatchObject({ status: 'cancelled' });
    expect(copy['clonedFrom']).toBe(cancelled['id']);
  });

  it('of the past are cloned without a body', async () => {
    const { call, control } = await start();
    const { id } = await control.createService(service('a'), 'x');
    await control.cancelService('a', 'x');
    expect((await call('developer', 'POST', `/api/v1/services/${id}/clone`)).status).toBe(201);
  });

  it('that a new revision of is not ready stay, and the answer says why', async () => {
    const { call, control } = await start();
    await control.createService(service('a'), 'x');
    control.failure = 'it exited with 3; what ran before stays';
    const response = await call('developer', 'POST', '/api/v1/services/a/restart');
    expect(response.status).toBe(422);
    expect(await problemOf(response)).toMatchObject({ code: 'rollout_failed', detail: control.failure });
  });

  it.each([
    ['POST', '/api/v1/services', service('a'), 409, 'conflict'],
    ['PATCH', '/api/v1/services/x', {}, 404, 'not_found'],
    ['GET', '/api/v1/services/__proto__', undefined, 404, 'not_found'],
    ['GET', '/api/v1/services/x/logs', undefined, 404, 'not_found'],
    ['GET', '/api/v1/services/', undefined, 404, 'not_found'],
    ['GET', '/api/v1/services/%2e%2e%2fsecrets'.replace('%2e%2e', 'a%2e'), undefined, 404, 'not_found'],
    ['GET', `/api/v1/services/${'a'.repeat(500)}`, undefined, 404, 'not_found'],
  ])('refuse %s %s', async (method, path, body, status, code) => {
    const { call, control } = await start();
    await control.createService(service('a'), 'x');
    const response = await call('developer', method, path, body);
    expect([response.status, (await problemOf(response))['code']]).toEqual([status, code]);
  });

  it('name every wrong field', async () => {
    const { call } = await start();
    const response = await call('developer', 'POST', '/api/v1/services', { ...service('a'), port: 0, x: 1 });
    expect(response.status).toBe(400);
    const problem = await problemOf(response);
    expect(problem['code']).toBe('invalid_request');
    const fields = (problem['errors'] as { field: string }[]).map(({ field }) => field);
    expect(fields).toEqual(expect.arrayContaining(['port', 'x']));
  });

  it('are looked at before they are created', async () => {
    const { call } = await start();
    const good = await call('developer', 'POST', '/api/v1/preflight', service('a'));
    expect([good.status, await json(good)]).toEqual([200, { ok: true, problems: [] }]);
    const bad = await call('developer', 'POST', '/api/v1/preflight', {});
    expect([bad.status, (await json(bad))['ok']]).toEqual([200, false]);
  });

  it('are exported as YAML, one or all', async () => {
    const { call, control } = await start();
    await control.createService(service('a'), 'x');
    await control.createService(service('b'), 'x');
    const one = await call('viewer', 'GET', '/api/v1/services/a/export');
    expect(one.headers.get('content-type')).toBe('application/yaml');
    expect(await one.text()).toMatch(/^name: a\n/);
    expect(await (await call('viewer', 'GET', '/api/v1/export')).text()).toMatch(/name: a\n[^]*name: b\n/);
  });
});

describe.each([
  ['secrets', { data: { key: 'hidden', other: 'x' } }, { keys: ['key', 'other'] }],
  ['environments', { variables: { A: '1' } }, { variables: { A: '1' } }],
])('%s', (kind, body, shown) => {
  it('are written, new or again, shown, listed and deleted', async () => {
    const { call } = await start();
    const path = `/api/v1/${kind}/one`;
    const first = await call('admin', 'PUT', path, body);
    expect([first.status, first.headers.get('location')]).toEqual([201, path]);
    expect(await json(first)).toMatchObject({ name: 'one', ...shown });
    const second = await call('admin', 'PUT', path, body);
    expect([second.status, second.headers.get('location')]).toEqual([200, null]);
    const view = await json(await call('viewer', 'GET', path));
    expect(view).toMatchObject(shown);
    expect(JSON.stringify(view)).not.toContain('hidden');
    const { items } = await json(await call('viewer', 'GET', `/api/v1/${kind}`));
    expect(items).toContainEqual(view);
    const gone = await call('admin', 'DELETE', path);
    expect([gone.status, gone.headers.get('content-type'), await gone.text()]).toEqual([204, null, '']);
    expect((await call('viewer', 'GET', path)).status).toBe(404);
  });

  it('that are in use stay', async () => {
    const { call, control } = await start();
    control.putSecret('default', { data: {} }, 'x');
    await control.createService(service('a', { secrets: ['default'] }), 'x');
    const response = await call('admin', 'DELETE', `/api/v1/${kind}/default`);
    expect([response.status, (await problemOf(response))['code']]).toEqual([409, 'conflict']);
  });
});

describe('what is in force', () => {
  it('is listed: routes and realms', async () => {
    const { call } = await start();
    expect(await json(await call('viewer', 'GET', '/api/v1/routes'))).toMatchObject({
      items: [{ name: 'hello', source: 'static' }],
    });
    expect(await json(await call('viewer', 'GET', '/api/v1/realms'))).toMatchObject({
      items: [{ name: 'demo', keysAge: 1.5 }],
    });
  });

  it('is paged: the audit', async () => {
    const { call, control } = await start();
    for (const name of ['a', 'b', 'c']) control.putSecret(name, { data: {} }, 'somebody');
    const page = await json(await call('viewer', 'GET', '/api/v1/audit?limit=2'));
    expect(page).toMatchObject({ items: [{ target: 'c', actor: 'somebody' }, { target: 'b' }], next: 1 });
    const rest = await json(await call('viewer', 'GET', '/api/v1/audit?limit=2&before=1'));
    expect(rest).toMatchObject({ items: [{ target: 'a' }], next: null });
  });
});

describe('a question to the gateway', () => {
  it('arrives there with everything filled in, and its answer comes back', async () => {
    const asked: ExplainQuestion[] = [];
    const answer = { allowed: true, status: 200, code: null, checks: [] };
    const { call } = await start({
      gateway: {
        routes: () => [],
        realms: () => [],
        explain: (question) => {
          asked.push(question);
          return Promise.resolve(answer);
        },
      },
    });
    const ask = (body: object) => call('viewer', 'POST', '/api/v1/explain', body);
    expect(await json(await ask({ method: 'GET', path: '/hello?x=1' }))).toEqual(answer);
    await ask({ token: 'a.b.c', method: 'PUT', path: '//', headers: { 'x-a': 'ä' } });
    expect(asked).toEqual([
      { token: null, method: 'GET', path: '/hello?x=1', headers: {} },
      { token: 'a.b.c', method: 'PUT', path: '//', headers: { 'x-a': 'ä' } },
    ]);
  });

  it('is refused with every wrong field, and never with a value', async () => {
    const { call } = await start();
    const response = await call('viewer', 'POST', '/api/v1/explain', {
      token: ['hidden'],
      method: 'GET /hidden',
      path: '',
      headers: { 'a b': 'x', c: 'hidden\r\nd: e' },
      tokens: 'hidden',
    });
    const problem = await problemOf(response);
    expect((problem['errors'] as { field: string }[]).map(({ field }) => field)).toEqual([
      'tokens',
      'token',
      'method',
      'path',
      'headers.a b',
      'headers.c',
    ]);
    expect(JSON.stringify(problem)).not.toContain('hidden');
  });
});

describe('an installation that runs no services', () => {
  it('says so, after the token was checked', async () => {
    const { call } = await start({ control: null });
    expect((await call(null, 'GET', '/api/v1/services')).status).toBe(401);
    const response = await call('developer', 'POST', '/api/v1/services', '{"broken');
    expect(response.status).toBe(404);
    expect(await problemOf(response)).toMatchObject({
      code: 'not_found',
      detail: 'This installation runs no services: services.driver is none',
    });
    expect((await call('viewer', 'GET', '/api/v1/routes')).status).toBe(200);
  });
});
