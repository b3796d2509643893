import { expect, test } from 'vitest';
import type { ServiceEvent } from '../../../src/contracts/service.ts';
import { create, makeDataDir, named, openStore, specOf } from './support.ts';

const NOW = new Date('2026-01-02T03:04:05.678Z');

function event(message: string, data: ServiceEvent['data'] = {}): ServiceEvent {
  return { at: NOW.toISOString(), kind: 'exited', message, replica: 'r-1', data };
}

function conflict(message: RegExp): unknown {
  return expect.objectContaining({ code: 'conflict', message: expect.stringMatching(message) as string });
}

test('a new service has a pending revision, an event and an entry in the audit', () => {
  const store = openStore(undefined, () => NOW);
  const service = create(store);
  expect(service).toEqual({
    id: service.id,
    spec: specOf(),
    createdAt: NOW.toISOString(),
    createdBy: 'alice',
    clonedFrom: null,
    cancelledAt: null,
    activeRevision: null,
    pendingRevision: 1,
    resolvedCommit: null,
    deployments: 0,
  });
  expect(store.service(service.id)).toEqual(service);
  expect(store.holder('name', 'brave-otter')).toEqual(service);
  expect(store.services()).toEqual([service]);
  expect(store.revisions(service.id)).toEqual([
    {
      revision: 1,
      createdAt: NOW.toISOString(),
      createdBy: 'alice',
      reason: 'create',
      state: 'pending',
      failure: null,
      resolvedCommit: null,
      spec: specOf(),
    },
  ]);
  expect(store.events(service.id)).toEqual([
    { at: NOW.toISOString(), kind: 'created', message: 'Created by alice', replica: null, data: {} },
  ]);
  expect(store.audit({ limit: 10, before: null }).items).toEqual([
    {
      at: NOW.toISOString(),
      actor: 'alice',
      action: 'service.create',
      target: 'brave-otter',
      difference: expect.objectContaining({
        id: [null, service.id],
        endpoint: [null, '/hello'],
        'git.branch': [null, 'main'],
        'parameters.model-name': [null, 'small'],
      }) as object,
    },
  ]);
});

test('unknown services are null, or refused where something is asked of them', () => {
  const store = openStore();
  expect(store.service('x')).toBeNull();
  expect(store.holder('name', 'x')).toBeNull();
  expect(store.revisions('x')).toEqual([]);
  const unknown = expect.objectContaining({ code: 'not_found' }) as unknown;
  expect(() => store.nextDeployment('x')).toThrow(unknown);
  expect(() => store.cancelService('x', { actor: 'bob' })).toThrow(unknown);
  expect(() => store.addRevision('x', { spec: specOf(), actor: 'bob', reason: 'update' })).toThrow(unknown);
});

test('a name and an endpoint have one current service, and a refused create leaves nothing behind', () => {
  const store = openStore();
  create(store);
  const sameName = specOf({ endpoint: '/other' });
  const sameEndpoint = specOf({ name: 'other' });
  expect(() => create(store, sameName)).toThrow(
    conflict(/^name: brave-otter is taken by the service brave-otter$/),
  );
  expect(() => create(store, sameEndpoint)).toThrow(
    conflict(/^endpoint: \/hello is taken by the service brave-otter$/),
  );
  expect(store.services()).toHaveLength(1);
  expect(store.audit({ limit: 10, before: null }).items).toHaveLength(1);
  create(store, named('other'));
});

test('a cancelled service frees its name and its endpoint, and keeps everything else', () => {
  const store = openStore(undefined, () => NOW);
  const { id } = create(store);
  store.activateRevision(id, 1, 'c0ffee');
  store.cancelService(id, { actor: 'bob' });
  expect(store.service(id)).toMatchObject({
    cancelledAt: NOW.toISOString(),
    activeRevision: 1,
    resolvedCommit: 'c0ffee',
    spec: specOf(),
  });
  expect(store.holder('name', 'brave-otter')).toBeNull();
  expect(store.events(id).map(({ kind }) => kind)).toEqual(['created', 'cancelled']);
  expect(() => store.cancelService(id, { actor: 'bob' })).toThrow(conflict(/is cancelled/));
  expect(() => store.addRevision(id, { spec: specOf(), actor: 'bob', reason: 'update' })).toThrow(
    conflict(/is cancelled/),
  );
  const next = create(store, specOf(), id);
  expect(next.clonedFrom).toBe(id);
  expect(store.holder('name', 'brave-otter')?.id).toBe(next.id);
  expect(store.audit({ limit: 2, before: null }).items).toMatchObject([
    { action: 'service.clone', difference: { clonedFrom: [null, id] } },
    { actor: 'bob', action: 'service.cancel', difference: { cancelledAt: [null, NOW.toISOString()] } },
  ]);
});

