import { generateKeyPairSync } from 'node:crypto';
import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SignJWT, UnsecuredJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import type { RealmSettings } from '../../src/contracts/settings.ts';
import { REMEMBERED_FOR } from '../../src/realm/revocation.ts';
import {
  advance,
  ecKey,
  hangUp,
  json,
  keep,
  type Kept,
  realmSettings,
  sign,
  startRealm,
  stopClock,
  type TestRealm,
} from './support.ts';

const a = ecKey('a');
const b = ecKey('b');
const EVENT = 'http://schemas.openid.net/event/backchannel-logout';
const HEADER = { typ: 'logout+jwt' };

type Started = Kept & {
  realm: TestRealm;
  claims: (changes?: Record<string, unknown>) => Record<string, unknown>;
};

async function started(changes: Partial<RealmSettings> = {}, dataDir?: string): Promise<Started> {
  const realm = await startRealm([a]);
  const kept = await keep(realmSettings(realm.url, changes), dataDir === undefined ? {} : { dataDir });
  await kept.keeper.start();
  let count = 0;
  return {
    ...kept,
    realm,
    claims: (other = {}) => ({
      iss: realm.url,
      aud: 'istio',
      iat: Math.floor(Date.now() / 1000),
      exp: Math.floor(Date.now() / 1000) + 120,
      jti: `j-${(count += 1)}`,
      sub: 'u-1',
      sid: 's-1',
      typ: 'Logout',
      events: { [EVENT]: {} },
      ...other,
    }),
  };
}

