import { describe, expect, it } from 'vitest';
import type { RealmSettings } from '../../src/contracts/settings.ts';
import {
  advance,
  discoveryDocument,
  ecKey,
  hangUp,
  json,
  keep,
  type Kept,
  realmSettings,
  sign,
  silent,
  startRealm,
  stopClock,
  type TestRealm,
  text,
} from './support.ts';

const a = ecKey('a');
const introspection = { clientId: 'gate-way', clientSecret: 's/e cret', cache: 30_000 };

async function started(
  changes: Partial<RealmSettings> = {},
  prepare?: (realm: TestRealm) => void,
): Promise<Kept & { realm: TestRealm }> {
  const realm = await startRealm([a]);
  prepare?.(realm);
  const kept = await keep(realmSettings(realm.url, { introspection, ...changes }), {
    publicUrl: 'https://services.example.com',
  });
  await kept.keeper.start();
  return { ...kept, realm };
}

describe('introspection', () => {
  it("resolves to an active token's claims, and to null for any other", async () => {
    const { keeper, realm } = await started();
    realm.handlers.introspect = json({ active: true, sub: 'u-1', scope: 'read' });
    expect(await keeper.introspect('opaque-1')).toEqual({ active: true, sub: 'u-1', scope: 'read' });
    realm.handlers.introspect = json({ active: false, sub: 'u-1' });
    expect(await keeper.introspect('opaque-2')).toBeNull();
  });

  it('asks as the configured client, in the name of the public host', async () => {
    const { keeper, realm } = await started();
    await keeper.introspect('opaque');
    const { request, body } = realm.requests.find(({ endpoint }) => endpoint === 'introspect')!;
    expect(request.method).toBe('POST');
    expect(request.headers['x-forwarded-host']).toBe('services.example.com');
    expect(Object.fromEntries(new URLSearchParams(body))).toEqual({
      client_id: 'gate-way',
      client_secret: 's/e cret',
      token: 'opaque',
    });
  });

  it('authenticates by HTTP Basic where the realm takes nothing else', async () => {
    const { keeper, realm } = await started({}, (prepared) => {
      prepared.handlers.discovery = json({
        ...discoveryDocument(prepared.url),
        introspection_endpoint_auth_methods_supported: ['client_secret_basic', 'private_key_jwt'],
      });
    });
    await keeper.introspect('opaque');
    const { request, body } = realm.requests.find(({ endpoint }) => endpoint === 'introspect')!;
    expect(request.headers.authorization).toMatch(/^Basic /);
    expect(body).toBe('token=opaque');
  });

  it('works before the discovery document could be read', async () => {
    const { keeper, realm } = await started({}, (prepared) => {
      prepared.handlers.discovery = hangUp;
    });
    realm.handlers.introspect = json({ active: true });
    expect(await keeper.introspect('opaque')).toEqual({ active: true });
  });

  it('keeps answers, good and bad, for as long as configured', async () => {
    stopClock();
    const { keeper, realm } = await started();
    for (const active of [true, false]) {
      realm.counts.introspect = 0;
      realm.handlers.introspect = json({ active });
      const token = `opaque-${active}`;
      await keeper.introspect(token);
      await advance(29_999);
      await keeper.introspect(token);
      expect(realm.counts.introspect).toBe(1);
      await advance(1001);
      await keeper.introspect(token);
      expect(realm.counts.introspect).toBe(2);
    }
  });

  it('keeps an answer no longer than the token lives', async () => {
    stopClock();
    const { keeper, realm } = await started({ clockSkew: 1000 });
    realm.handlers.introspect = json({ active: true, exp: Math.floor(Date.now() / 1000) + 4 });
    await keeper.introspect('opaque');
    await advance(5001);
    await keeper.introspect('opaque');
    expect(realm.counts.introspect).toBe(2);
  });

  it('keeps nothing with a cache of 0', async () => {
    const { keeper, realm } = await started({ introspection: { ...introspection, cache: 0 } });
    await keeper.introspect('opaque');
    await keeper.introspect('opaque');
    expect(realm.counts.introspect).toBe(2);
  });

  it('asks once for all who show the same token at the same time, and for each token apart', async () => {
    const { keeper, realm } = await started();
    realm.handlers.introspect = (_request, response, body) => {
      json({ active: true, sub: new URLSearchParams(body).get('token') })(_request, response, body);
    };
    const answers = await Promise.all(['x', 'y', 'x', 'x'].map((token) => keeper.introspect(token)));
    expect(answers.map((claims) => claims!['sub'])).toEqual(['x', 'y', 'x', 'x']);
    expect(realm.counts.introspect).toBe(2);
  });

  it.each([
    ['is down', hangUp],
    ['answers 500', json({}, 500)],
    ['does not know the client', json({ error: 'invalid_client', error_description: 'opaque' }, 401)],
    ['does not say whether it is active', json({ active: 'true' })],
    ['answers with garbage', text('opaque')],
    ['answers with a signed answer nobody asked for', text('a.b.c', 'application/token-introspection+jwt')],
  ])(
    'rejects when the realm %s, remembers nothing of it and repeats nothing received',
    async (_what, handler) => {
      const { keeper, realm } = await started();
      realm.handlers.introspect = handler;
      const error: unknown = await keeper.introspect('opaque').catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(Error);
      expect((error as Error).message).toMatch(/^introspection: /);
      expect((error as Error).message).not.toMatch(/opaque|cret/);
      realm.handlers.introspect = json({ active: true });
      expect(await keeper.introspect('opaque')).toEqual({ active: true });
    },
  );

  it('rejects after jwks.timeout', async () => {
    stopClock();
    const { keeper, realm } = await started();
    realm.handlers.introspect = silent;
    const asked = realm.asked('introspect');
    const answer = keeper.introspect('opaque').catch((reason: unknown) => reason);
    await asked;
    await advance(5000);
    expect(await answer).toMatchObject({ message: 'introspection: no answer within 5000 ms' });
  });

  it('survives a kept connection that the realm closes', async () => {
    const { keeper, realm } = await started();
    realm.handlers.introspect = json({ active: true });
    await keeper.introspect('opaque-1');
    let calls = 0;
    realm.handlers.introspect = (...exchange) => {
      calls += 1;
      if (calls === 1) hangUp(...exchange);
      else json({ active: true })(...exchange);
    };
    expect(await keeper.introspect('opaque-2')).toEqual({ active: true });
  });

  it('is refused where no client is configured', async () => {
    const { keeper, realm } = await started({ introspection: null });
    await expect(keeper.introspect('opaque')).rejects.toThrow('not configured');
    expect(realm.counts.introspect).toBe(0);
  });

  it('forgets what it knew when a session ends', async () => {
    const { keeper, realm } = await started();
    realm.handlers.introspect = json({ active: true, sid: 's-1' });
    await keeper.introspect('opaque');
    realm.handlers.introspect = json({ active: false });
    const logout = await sign(
      a,
      {
        iss: realm.url,
        aud: 'istio',
        iat: Math.floor(Date.now() / 1000),
        jti: 'j',
        sid: 's-1',
        events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
      },
      { typ: 'logout+jwt' },
    );
    let answerLate = (): void => undefined;
    realm.handlers.introspect = (...exchange) => {
      answerLate = () => json({ active: true, sid: 's-1' })(...exchange);
    };
    const asked = realm.asked('introspect');
    const late = keeper.introspect('opaque-late');
    await asked;
    expect(await keeper.backchannelLogout(logout)).toBe(true);
    answerLate();
    await late;
    realm.handlers.introspect = json({ active: false });
    expect(await keeper.introspect('opaque')).toBeNull();
    expect(await keeper.introspect('opaque-late')).toBeNull();
  });
});
