import { readFile, stat, writeFile, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import type { RealmSettings } from '../../src/contracts/settings.ts';
import type { RealmSnapshot } from '../../src/contracts/snapshot.ts';
import {
  type Kept,
  advance,
  ecKey,
  hangUp,
  json,
  keep,
  realmSettings,
  silent,
  startRealm,
  stopClock,
  temporaryFolder,
  text,
} from './support.ts';

const a = ecKey('a');
const b = ecKey('b');
const set = (...keys: { jwk: unknown }[]) => json({ keys: keys.map(({ jwk }) => jwk) });
const jwks = (changes: Partial<RealmSettings['jwks']>) => ({
  jwks: { refresh: 600_000, cooldown: 30_000, staleFor: 86_400_000, timeout: 5000, ...changes },
});

/** Moves the time to the next fetch on schedule, and resolves with what it publishes. */
async function toNextFetch(keeper: Kept['keeper'], next: Kept['next']): Promise<RealmSnapshot> {
  const published = next();
  await advance(keeper.status().nextRefresh! - Date.now());
  return published;
}

describe('at the start', () => {
  it('the keys and the issuer are there when start resolves', async () => {
    const realm = await startRealm([a]);
    const { keeper, published, kids } = await keep(realmSettings(realm.url));
    await keeper.start();
    expect(kids()).toEqual(['a']);
    expect(published.at(-1)).toEqual(keeper.snapshot());
    expect(keeper.snapshot()).toMatchObject({
      issuers: [realm.url],
      introspectionCache: null,
      revocations: [],
    });
    expect(realm.counts).toMatchObject({ discovery: 1, certs: 1 });
  });

  it('an empty snapshot is published before anything is fetched', async () => {
    const realm = await startRealm([a]);
    const { keeper, published } = await keep(realmSettings(realm.url));
    await keeper.start();
    expect(published[0]).toMatchObject({ issuers: [], keys: { jwks: [], fetchedAt: null } });
  });

  it('no secret is in the snapshot or the status', async () => {
    const realm = await startRealm([a]);
    const introspection = { clientId: 'gateway', clientSecret: 'tell-nobody', cache: 1000 };
    const { keeper } = await keep(realmSettings(realm.url, { introspection }));
    await keeper.start();
    expect(keeper.snapshot().introspectionCache).toBe(1000);
    expect(JSON.stringify([keeper.snapshot(), keeper.status()])).not.toContain('tell-nobody');
  });

  it.each([
    ['is down', hangUp],
    ['answers 500', json({ error: 'x' }, 500)],
    ['answers with garbage', text('{"keys": [')],
    ['answers with HTML', text('<html>', 'text/html')],
    ['calls its keys HTML', text(JSON.stringify({ keys: [a.jwk] }), 'text/html')],
    ['answers with no key set', json({ hello: 'world' })],
    ['answers with an endless body', text(`{"keys": [], "x": "${'x'.repeat(1024 * 1024)}"}`)],
  ])('a realm that %s does not stop it', async (_what, handler) => {
    const realm = await startRealm([a]);
    realm.handlers.certs = handler;
    const { keeper, kids, logged } = await keep(realmSettings(realm.url));
    await keeper.start();
    expect(kids()).toEqual([]);
    expect(keeper.snapshot().keys.fetchedAt).toBeNull();
    expect(keeper.status().lastError).toEqual(expect.any(String));
    expect(logged.map(({ level }) => level)).toContain('warn');
  });

  it('a realm that redirects is not followed', async () => {
    const realm = await startRealm([a]);
    const other = await startRealm([b]);
    realm.handlers.certs = (_request, response) => {
      response.writeHead(302, { location: `${other.url}/protocol/openid-connect/certs` }).end();
    };
    const { keeper, kids } = await keep(realmSettings(realm.url));
    await keeper.start();
    expect(kids()).toEqual([]);
    expect(other.counts.certs).toBe(0);
    expect(keeper.status().lastError).toContain('redirect');
  });

  it('a realm that does not answer holds it up for jwks.timeout and no longer', async () => {
    const realm = await startRealm([a]);
    realm.handlers.certs = silent;
    realm.handlers.discovery = silent;
    stopClock();
    const { keeper } = await keep(realmSettings(realm.url));
    let started = false;
    const start = keeper.start().then(() => (started = true));
    await Promise.all([realm.asked('certs'), realm.asked('discovery')]);
    await advance(4999);
    expect(started).toBe(false);
    await advance(1);
    await start;
    expect(keeper.status().lastError).toBe('no answer within 5000 ms');
  });

  it('a realm that sends its answer byte by byte is bounded by the same time', async () => {
    const realm = await startRealm([a]);
    realm.handlers.certs = (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).write('{"keys": [');
    };
    stopClock();
    const { keeper } = await keep(realmSettings(realm.url));
    const start = keeper.start();
    await realm.asked('certs');
    await advance(5000);
    await start;
    expect(keeper.status().lastError).toBe('no answer within 5000 ms');
  });

  it('a realm without a discovery document will do where the issuers are configured', async () => {
    const realm = await startRealm([a]);
    realm.handlers.discovery = json({}, 404);
    const { keeper, kids } = await keep(realmSettings(realm.url, { issuers: ['https://id.example.com'] }));
    await keeper.start();
    expect(kids()).toEqual(['a']);
    expect(keeper.snapshot().issuers).toEqual(['https://id.example.com']);
  });

  it('keys without a known issuer are not good', async () => {
    const realm = await startRealm([a]);
    realm.handlers.discovery = json({}, 404);
    const { keeper, kids } = await keep(realmSettings(realm.url));
    await keeper.start();
    expect(kids()).toEqual([]);
    expect(keeper.status().lastError).toBe('discovery document: the realm answered with status 404');
  });
});