test('an update is in force once it is activated, and supersedes the one before', () => {
  const store = openStore();
  const { id } = create(store);
  store.activateRevision(id, 1, 'aaaa');
  const changed = specOf({ port: 9000 });
  expect(store.addRevision(id, { spec: changed, actor: 'bob', reason: 'update' })).toBe(2);
  expect(store.service(id)).toMatchObject({
    activeRevision: 1,
    pendingRevision: 2,
    spec: { port: 8787 },
    resolvedCommit: 'aaaa',
  });
  store.activateRevision(id, 2, 'bbbb');
  expect(store.service(id)).toMatchObject({
    activeRevision: 2,
    pendingRevision: null,
    spec: { port: 9000 },
    resolvedCommit: 'bbbb',
  });
  expect(store.revisions(id)).toMatchObject([
    { revision: 1, state: 'superseded', resolvedCommit: 'aaaa' },
    { revision: 2, state: 'active', resolvedCommit: 'bbbb', createdBy: 'bob' },
  ]);
  expect(store.audit({ limit: 1, before: null }).items).toMatchObject([
    { actor: 'bob', action: 'service.update', target: 'brave-otter', difference: { port: [8787, 9000] } },
  ]);
});

test('a failed update leaves in force what was, with the reason', () => {
  const store = openStore();
  const { id } = create(store);
  store.activateRevision(id, 1, null);
  store.addRevision(id, { spec: specOf({ path: 'new.sh' }), actor: 'bob', reason: 'rollback to 1' });
  store.failRevision(id, 2, 'it never listened');
  store.failRevision(id, 1, 'not this one');
  expect(store.service(id)).toMatchObject({
    activeRevision: 1,
    pendingRevision: null,
    spec: { path: 'run.sh' },
  });
  expect(store.revisions(id)[1]).toMatchObject({ state: 'failed', failure: 'it never listened' });
  expect(store.audit({ limit: 1, before: null }).items).toMatchObject([{ action: 'service.rollback' }]);
  store.activateRevision(id, 2, 'late');
  expect(store.service(id)?.activeRevision).toBe(1);
  expect(store.addRevision(id, { spec: specOf(), actor: 'bob', reason: 'update' })).toBe(3);
});

test('a service whose first revision failed has that name still, and may yet become ready', () => {
  const store = openStore();
  const { id } = create(store);
  store.failRevision(id, 1, 'it never listened');
  expect(store.service(id)).toMatchObject({ activeRevision: null, pendingRevision: null, spec: specOf() });
  expect(store.holder('name', 'brave-otter')?.id).toBe(id);
  expect(() => create(store)).toThrow(conflict(/is taken/));
  store.activateRevision(id, 1, 'c0ffee');
  expect(store.revisions(id)).toMatchObject([{ state: 'active', failure: null, resolvedCommit: 'c0ffee' }]);
});

test('a change of a service that was never ready takes the place of what was pending', () => {
  const store = openStore();
  const { id } = create(store);
  store.addRevision(id, { spec: specOf({ port: 1 }), actor: 'bob', reason: 'update' });
  expect(store.service(id)).toMatchObject({ activeRevision: null, pendingRevision: 2, spec: { port: 1 } });
  expect(store.revisions(id)[0]).toMatchObject({ state: 'failed', failure: 'Revision 2 took its place' });
});

test('a pending name or endpoint is taken for others, together with the one in force, until it is decided', () => {
  const store = openStore();
  const { id } = create(store, named('old'));
  store.activateRevision(id, 1, null);
  store.addRevision(id, { spec: named('new'), actor: 'bob', reason: 'update' });
  for (const word of ['old', 'new']) {
    expect(() => create(store, specOf({ name: 'x', endpoint: `/${word}` }))).toThrow(
      conflict(/is taken by the service old/),
    );
    expect(store.holder('name', word)?.id).toBe(id);
  }
  store.failRevision(id, 2, 'no');
  const { id: other } = create(store, named('new'));
  const rename = { spec: named('new'), actor: 'bob', reason: 'update' };
  expect(() => store.addRevision(id, rename)).toThrow(conflict(/is taken by the service new/));
  store.cancelService(other, { actor: 'bob' });
  store.addRevision(id, rename);
  store.activateRevision(id, 3, null);
  expect(store.holder('name', 'old')).toBeNull();
  create(store, named('old'));
});

