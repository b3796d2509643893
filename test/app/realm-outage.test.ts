import { describe, expect, test } from 'vitest';

import { freePort } from '../support/free-port.ts';
import { RealmServer } from './realm-server.ts';
import { serve, until } from './serve-process.ts';
import { startQuickService } from './upstream.ts';

async function config(realm: RealmServer): Promise<object> {
  return {
    realms: [realm.settings],
    gateway: { workers: 2 },
    routes: [{ name: 'service', endpoint: '/', upstream: [await startQuickService()] }],
  };
}

describe('a realm that is down at the start', () => {
  test('does not stop the gateway from starting; it recovers by itself when the realm comes up', async () => {
    const realm = RealmServer.at(await freePort());
    const { process, gateway, admin } = await serve(await config(realm));
    const headers = { authorization: `Bearer ${await realm.token()}` };
    const warnings = process.log().filter((line) => line['level'] === 'warn' && line['realm'] === 'demo');
    expect(warnings).toHaveLength(1);

    const refused = await fetch(gateway, { headers });
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(await refused.json()).toMatchObject({ code: 'keys_unavailable', status: 503 });
    const ready = await fetch(`${admin}/readyz`);
    expect(ready.status).toBe(503);
    expect(await ready.json()).toMatchObject({ detail: 'the realm demo has no usable keys yet' });

    await realm.up();

    await until(async () => (await fetch(gateway, { headers })).status === 200);
    expect((await fetch(`${admin}/readyz`)).status).toBe(200);
  });

  test('is not needed for the tokens of keys that the last run kept on disk', async () => {
    const realm = await RealmServer.start();
    const settings = await config(realm);
    const first = await serve(settings);
    const headers = { authorization: `Bearer ${await realm.token()}` };
    expect((await fetch(first.gateway, { headers })).status).toBe(200);
    expect(await first.process.stop()).toEqual({ code: 0, signal: null });
    realm.stop();

    const second = await serve(settings, { folder: first.process.folder });

    expect((await fetch(second.gateway, { headers })).status).toBe(200);
    expect((await fetch(`${second.admin}/readyz`)).status).toBe(200);
  });
});