describe('the schedule', () => {
  it('refreshes ahead of jwks.refresh, off any request', async () => {
    const realm = await startRealm([a]);
    stopClock();
    const { keeper, kids, next } = await keep(realmSettings(realm.url));
    await keeper.start();
    realm.handlers.certs = set(b);
    await advance(539_000);
    expect(realm.counts.certs).toBe(1);
    expect(keeper.status().nextRefresh! - Date.now()).toBeLessThanOrEqual(61_000);
    await toNextFetch(keeper, next);
    expect(kids()).toEqual(['b']);
    expect(realm.counts.certs).toBe(2);
  });

  it('drops a key that is missing from the newer set', async () => {
    const realm = await startRealm([a, b]);
    const { keeper, kids } = await keep(realmSettings(realm.url));
    await keeper.start();
    realm.handlers.certs = set(b);
    await keeper.refreshKeys();
    expect(kids()).toEqual(['b']);
  });

  it('follows a realm whose issuer changes, where none is configured', async () => {
    const realm = await startRealm([a]);
    stopClock();
    const { keeper, next } = await keep(realmSettings(realm.url));
    await keeper.start();
    realm.handlers.discovery = json({ issuer: 'https://new.example.com/auth/realms/demo' });
    expect((await toNextFetch(keeper, next)).issuers).toEqual(['https://new.example.com/auth/realms/demo']);
  });

  it('asks a realm that has never answered after 1 s, doubling up to the cool-down', async () => {
    const realm = await startRealm([a]);
    realm.handlers.certs = hangUp;
    stopClock();
    const { keeper, kids, next } = await keep(realmSettings(realm.url, jwks({ cooldown: 5000 })));
    await keeper.start();
    let fetches = 1;
    for (const wait of [1000, 2000, 4000, 5000, 5000]) {
      await advance(wait - 1);
      expect(realm.counts.certs).toBe(fetches);
      const published = next();
      await advance(1);
      await published;
      expect(realm.counts.certs).toBe((fetches += 1));
    }
    realm.handlers.certs = set(a);
    const published = next();
    await advance(5000);
    await published;
    expect(kids()).toEqual(['a']);
  });

  it('asks a realm that went down again after the cool-down, not after the whole interval', async () => {
    const realm = await startRealm([a]);
    stopClock();
    const { keeper, kids, next } = await keep(realmSettings(realm.url));
    await keeper.start();
    realm.handlers.certs = hangUp;
    await toNextFetch(keeper, next);
    expect(realm.counts.certs).toBe(2);
    expect(kids()).toEqual(['a']);
    await advance(30_000);
    expect(realm.counts.certs).toBe(2);
    expect(keeper.status().nextRefresh! - Date.now()).toBeLessThanOrEqual(10_000);
    realm.handlers.certs = set(b);
    await toNextFetch(keeper, next);
    expect(realm.counts.certs).toBe(3);
    expect(kids()).toEqual(['b']);
    expect(keeper.status().lastError).toBeNull();
  });

  it('takes intervals longer than a timer can', async () => {
    const realm = await startRealm([a]);
    stopClock();
    const year = 365 * 86_400_000;
    const { keeper, kids } = await keep(realmSettings(realm.url, jwks({ refresh: year, staleFor: year })));
    await keeper.start();
    await advance(30 * 86_400_000);
    expect(realm.counts.certs).toBe(1);
    expect(kids()).toEqual(['a']);
  });
});