describe('a logout token', () => {
  it("ends its session's tokens issued up to then, published and on disk before true is returned", async () => {
    stopClock();
    const { keeper, dataDir, published, claims } = await started();
    expect(await keeper.backchannelLogout(await sign(a, claims(), HEADER))).toBe(true);
    const revocation = {
      sid: 's-1',
      sub: null,
      before: Date.now() + 30_000,
      forgetAt: Date.now() + REMEMBERED_FOR,
    };
    expect(published.at(-1)!.revocations).toEqual([revocation]);
    const file = await readFile(join(dataDir, 'realms', 'demo.revocations.json'), 'utf8');
    expect(JSON.parse(file)).toEqual({ version: 1, revocations: [revocation] });
    expect(keeper.status().revocations).toBe(1);
  });

  it('without a session ends every session of its subject, but not one that starts after it', async () => {
    stopClock();
    const { keeper, claims } = await started();
    const token = await sign(a, claims({ sid: undefined }), HEADER);
    expect(await keeper.backchannelLogout(token)).toBe(true);
    expect(keeper.snapshot().revocations).toMatchObject([{ sid: null, sub: 'u-1', before: Date.now() }]);
  });

  it.each([
    ['of type logout+jwt', { typ: 'logout+jwt' }, {}],
    ['of type JWT, as Keycloak sends it', { typ: 'JWT' }, {}],
    ['without types', {}, { typ: undefined }],
    ['for several clients', HEADER, { aud: ['other', 'istio'] }],
    ['without exp', HEADER, { exp: undefined }],
    ['that also revokes offline tokens', HEADER, { events: { [EVENT]: {}, 'http://x/revoke': true } }],
  ])('%s is taken', async (_what, header, changes) => {
    const { keeper, claims } = await started({ clients: ['istio'] });
    expect(await keeper.backchannelLogout(await sign(a, claims(changes), header))).toBe(true);
  });

  const ago = (seconds: number) => Math.floor(Date.now() / 1000) - seconds;

  it.each<[string, Record<string, unknown>, Record<string, unknown>?]>([
    ['of another issuer', { iss: 'https://elsewhere.example.com' }],
    ['without an issuer', { iss: undefined }],
    ['for another client', { aud: 'other' }],
    ['without an audience', { aud: undefined }],
    ['with an audience that is no name', { aud: [] }],
    ['issued long ago', { iat: ago(300), exp: undefined }],
    ['issued in the future', { iat: ago(-300) }],
    ['without iat', { iat: undefined }],
    ['that has expired', { exp: ago(60) }],
    ['without jti', { jti: undefined }],
    ['without events', { events: undefined }],
    ['of another event', { events: { 'http://example.com/event': {} } }],
    ['whose event is no object', { events: { [EVENT]: true } }],
    ['whose events are a list', { events: [EVENT] }],
    ['with a nonce', { nonce: 'n' }],
    ['with neither session nor subject', { sid: undefined, sub: undefined }],
    ['with a session that is no string', { sid: 7 }],
    ['with an empty session', { sid: '' }],
    ['that Keycloak marks as an ID token', { typ: 'ID' }],
    ['that Keycloak marks as a bearer token', { typ: 'Bearer' }],
    ['with the header type of an access token', {}, { typ: 'at+jwt' }],
    ['with a critical header', {}, { typ: 'logout+jwt', crit: ['custom'], custom: 1 }],
  ])('%s is refused', async (_what, changes, header = HEADER) => {
    const { keeper, claims, published } = await started({ clients: ['istio'] });
    const before = published.length;
    const token = await sign(a, claims(changes), header);
    expect(await keeper.backchannelLogout(token)).toBe(false);
    expect(published).toHaveLength(before);
  });

  it('is refused with a wrong signature, with none, with HMAC over a public key, and as garbage', async () => {
    const { keeper, claims } = await started();
    const forged = await sign({ ...b, kid: 'a' }, claims(), HEADER);
    const unsigned = new UnsecuredJWT(claims()).encode();
    const hmac = await new SignJWT(claims())
      .setProtectedHeader({ alg: 'HS256', kid: 'a' })
      .sign(new TextEncoder().encode(JSON.stringify(a.jwk)));
    for (const token of [forged, unsigned, hmac, '', 'a.b.c', 'x'.repeat(20_000)]) {
      expect(await keeper.backchannelLogout(token)).toBe(false);
    }
  });

  it('is refused when it is longer than 16 KiB', async () => {
    const { keeper, claims } = await started();
    const token = await sign(a, claims({ padding: 'x'.repeat(16 * 1024) }), HEADER);
    expect(await keeper.backchannelLogout(token)).toBe(false);
  });

  it('is refused with an algorithm that the configuration does not list', async () => {
    const { keeper, claims } = await started({ algorithms: ['RS256'] });
    expect(await keeper.backchannelLogout(await sign(a, claims(), HEADER))).toBe(false);
  });

  it('is refused where the configuration takes none', async () => {
    const { keeper, claims } = await started({ revocation: { backchannelLogout: false } });
    expect(await keeper.backchannelLogout(await sign(a, claims(), HEADER))).toBe(false);
  });

  it('for any audience is taken where any client of the realm is accepted', async () => {
    const { keeper, claims } = await started({ clients: null });
    expect(await keeper.backchannelLogout(await sign(a, claims({ aud: 'whoever' }), HEADER))).toBe(true);
  });

  it('that was seen before is refused', async () => {
    const { keeper, claims } = await started();
    const token = await sign(a, claims(), HEADER);
    const answers = await Promise.all([keeper.backchannelLogout(token), keeper.backchannelLogout(token)]);
    expect(answers.toSorted()).toEqual([false, true]);
    expect(await keeper.backchannelLogout(token)).toBe(false);
  });

  it('signed with a key from after a rotation is taken', async () => {
    const { keeper, realm, claims } = await started();
    realm.handlers.certs = json({ keys: [a.jwk, b.jwk] });
    expect(await keeper.backchannelLogout(await sign(b, claims(), HEADER))).toBe(true);
  });

  it('that cannot be written rejects, ends the session all the same, and may be sent again', async () => {
    const { keeper, dataDir, claims } = await started();
    const obstacle = join(dataDir, 'realms', 'demo.revocations.json.tmp');
    await mkdir(obstacle, { recursive: true });
    const token = await sign(a, claims(), HEADER);
    await expect(keeper.backchannelLogout(token)).rejects.toThrow('could not be written');
    expect(keeper.snapshot().revocations).toMatchObject([{ sid: 's-1' }]);
    await rmdir(obstacle);
    expect(await keeper.backchannelLogout(token)).toBe(true);
  });
});

