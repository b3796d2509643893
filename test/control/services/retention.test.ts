import { expect, test } from 'vitest';
import type { RetentionSettings } from '../../../src/contracts/settings.ts';
import { Retention } from '../../../src/control/services/retention.ts';
import { create, makeDataDir, named, openStore } from '../store/support.ts';

const DAY = 24 * 3_600_000;
const UNLIMITED: RetentionSettings = { past: null, audit: null, logs: null };

/** A store whose clock a test sets, days ago, and logs whose sizes it sets. */
function open(settings: RetentionSettings) {
  let daysAgo = 0;
  const store = openStore(makeDataDir(), () => new Date(Date.now() - daysAgo * DAY));
  const logs = new Map<string, number>();
  const held = new Set<string>();
  const logged: object[] = [];
  const retention = new Retention({
    store,
    driver: {
      logBytes: (id) => Promise.resolve(logs.get(id) ?? 0),
      forget: (id) => Promise.resolve(void logs.delete(id)),
    },
    settings: () => settings,
    isHeld: (id) => held.has(id),
    log: {
      info: (fields) => void logged.push(fields),
      error: (fields) => expect.fail(JSON.stringify(fields)),
    },
  });
  /** A service that was cancelled so many days ago; null = it is current. */
  const service = (name: string, cancelled: number | null, bytes = 0): string => {
    daysAgo = cancelled ?? 1000;
    const { id } = create(store, named(name));
    logs.set(id, bytes);
    if (cancelled !== null) store.cancelService(id, { actor: 'alice' });
    daysAgo = 0;
    return id;
  };
  const names = (): string[] => store.services().map(({ spec }) => spec.name);
  return { store, retention, logs, held, logged, service, names };
}

test('services that are past for long are forgotten with their logs; current and ending ones never are', async () => {
  const { store, retention, logs, held, logged, service, names } = open({ ...UNLIMITED, past: 90 * DAY });
  const old = service('old', 91, 10);
  held.add(service('ending', 91));
  service('recent', 89);
  service('current', null);
  await retention.look();
  expect(names()).toEqual(['ending', 'recent', 'current']);
  expect(logs.has(old)).toBe(false);
  expect([store.service(old), store.events(old), store.revisions(old)]).toEqual([null, [], []]);
  const { items } = store.audit({ limit: 100, before: null });
  expect(items.filter(({ target }) => target === 'old')).toHaveLength(2);
  expect(logged).toEqual([{ event: 'forgotten', services: 1, auditEntries: 0 }]);
  await retention.look();
  expect(logged).toHaveLength(1);
});

test('entries of the audit that are old are forgotten, whatever became of the service', async () => {
  const { store, retention, service, names } = open({ ...UNLIMITED, audit: 365 * DAY });
  service('old', 366);
  service('current', null);
  service('recent', 364);
  await retention.look();
  const { items } = store.audit({ limit: 100, before: null });
  expect(items.map(({ target }) => target)).toEqual(['recent', 'recent']);
  expect(names()).toEqual(['old', 'current', 'recent']);
});

test('logs of past services that take too much go, the oldest first, and their events say so', async () => {
  const { store, retention, logs, service } = open({ ...UNLIMITED, logs: 100 });
  const current = service('current', null, 1000);
  const [second, first, third] = [service('second', 2, 60), service('first', 3, 60), service('third', 1, 40)];
  await retention.look();
  expect([...logs]).toEqual([
    [current, 1000],
    [second, 60],
    [third, 40],
  ]);
  expect(store.events(first).at(-1)).toMatchObject({ kind: 'log-removed', data: { bytes: 60 } });
  await retention.look();
  expect(store.events(first).filter(({ kind }) => kind === 'log-removed')).toHaveLength(1);
  expect(store.events(second).at(-1)).toMatchObject({ kind: 'cancelled' });
});

test('without limits everything stays', async () => {
  const { retention, logs, logged, service, names } = open(UNLIMITED);
  service('old', 5000, 1e15);
  await retention.look();
  expect([names(), logs.size, logged]).toEqual([['old'], 1, []]);
});

test('nothing is forgotten once it is closed', async () => {
  const { retention, service, names } = open({ ...UNLIMITED, past: DAY });
  service('old', 2);
  await retention.close();
  retention.begin();
  await retention.look();
  expect(names()).toEqual(['old']);
});