describe('an unknown kid', () => {
  it('makes a rotation known at once, and publishes it before refreshKeys resolves', async () => {
    const realm = await startRealm([a]);
    const { keeper, published } = await keep(realmSettings(realm.url));
    await keeper.start();
    realm.handlers.certs = set(a, b);
    await keeper.refreshKeys();
    expect(published.at(-1)!.keys.jwks.map(({ kid }) => kid)).toEqual(['a', 'b']);
  });

  it('causes one fetch for all who ask during it', async () => {
    const realm = await startRealm([a]);
    const { keeper } = await keep(realmSettings(realm.url));
    await keeper.start();
    const answer = realm.holdCerts();
    const asked = realm.asked('certs');
    const waiting = Array.from({ length: 50 }, () => keeper.refreshKeys());
    await asked;
    const order: string[] = [];
    waiting.push(keeper.refreshKeys().then(() => void order.push('refreshed')));
    await new Promise(setImmediate);
    order.push('answered');
    answer();
    await Promise.all(waiting);
    expect(order).toEqual(['answered', 'refreshed']);
    expect(realm.counts.certs).toBe(2);
  });

  it('joins a fetch on schedule', async () => {
    const realm = await startRealm([a]);
    stopClock();
    const { keeper, kids } = await keep(realmSettings(realm.url));
    await keeper.start();
    realm.handlers.certs = set(a, b);
    const answer = realm.holdCerts();
    const asked = realm.asked('certs');
    await advance(keeper.status().nextRefresh! - Date.now());
    await asked;
    const refreshed = keeper.refreshKeys();
    answer();
    await refreshed;
    expect(kids()).toEqual(['a', 'b']);
    expect(realm.counts.certs).toBe(2);
  });

  it('causes one more fetch after one on schedule that was answered before the rotation', async () => {
    const realm = await startRealm([a]);
    stopClock();
    const { keeper, kids } = await keep(realmSettings(realm.url));
    await keeper.start();
    const answer = realm.holdCerts();
    const asked = realm.asked('certs');
    await advance(keeper.status().nextRefresh! - Date.now());
    await asked;
    const waiting = Array.from({ length: 3 }, () => keeper.refreshKeys());
    answer();
    realm.handlers.certs = set(a, b);
    await Promise.all(waiting);
    expect(kids()).toEqual(['a', 'b']);
    expect(realm.counts.certs).toBe(3);
    await keeper.refreshKeys();
    expect(realm.counts.certs).toBe(3);
  });

  it('waits for no second fetch when the one on schedule fails', async () => {
    const realm = await startRealm([a]);
    stopClock();
    const { keeper } = await keep(realmSettings(realm.url));
    await keeper.start();
    realm.handlers.certs = hangUp;
    const answer = realm.holdCerts();
    const asked = realm.asked('certs');
    await advance(keeper.status().nextRefresh! - Date.now());
    await asked;
    const refreshed = keeper.refreshKeys();
    answer();
    await refreshed;
    expect(realm.counts.certs).toBe(2);
  });

  it('causes no further fetch during the cool-down, and is answered at once', async () => {
    const realm = await startRealm([a]);
    stopClock();
    const { keeper } = await keep(realmSettings(realm.url));
    await keeper.start();
    await keeper.refreshKeys();
    await advance(29_999);
    await keeper.refreshKeys();
    expect(realm.counts.certs).toBe(2);
    await advance(1);
    await keeper.refreshKeys();
    expect(realm.counts.certs).toBe(3);
  });

  it.each([
    ['fails', hangUp],
    ['has no usable key', json({ keys: [] })],
  ])('causes no further fetch during the cool-down when the fetch %s', async (_what, handler) => {
    const realm = await startRealm([a]);
    stopClock();
    const { keeper, kids } = await keep(realmSettings(realm.url));
    await keeper.start();
    realm.handlers.certs = handler;
    await keeper.refreshKeys();
    await keeper.refreshKeys();
    await advance(29_000);
    await keeper.refreshKeys();
    expect(realm.counts.certs).toBe(2);
    expect(kids()).toEqual(['a']);
  });

  it("has its cool-down counted from the fetch's start", async () => {
    const realm = await startRealm([a]);
    stopClock();
    const start = Date.now();
    const { keeper } = await keep(realmSettings(realm.url));
    await keeper.start();
    const answer = realm.holdCerts();
    const asked = realm.asked('certs');
    const refreshed = keeper.refreshKeys();
    await asked;
    await advance(4000);
    answer();
    await refreshed;
    expect(keeper.snapshot().keys.cooldownUntil).toBe(start + 30_000);
    await advance(26_000);
    await keeper.refreshKeys();
    expect(realm.counts.certs).toBe(3);
  });

  it('may fetch at once after a fetch on schedule', async () => {
    const realm = await startRealm([a]);
    stopClock();
    const { keeper, kids, next } = await keep(realmSettings(realm.url));
    await keeper.start();
    await toNextFetch(keeper, next);
    realm.handlers.certs = set(b);
    await keeper.refreshKeys();
    expect(kids()).toEqual(['b']);
  });

  it('is told the cool-down before refreshKeys resolves, and none while the fetch can still be joined', async () => {
    const realm = await startRealm([a]);
    stopClock();
    const { keeper, published } = await keep(realmSettings(realm.url));
    await keeper.start();
    expect(keeper.snapshot().keys.cooldownUntil).toBeLessThanOrEqual(Date.now());
    const answer = realm.holdCerts();
    const asked = realm.asked('certs');
    const refreshed = keeper.refreshKeys();
    await asked;
    expect(keeper.snapshot().keys.cooldownUntil).toBeLessThanOrEqual(Date.now());
    answer();
    await refreshed;
    expect(published.at(-1)!.keys.cooldownUntil).toBe(Date.now() + 30_000);
  });

  it('adds no fetch to the back-off of a realm that has never answered', async () => {
    const realm = await startRealm([a]);
    realm.handlers.certs = hangUp;
    stopClock();
    const { keeper } = await keep(realmSettings(realm.url));
    await keeper.start();
    for (let call = 0; call < 20; call += 1) await keeper.refreshKeys();
    expect(realm.counts.certs).toBe(1);
    expect(keeper.snapshot().keys.cooldownUntil).toBe(Date.now() + 1000);
  });

  it('waits no longer than the cool-down when the clock is set back', async () => {
    const realm = await startRealm([a]);
    stopClock();
    const { keeper } = await keep(realmSettings(realm.url));
    await keeper.start();
    await keeper.refreshKeys();
    vi.setSystemTime(Date.now() - 3_600_000);
    await keeper.refreshKeys();
    expect(realm.counts.certs).toBe(3);
  });

  it('in an outage causes one fetch per cool-down, the schedule included', async () => {
    const realm = await startRealm([a]);
    stopClock();
    const { keeper } = await keep(realmSettings(realm.url));
    await keeper.start();
    realm.handlers.certs = hangUp;
    for (let second = 0; second < 300; second += 1) {
      await keeper.refreshKeys();
      await advance(1000);
    }
    expect(realm.counts.certs).toBe(1 + 10);
  });
});

