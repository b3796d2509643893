import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import { describe, expect, onTestFinished, test } from 'vitest';

import { pacedFault, partOf, type PacedResult } from '../../bench/peers/paced.ts';
import { runAtRate, type RateResult } from '../../bench/support/constant-rate.ts';
import { Workspace } from '../../bench/support/workspace.ts';

async function loaded(connections: number, listener: RequestListener): Promise<RateResult> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const workspace = new Workspace();
  onTestFinished(() => workspace.close());
  const tokenFile = join(workspace.folder, 'tokens');
  writeFileSync(tokenFile, 'one\ntwo\nthree\n');
  return runAtRate(workspace, null, { port, path: '/api', tokenFile, rate: 300, requests: 150, connections });
}

describe('the load at a constant rate', () => {
  test('sends a second of lead and then as many as asked for, all tokens in turn', async () => {
    const seen = new Map<string, number>();
    const result = await loaded(4, (request, response) => {
      const token = request.headers.authorization ?? '';
      seen.set(token, (seen.get(token) ?? 0) + 1);
      response.writeHead(token === 'Bearer two' ? 401 : 200, { 'content-length': 2 }).end('ok');
    });

    expect(result).toMatchObject({ requests: 150, sent: 450, refused: 150, errors: 0 });
    expect(Object.fromEntries(seen)).toEqual({ 'Bearer one': 150, 'Bearer two': 150, 'Bearer three': 150 });
    expect(result.latency.max).toBeGreaterThanOrEqual(result.latency.p50);
  });

  test('goes on with a new connection where one broke, and counts it', async () => {
    let requests = 0;
    const result = await loaded(1, (_request, response) => {
      if (++requests % 100 === 0) response.destroy();
      else response.writeHead(200, { 'content-length': 2 }).end('ok');
    });

    expect(result).toMatchObject({ sent: 450, errors: 4, refused: 0 });
  });
});

describe('faults of a load at a constant rate', () => {
  const quantiles = { p50: 1, p99: 1, max: 1 };
  const good: PacedResult = {
    ...{ requests: 100, sent: 120, refused: 0, errors: 0, rate: 100 },
    ...{ latency: quantiles, late: quantiles, foreign: 0.02 },
  };

  test.each([
    ['a broken request', { ...good, errors: 1 }, 'answered'],
    ['a refused good token', { ...good, refused: 1 }, 'answered'],
    ['a forged token that was let through', { ...good, refused: 119 }, 'refused'],
    ['a core that others had', { ...good, foreign: 0.5 }, 'answered'],
    ['a load that is late itself', { ...good, late: { ...quantiles, p99: 5_000 } }, 'answered'],
  ] as const)('%s is one', (_, result, expected) => {
    expect(pacedFault(result, expected)).not.toBe(null);
  });

  test('everything as expected is none', () => {
    expect(pacedFault(good, 'answered')).toBe(null);
    expect(pacedFault({ ...good, foreign: null, refused: 120 }, 'refused')).toBe(null);
  });
});

test('a load that shares its core with the service sends no more than it can', () => {
  expect(partOf(20_000, 1 / 2, { gateway: 0, load: 1, service: 1 })).toBe(10_000);
  expect(partOf(60_000, 1 / 2, { gateway: 0, load: 1, service: 1 })).toBe(15_000);
  expect(partOf(60_000, 1 / 2, { gateway: 0, load: 1, service: 3 })).toBe(30_000);
});