test('a cancel ends what was pending, and what is activated after it stays ended', () => {
  const store = openStore();
  const { id } = create(store, named('a'));
  store.activateRevision(id, 1, null);
  store.addRevision(id, { spec: named('b'), actor: 'bob', reason: 'update' });
  store.cancelService(id, { actor: 'bob' });
  store.activateRevision(id, 2, 'late');
  expect(store.revisions(id)).toMatchObject([
    { state: 'active' },
    { state: 'failed', failure: 'The service was cancelled', resolvedCommit: null },
  ]);
  for (const word of ['a', 'b']) create(store, named(word));

  const { id: early } = create(store, named('early'));
  store.cancelService(early, { actor: 'bob' });
  store.activateRevision(early, 1, 'late');
  expect(store.revisions(early)).toMatchObject([{ state: 'failed', failure: 'The service was cancelled' }]);
});

test('a commit belongs to its revision', () => {
  const store = openStore();
  const { id } = create(store);
  store.setCommit(id, 1, 'aaaa');
  expect(store.service(id)?.resolvedCommit).toBe('aaaa');
  store.activateRevision(id, 1, null);
  expect(store.service(id)?.resolvedCommit).toBe('aaaa');
  store.activateRevision(id, 1, 'ignored, since it is in force already');
  store.setCommit(id, 1, 'bbbb');
  expect(store.revisions(id)[0]?.resolvedCommit).toBe('bbbb');
});

test('numbers of deployments are never used twice, over restarts too', () => {
  const dataDir = makeDataDir();
  const first = openStore(dataDir);
  const { id } = create(first);
  expect([first.nextDeployment(id), first.nextDeployment(id)]).toEqual([1, 2]);
  first.close();
  const second = openStore(dataDir);
  expect(second.service(id)?.deployments).toBe(2);
  expect(second.nextDeployment(id)).toBe(3);
});

test('a restart is an event and stands in the audit', () => {
  const store = openStore();
  const { id } = create(store);
  store.noteRestart(id, { actor: 'bob' });
  expect(store.events(id).at(-1)).toMatchObject({ kind: 'restart', message: 'Restart by bob' });
  expect(store.audit({ limit: 1, before: null }).items).toMatchObject([
    { actor: 'bob', action: 'service.restart', difference: {} },
  ]);
});

test('current specs are those in force and those pending, and nothing that failed or was cancelled', () => {
  const store = openStore();
  const { id: a } = create(store, named('a'));
  store.activateRevision(a, 1, null);
  store.addRevision(a, { spec: named('a-failed'), actor: 'bob', reason: 'update' });
  store.failRevision(a, 2, 'no');
  store.addRevision(a, { spec: named('a-next'), actor: 'bob', reason: 'update' });
  create(store, named('b'));
  const { id: c } = create(store, named('c'));
  store.failRevision(c, 1, 'no');
  const { id: d } = create(store, named('d'));
  store.addRevision(d, { spec: named('d-next'), actor: 'bob', reason: 'update' });
  store.cancelService(d, { actor: 'bob' });
  expect(
    store
      .currentSpecs()
      .map(({ name }) => name)
      .sort(),
  ).toEqual(['a', 'a-next', 'b', 'c']);
});

test('of a service the newest thousand events are kept, and those of another are not touched', () => {
  const store = openStore();
  const [{ id: loud }, { id: quiet }] = [create(store, named('loud')), create(store, named('quiet'))];
  for (let i = 1; i <= 1500; i++) store.addEvent(loud, event(`${i}`));
  const kept = store.events(loud);
  expect(kept).toHaveLength(1000);
  expect([kept[0], kept.at(-1)]).toEqual([event('501'), event('1500')]);
  expect(store.events(quiet)).toHaveLength(1);
});

test('an event has a bound, whatever a program prints', () => {
  const store = openStore();
  const { id } = create(store);
  store.addEvent(id, event('x'.repeat(100_000), { lines: ['y'.repeat(100_000)] }));
  const [, kept] = store.events(id);
  expect(kept?.message).toHaveLength(8192);
  expect(kept?.data).toEqual({ omitted: '100014 characters' });
});

test('the audit is read page by page, the newest first', () => {
  const store = openStore();
  for (const word of ['a', 'b', 'c', 'd', 'e']) create(store, named(word));
  const pages: string[][] = [];
  let before: number | null = null;
  do {
    const page = store.audit({ limit: 2, before });
    pages.push(page.items.map(({ target }) => target));
    before = page.next;
  } while (before !== null);
  expect(pages).toEqual([['e', 'd'], ['c', 'b'], ['a']]);
});

test('services come in the order in which they were created', () => {
  const store = openStore();
  for (const word of ['m', 'z', 'a', 'k']) create(store, named(word));
  expect(store.services().map(({ spec }) => spec.name)).toEqual(['m', 'z', 'a', 'k']);
});