describe('the last good keys', () => {
  it('stay usable while the realm is down, for staleFor after their fetch, and are then published as gone', async () => {
    const realm = await startRealm([a]);
    stopClock();
    const start = Date.now();
    const { keeper, kids, published } = await keep(realmSettings(realm.url, jwks({ staleFor: 60_000 })));
    await keeper.start();
    realm.handlers.certs = silent;
    await advance(59_999);
    expect(kids()).toEqual(['a']);
    await advance(1);
    expect(kids()).toEqual([]);
    expect(published.at(-1)!.keys).toMatchObject({ jwks: [], fetchedAt: start });
  });

  it('are counted anew by each good fetch', async () => {
    const realm = await startRealm([a]);
    stopClock();
    const { keeper, kids } = await keep(realmSettings(realm.url, jwks({ staleFor: 60_000 })));
    await keeper.start();
    await advance(20_000);
    await keeper.refreshKeys();
    realm.handlers.certs = silent;
    await advance(59_999);
    expect(kids()).toEqual(['a']);
    await advance(1);
    expect(kids()).toEqual([]);
  });

  it('are fetched again before they go stale, where refresh is longer than staleFor', async () => {
    const realm = await startRealm([a]);
    stopClock();
    const { keeper, kids, next } = await keep(realmSettings(realm.url, jwks({ staleFor: 60_000 })));
    await keeper.start();
    for (let fetches = 2; fetches < 5; fetches += 1) {
      const due = keeper.status().nextRefresh!;
      expect(due - Date.now()).toBeLessThanOrEqual(30_000);
      await toNextFetch(keeper, next);
      expect(realm.counts.certs).toBe(fetches);
      expect(kids()).toEqual(['a']);
    }
  });

  it('outlive an answer without any usable key', async () => {
    const realm = await startRealm([a]);
    const { keeper, kids } = await keep(realmSettings(realm.url));
    await keeper.start();
    realm.handlers.certs = json({ keys: [{ ...a.jwk, use: 'enc' }] });
    await keeper.refreshKeys();
    expect(kids()).toEqual(['a']);
    expect(keeper.status().lastError).toBe('key set: the answer has no usable key');
  });

  it('survive a restart while the realm is down, with their age and their issuer', async () => {
    const realm = await startRealm([a], 'https://services.example.com/auth/realms/demo');
    stopClock();
    const fetchedAt = Date.now();
    const settings = realmSettings(realm.url, jwks({ staleFor: 60_000 }));
    const first = await keep(settings);
    await first.keeper.start();
    await first.keeper.stop();
    realm.handlers.certs = hangUp;
    realm.handlers.discovery = hangUp;
    await advance(30_000);
    const second = await keep(settings, { dataDir: first.dataDir });
    await second.keeper.start();
    expect(second.kids()).toEqual(['a']);
    expect(second.published[0]!.keys).toMatchObject({ jwks: [{ kid: 'a' }], fetchedAt });
    expect(second.published[0]!.issuers).toEqual(['https://services.example.com/auth/realms/demo']);
    await advance(30_000);
    expect(second.kids()).toEqual([]);
  });

  it('of a realm known from the disk let an unknown kid fetch at once', async () => {
    const realm = await startRealm([a]);
    const first = await keep(realmSettings(realm.url));
    await first.keeper.start();
    await first.keeper.stop();
    realm.handlers.certs = hangUp;
    const second = await keep(realmSettings(realm.url), { dataDir: first.dataDir });
    await second.keeper.start();
    realm.handlers.certs = set(b);
    await second.keeper.refreshKeys();
    expect(second.kids()).toEqual(['b']);
  });

  it('are on disk for the owner only, with no draft left over', async () => {
    const realm = await startRealm([a]);
    const { keeper, dataDir } = await keep(realmSettings(realm.url));
    await keeper.start();
    await keeper.stop();
    expect(await readdir(join(dataDir, 'realms'))).toEqual(['demo.keys.json']);
    expect((await stat(join(dataDir, 'realms', 'demo.keys.json'))).mode & 0o777).toBe(0o600);
  });

  it('are no longer good when they are too old at the restart', async () => {
    const realm = await startRealm([a]);
    stopClock();
    const settings = realmSettings(realm.url, jwks({ staleFor: 60_000 }));
    const first = await keep(settings);
    await first.keeper.start();
    await first.keeper.stop();
    realm.handlers.certs = hangUp;
    await advance(60_000);
    const second = await keep(settings, { dataDir: first.dataDir });
    await second.keeper.start();
    expect(second.kids()).toEqual([]);
    expect(second.keeper.snapshot().keys.fetchedAt).toBeNull();
  });

  async function stored(): Promise<{ dataDir: string; path: string; url: string; content: string }> {
    const realm = await startRealm([a]);
    const { keeper, dataDir } = await keep(realmSettings(realm.url));
    await keeper.start();
    await keeper.stop();
    realm.handlers.certs = hangUp;
    const path = join(dataDir, 'realms', 'demo.keys.json');
    return { dataDir, path, url: realm.url, content: await readFile(path, 'utf8') };
  }

  it('are ignored on disk when they belong to another URL or to other issuers', async () => {
    const { dataDir, url } = await stored();
    const elsewhere = await startRealm([b]);
    elsewhere.handlers.certs = hangUp;
    for (const settings of [
      realmSettings(elsewhere.url),
      realmSettings(url, { issuers: ['https://other'] }),
    ]) {
      const { keeper, kids } = await keep(settings, { dataDir });
      await keeper.start();
      expect(kids()).toEqual([]);
    }
  });

  it.each<[string, (content: string) => string]>([
    ['half written', (content) => content.slice(0, content.length / 2)],
    ['empty', () => ''],
    ['no object', () => '7'],
    ['without a time', (content) => content.replace(/"fetchedAt":\d+/, '"fetchedAt":"x"')],
    ['without keys', (content) => content.replace('"keys":[', '"other":[')],
  ])('are ignored on disk when the file is %s', async (_what, spoil) => {
    const { dataDir, path, url, content } = await stored();
    await writeFile(path, spoil(content));
    const { keeper, kids, logged } = await keep(realmSettings(url), { dataDir });
    await keeper.start();
    expect(kids()).toEqual([]);
    expect(keeper.snapshot().keys.fetchedAt).toBeNull();
    expect(JSON.stringify(logged)).not.toContain(a.jwk['x']);
  });

  it('are reported when the file is corrupted', async () => {
    const { dataDir, path, url, content } = await stored();
    await writeFile(path, content.slice(0, -5));
    const { keeper, logged } = await keep(realmSettings(url), { dataDir });
    await keeper.start();
    expect(logged).toContainEqual({
      level: 'warn',
      details: { realm: 'demo', reason: 'SyntaxError' },
      message: 'The keys on disk are not readable and are ignored',
    });
  });

  it('are checked again when they come from the disk, and their time is never one to come', async () => {
    const { dataDir, path, url, content } = await stored();
    const value = JSON.parse(content) as { keys: object[]; fetchedAt: number };
    value.keys.push({ ...b.jwk, use: 'enc' });
    await writeFile(path, JSON.stringify({ ...value, fetchedAt: Date.now() + 86_400_000 }));
    const { keeper, kids } = await keep(realmSettings(url), { dataDir });
    await keeper.start();
    expect(kids()).toEqual(['a']);
    expect(keeper.snapshot().keys.fetchedAt).toBeLessThanOrEqual(Date.now());
  });

  it('are in use even where the disk cannot keep them', async () => {
    const realm = await startRealm([a]);
    const dataDir = join(await temporaryFolder(), 'file');
    await writeFile(dataDir, '');
    const { keeper, kids, logged } = await keep(realmSettings(realm.url), { dataDir });
    await keeper.start();
    await keeper.stop();
    expect(kids()).toEqual(['a']);
    expect(logged.at(-1)).toMatchObject({ level: 'warn', message: 'The keys could not be kept on disk' });
  });

  it("never leave the data directory, whatever the realm's name", async () => {
    const realm = await startRealm([a]);
    const parent = await temporaryFolder();
    const dataDir = join(parent, 'data');
    await mkdir(dataDir);
    const { keeper } = await keep(realmSettings(realm.url, { name: '../../evil' }), { dataDir });
    await keeper.start();
    await keeper.stop();
    expect(await readdir(parent)).toEqual(['data']);
    expect(await readdir(join(dataDir, 'realms'))).toEqual(['..%2F..%2Fevil.keys.json']);
  });
});

