import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { expect, onTestFinished, test } from 'vitest';
import { Realms } from '../../src/app/realms.ts';
import type { RealmSettings } from '../../src/contracts/settings.ts';
import type { RealmSnapshot } from '../../src/contracts/snapshot.ts';
import { realmSnapshot } from '../support/gateway.ts';

const { publicKey, privateKey } = await generateKeyPair('RS256', { extractable: true });
const JWK = { ...(await exportJWK(publicKey)), kid: 'key-1', alg: 'RS256', use: 'sig' };

/** A Keycloak with one realm, which can be told to hold its answers back or to refuse them. */
async function startKeycloak() {
  const asked: string[] = [];
  const state = { up: true, held: Promise.resolve() };
  const server = createServer((request, response) => {
    const url = request.url ?? '';
    asked.push(url);
    const certs = url.endsWith('/certs');
    const body = certs ? { keys: [JWK] } : { issuer, jwks_uri: `${issuer}/protocol/openid-connect/certs` };
    void state.held.then(() => {
      response.writeHead(state.up ? 200 : 503, { 'Content-Type': 'application/json' });
      response.end(JSON.stringify(body));
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = (): void => {
    server.close();
    server.closeAllConnections();
  };
  onTestFinished(close);
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}/auth/realms/demo`;
  return { issuer, asked, state, close };
}

type Keycloak = Awaited<ReturnType<typeof startKeycloak>>;

function settingsOf({ issuer }: Keycloak, changes: Partial<RealmSettings> = {}): RealmSettings {
  const { jwks, passthrough } = realmSnapshot().settings;
  return {
    name: 'demo',
    url: issuer,
    issuers: null,
    clients: ['istio'],
    algorithms: ['RS256'],
    clockSkew: 0,
    jwks,
    introspection: null,
    revocation: { backchannelLogout: true },
    passthrough,
    ...changes,
  };
}

async function startRealms() {
  const dataDir = await mkdtemp(join(tmpdir(), 'realmgate-realms-'));
  const published: (readonly RealmSnapshot[])[] = [];
  const quiet = () => undefined;
  const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
  const realms = new Realms({ dataDir, log }, (snapshots) => void published.push(snapshots));
  onTestFinished(async () => {
    await realms.stop();
    await rm(dataDir, { recursive: true, force: true });
  });
  return { realms, published, dataDir };
}

let lastJti = 0;

function logoutToken({ issuer }: Keycloak, sid: string): Promise<string> {
  const events = { 'http://schemas.openid.net/event/backchannel-logout': {} };
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: issuer, aud: 'istio', iat: now, exp: now + 60, sid, jti: `jti-${++lastJti}`, events };
  return new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid: 'key-1' }).sign(privateKey);
}

function endedSessions(realms: Realms): (string | null)[] {
  return realms.snapshots().flatMap(({ revocations }) => revocations.map(({ sid }) => sid));
}

test('after the first apply every realm that answers has its keys and its issuer', async () => {
  const [one, two] = [await startKeycloak(), await startKeycloak()];
  const { realms } = await startRealms();
  await realms.apply([settingsOf(one), settingsOf(two, { name: 'two' })], null);
  expect(realms.snapshots()).toMatchObject([
    { settings: { name: 'demo' }, issuers: [one.issuer], keys: { jwks: [{ kid: 'key-1' }] } },
    { settings: { name: 'two' }, issuers: [two.issuer], keys: { jwks: [{ kid: 'key-1' }] } },
  ]);
  expect(realms.statuses().map(({ name }) => name)).toEqual(['demo', 'two']);
});

test('a realm that is down does not hold the others up for longer than its time-out', async () => {
  const [down, up] = [await startKeycloak(), await startKeycloak()];
  down.close();
  const { realms } = await startRealms();
  await realms.apply([settingsOf(down), settingsOf(up, { name: 'up' })], null);
  expect(realms.snapshots().map(({ keys }) => keys.jwks.length)).toEqual([0, 1]);
});

test('a reload leaves a realm alone whose settings are the same: nothing is fetched again', async () => {
  const [kept, changed] = [await startKeycloak(), await startKeycloak()];
  const { realms } = await startRealms();
  await realms.apply([settingsOf(kept), settingsOf(changed, { name: 'changed' })], null);
  const before = kept.asked.length;
  const fetchedBefore = changed.asked.length;
  await realms.apply([settingsOf(kept), settingsOf(changed, { name: 'changed', clockSkew: 5_000 })], null);
  expect(kept.asked).toHaveLength(before);
  expect(changed.asked.length).toBeGreaterThan(fetchedBefore);
  expect(realms.snapshots().map(({ settings }) => settings.clockSkew)).toEqual([0, 5_000]);
});

test('a changed public URL makes every keeper new, since the realm is asked in its name', async () => {
  const keycloak = await startKeycloak();
  const { realms } = await startRealms();
  await realms.apply([settingsOf(keycloak)], null);
  const before = keycloak.asked.length;
  await realms.apply([settingsOf(keycloak)], 'https://services.example.com');
  expect(keycloak.asked.length).toBeGreaterThan(before);
});

test('while the new keeper of a changed realm waits for its keys, the old one stays in force', async () => {
  const keycloak = await startKeycloak();
  const { realms, published } = await startRealms();
  await realms.apply([settingsOf(keycloak)], null);
  const answering = Promise.withResolvers<undefined>();
  keycloak.state.held = answering.promise.then(() => undefined);
  const before = keycloak.asked.length;
  published.length = 0;
  const applied = realms.apply([settingsOf(keycloak, { clients: ['other'] })], null);
  await expect.poll(() => keycloak.asked.length).toBeGreaterThan(before);
  expect(realms.snapshots()).toMatchObject([
    { settings: { clients: ['istio'] }, keys: { jwks: [JWK_FORM] } },
  ]);
  expect(published).toEqual([]);
  answering.resolve(undefined);
  await applied;
  expect(realms.snapshots()).toMatchObject([
    { settings: { clients: ['other'] }, keys: { jwks: [JWK_FORM] } },
  ]);
});

const JWK_FORM = { kid: 'key-1', kty: 'RSA' };

test('a realm that is changed while it is down keeps its keys', async () => {
  const keycloak = await startKeycloak();
  const { realms, dataDir } = await startRealms();
  await realms.apply([settingsOf(keycloak)], null);
  await realms.backchannelLogout('demo', await logoutToken(keycloak, 'ended'));
  await expect.poll(() => existsSync(join(dataDir, 'realms/demo.keys.json'))).toBe(true);
  keycloak.state.up = false;
  await realms.apply([settingsOf(keycloak, { clockSkew: 1_000 })], null);
  expect(realms.snapshots()).toMatchObject([
    { settings: { clockSkew: 1_000 }, issuers: [keycloak.issuer], keys: { jwks: [JWK_FORM] } },
  ]);
  expect(endedSessions(realms)).toEqual(['ended']);
});

test('a session that ends during a reload stays ended after it', async () => {
  const keycloak = await startKeycloak();
  const { realms, published } = await startRealms();
  await realms.apply([settingsOf(keycloak)], null);
  const answering = Promise.withResolvers<undefined>();
  keycloak.state.held = answering.promise.then(() => undefined);
  const before = keycloak.asked.length;
  const applied = realms.apply([settingsOf(keycloak, { clockSkew: 1_000 })], null);
  await expect.poll(() => keycloak.asked.length).toBeGreaterThan(before);
  expect(await realms.backchannelLogout('demo', await logoutToken(keycloak, 'meanwhile'))).toBe(true);
  expect(published.at(-1)).toMatchObject([
    { settings: { clockSkew: 0 }, revocations: [{ sid: 'meanwhile' }] },
  ]);
  answering.resolve(undefined);
  await applied;
  expect(realms.snapshots()).toMatchObject([{ settings: { clockSkew: 1_000 } }]);
  expect(endedSessions(realms)).toEqual(['meanwhile']);
});

test('sessions that end at any moment around a reload are all remembered', async () => {
  const keycloak = await startKeycloak();
  const { realms } = await startRealms();
  await realms.apply([settingsOf(keycloak)], null);
  const ended: string[] = [];
  for (let reload = 1; reload <= 5; reload++) {
    const progress = { applying: true };
    const applied = realms.apply([settingsOf(keycloak, { clockSkew: reload * 1_000 })], null).then(() => {
      progress.applying = false;
    });
    const logouts: Promise<boolean>[] = [];
    do {
      const sid = `session-${ended.length}`;
      ended.push(sid);
      logouts.push(realms.backchannelLogout('demo', await logoutToken(keycloak, sid)));
    } while (progress.applying);
    await applied;
    expect(await Promise.all(logouts)).not.toContain(false);
  }
  expect(new Set(endedSessions(realms))).toEqual(new Set(ended));
});

test('what the caller applied is for the caller to publish, what a keeper learns is published at once', async () => {
  const keycloak = await startKeycloak();
  const { realms, published } = await startRealms();
  await realms.apply([settingsOf(keycloak)], null);
  expect(published).toEqual([]);
  await realms.backchannelLogout('demo', await logoutToken(keycloak, 'one'));
  expect(published).toMatchObject([[{ revocations: [{ sid: 'one' }] }]]);
});

test('a realm that was removed is forgotten: it answers no question, asks and publishes nothing', async () => {
  const [kept, removed] = [await startKeycloak(), await startKeycloak()];
  const { realms, published } = await startRealms();
  const jwks = { ...settingsOf(kept).jwks, refresh: 10 };
  const remaining = settingsOf(kept, { jwks });
  await realms.apply([remaining, settingsOf(removed, { name: 'old', jwks })], null);
  const first = removed.asked.length;
  await expect.poll(() => removed.asked.length).toBeGreaterThan(first);
  await realms.apply([remaining], null);
  expect(realms.snapshots().map(({ settings }) => settings.name)).toEqual(['demo']);
  published.length = 0;
  await expect.poll(() => published.length).toBeGreaterThan(1);
  const before = removed.asked.length;
  await realms.refreshKeys('old');
  expect(await realms.introspect('old', 'token')).toBeNull();
  expect(await realms.backchannelLogout('old', await logoutToken(removed, 'x'))).toBe(false);
  await expect.poll(() => published.length).toBeGreaterThan(5);
  expect(removed.asked).toHaveLength(before);
  expect(published.flat().map(({ settings }) => settings.name)).not.toContain('old');
});

test('two reloads at once are applied one after the other, the later one last', async () => {
  const keycloak = await startKeycloak();
  const { realms } = await startRealms();
  const skews = [1_000, 2_000, 3_000];
  await Promise.all(skews.map((clockSkew) => realms.apply([settingsOf(keycloak, { clockSkew })], null)));
  expect(realms.snapshots().map(({ settings }) => settings.clockSkew)).toEqual([3_000]);
});

test('stop ends a reload that waits for a realm, and nothing is asked or published afterwards', async () => {
  const keycloak = await startKeycloak();
  const { realms, published } = await startRealms();
  await realms.apply([settingsOf(keycloak)], null);
  const jwks = { ...settingsOf(keycloak).jwks, timeout: 3_600_000 };
  keycloak.state.held = new Promise(() => undefined);
  const before = keycloak.asked.length;
  const applied = realms.apply([settingsOf(keycloak, { clockSkew: 1_000, jwks })], null);
  const queued = realms.apply([settingsOf(keycloak, { clockSkew: 2_000, jwks })], null);
  await expect.poll(() => keycloak.asked.length).toBeGreaterThan(before);
  const asked = keycloak.asked.length;
  await realms.stop();
  await Promise.all([applied, queued]);
  await realms.refreshKeys('demo');
  expect(keycloak.asked).toHaveLength(asked);
  expect(published).toEqual([]);
});
