import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';

import { describe, expect, test } from 'vitest';

import { RealmServer } from './realm-server.ts';
import { serve } from './serve-process.ts';
import { startQuickService } from './upstream.ts';

/** One request on a connection of its own: connections are dealt out to the workers in turn. */
async function call(
  url: string,
  headers: Record<string, string>,
  form?: string,
): Promise<{ status: number; retryAfter: string | undefined; body: string }> {
  const request = httpRequest(url, {
    agent: false,
    method: form === undefined ? 'GET' : 'POST',
    headers:
      form === undefined ? headers : { ...headers, 'content-type': 'application/x-www-form-urlencoded' },
  });
  request.end(form);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return {
    status: response.statusCode!,
    retryAfter: response.headers['retry-after'],
    body: await text(response),
  };
}

function count(statuses: readonly { status: number }[], status: number): number {
  return statuses.filter((one) => one.status === status).length;
}

describe('across two workers', () => {
  test('a rate limit of 7 lets exactly 7 through', async () => {
    const realm = await RealmServer.start();
    const { process, gateway } = await serve({
      realms: [realm.settings],
      gateway: { workers: 2 },
      routes: [
        {
          name: 'limited',
          endpoint: '/',
          upstream: [await startQuickService()],
          limit: { rate: '7/h' },
        },
      ],
    });
    const headers = { authorization: `Bearer ${await realm.token()}` };

    const answers = await Promise.all(Array.from({ length: 30 }, () => call(gateway, headers)));

    expect(count(answers, 200)).toBe(7);
    expect(count(answers, 429)).toBe(23);
    for (const { status, retryAfter } of answers)
      if (status === 429) expect(Number(retryAfter)).toBeGreaterThan(0);
    // A worker writes its lines after the answers.
    for (const name of ['worker-1', 'worker-2'])
      await process.logged((line) => line['name'] === name && 'status' in line);
  });

  test('the limit of the token endpoint holds in total, for a user and for an address', async () => {
    const realm = await RealmServer.start();
    const { gateway } = await serve({
      realms: [{ ...realm.settings, passthrough: { limit: { perUser: '3/h', perAddress: '5/h' } } }],
      gateway: { workers: 2 },
    });
    const url = `${gateway}/auth/realms/demo/protocol/openid-connect/token`;
    const signIn = (user: string) =>
      call(url, {}, `grant_type=password&client_id=istio&username=${user}&password=x`);

    const alice = await Promise.all(Array.from({ length: 8 }, () => signIn('alice')));
    const bob = await Promise.all(Array.from({ length: 8 }, () => signIn('bob')));

    expect(count(alice, 200)).toBe(3);
    expect(count(alice, 429)).toBe(5);
    expect(count(bob, 200)).toBe(2);
    expect(count(bob, 429)).toBe(6);
  });

  test('metrics are sums over both, and name processes and reloads', async () => {
    const realm = await RealmServer.start();
    const config = {
      realms: [realm.settings],
      gateway: { workers: 2 },
      routes: [{ name: 'service', endpoint: '/service', upstream: [await startQuickService()] }],
    };
    const { process, gateway, admin } = await serve(config);
    const headers = { authorization: `Bearer ${await realm.token()}` };
    for (let i = 0; i < 9; i++) await call(`${gateway}/service`, headers);
    for (let i = 0; i < 4; i++) await call(`${gateway}/service`, {});
    process.kill('SIGHUP');
    await process.logged('reloaded');

    const answer = await fetch(`${admin}/metrics`);

    expect(answer.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    const lines = (await answer.text()).split('\n');
    const values = new Map(
      lines
        .filter((line) => line !== '' && !line.startsWith('#'))
        .map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
    );
    const requests = [...values].filter(([name]) => name.startsWith('realmgate_requests_total{'));
    expect(requests.map(([, value]) => value).toSorted()).toEqual([4, 9]);
    expect(values.get('realmgate_request_duration_seconds_count{route="service"}')).toBe(
      [...values]
        .filter(([name]) => name.startsWith('realmgate_requests_total{') && name.includes('route="service"'))
        .reduce((sum, [, value]) => sum + value, 0),
    );
    const processes = [...values.keys()].filter((name) =>
      name.startsWith('realmgate_process_resident_memory_bytes{'),
    );
    expect(processes.map((name) => /process="([^"]*)"/.exec(name)?.[1]).toSorted()).toEqual([
      'primary',
      'worker-1',
      'worker-2',
    ]);
    expect(values.get('realmgate_config_reloads_total{result="applied"}')).toBe(1);
    expect(values.get('realmgate_worker_restarts_total')).toBe(0);
  });
});