describe('stop', () => {
  it('gives up a fetch under way, publishes nothing more and asks nothing more', async () => {
    const realm = await startRealm([a]);
    stopClock();
    const { keeper, published } = await keep(realmSettings(realm.url));
    await keeper.start();
    realm.handlers.certs = silent;
    const asked = realm.asked('certs');
    const refreshed = keeper.refreshKeys();
    await asked;
    const before = published.length;
    await keeper.stop();
    await refreshed;
    await keeper.refreshKeys();
    await advance(3_600_000);
    expect(published).toHaveLength(before);
    expect(realm.counts.certs).toBe(2);
  });
});

describe('the status', () => {
  it('tells issuers, keys, their age, the last error and the next refresh', async () => {
    const realm = await startRealm([a]);
    stopClock();
    const { keeper } = await keep(realmSettings(realm.url));
    await keeper.start();
    const { nextRefresh, ...status } = keeper.status();
    expect(status).toEqual({
      name: 'demo',
      issuers: [realm.url],
      keys: [{ kid: 'a', alg: 'ES256', kty: 'EC' }],
      fetchedAt: Date.now(),
      lastError: null,
      fetchFailures: 0,
      revocations: 0,
    });
    expect(nextRefresh! - Date.now()).toBeGreaterThanOrEqual(540_000);
    expect(nextRefresh! - Date.now()).toBeLessThanOrEqual(600_000);
  });
});
