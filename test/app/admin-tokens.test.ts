import { expect, test } from 'vitest';
import { RealmServer } from './realm-server.ts';
import { serve } from './serve-process.ts';

test('the first token of a new key administers, without a fetch before it', { timeout: 30_000 }, async () => {
  const realm = await RealmServer.start();
  const { admin } = await serve({ realms: [realm.settings], services: { driver: 'none' } });
  const statusFor = async (): Promise<number> => {
    const token = await realm.token({ realm_access: { roles: ['realmgate-admin'] } });
    return (await fetch(`${admin}/api/v1/routes`, { headers: { authorization: `Bearer ${token}` } })).status;
  };
  expect(await statusFor()).toBe(200); // who checks tokens has its keys by then
  await realm.addKey();
  expect(await statusFor()).toBe(200);
});