describe('after stop', () => {
  it('a logout is still written, and published no more', async () => {
    const { keeper, dataDir, published, claims } = await started();
    await keeper.stop();
    const before = published.length;
    expect(await keeper.backchannelLogout(await sign(a, claims(), HEADER))).toBe(true);
    expect(published).toHaveLength(before);
    expect(await readFile(join(dataDir, 'realms', 'demo.revocations.json'), 'utf8')).toContain('s-1');
  });
});

describe('an ended session', () => {
  it('stays ended after a restart, even where the realm has another URL and is down', async () => {
    const first = await started();
    await first.keeper.backchannelLogout(await sign(a, first.claims(), HEADER));
    await first.keeper.stop();
    const elsewhere = await startRealm([a]);
    elsewhere.handlers.certs = hangUp;
    const second = await keep(realmSettings(elsewhere.url), { dataDir: first.dataDir });
    await second.keeper.start();
    expect(second.published[0]!.revocations).toMatchObject([{ sid: 's-1' }]);
  });

  it('is forgotten when no token of it can be alive, in memory and on disk', async () => {
    stopClock();
    const jwks = {
      refresh: 2 * REMEMBERED_FOR,
      cooldown: 30_000,
      staleFor: 2 * REMEMBERED_FOR,
      timeout: 5000,
    };
    const { keeper, dataDir, claims } = await started({ jwks });
    await keeper.backchannelLogout(await sign(a, claims(), HEADER));
    await advance(REMEMBERED_FOR - 1);
    expect(keeper.snapshot().revocations).toHaveLength(1);
    await advance(1);
    expect(keeper.snapshot().revocations).toEqual([]);
    await keeper.backchannelLogout(await sign(a, claims({ sid: 's-2' }), HEADER));
    const file = await readFile(join(dataDir, 'realms', 'demo.revocations.json'), 'utf8');
    expect(file).not.toContain('s-1');
  });

  it('is listed once, up to the latest logout', async () => {
    stopClock();
    const { keeper, claims } = await started();
    const late = await sign(a, claims(), HEADER);
    await advance(10_000);
    await keeper.backchannelLogout(await sign(a, claims(), HEADER));
    await keeper.backchannelLogout(late);
    expect(keeper.snapshot().revocations).toMatchObject([{ sid: 's-1', before: Date.now() + 30_000 }]);
  });

  it('is on disk for each of many logouts at once', async () => {
    const { keeper, dataDir, claims } = await started();
    const tokens = await Promise.all(
      Array.from({ length: 30 }, (_, index) => sign(a, claims({ sid: `many-${index}` }), HEADER)),
    );
    await Promise.all(
      tokens.map(async (token, index) => {
        await keeper.backchannelLogout(token);
        const file = await readFile(join(dataDir, 'realms', 'demo.revocations.json'), 'utf8');
        expect(file).toContain(`"many-${index}"`);
      }),
    );
  });

  it.each(['{"version":1,"revocations":[{"sid":"s-1"', '[]', '7', '{"version":1,"revocations":[{"sid":7}]}'])(
    'in a file such as %s is reported, and the realm works without',
    async (content) => {
      const first = await started();
      await first.keeper.stop();
      await writeFile(join(first.dataDir, 'realms', 'demo.revocations.json'), content);
      const second = await started({}, first.dataDir);
      expect(second.logged.map(({ level }) => level)).toContain('error');
      expect(second.keeper.snapshot().keys.jwks).toHaveLength(1);
    },
  );

  it('is not taken for another by an algorithm mix-up: an RSA realm refuses an EC signature', async () => {
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const { keeper, realm, claims } = await started();
    realm.handlers.certs = json({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'a' }] });
    await keeper.refreshKeys();
    expect(await keeper.backchannelLogout(await sign(a, claims(), HEADER))).toBe(false);
  });
});
