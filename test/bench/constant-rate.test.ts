import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import { describe, expect, onTestFinished, test } from 'vitest';

import { pacedFault, partOf, type PacedResult } from '../../bench/peers/paced.ts';
import { runAtRate, type RateResult } from '../../bench/support/constant-rate.ts';
import { findProgram } from '../../bench/support/find-program.ts';
import { commandLine, descendants } from '../../bench/support/proc.ts';
import { sharedClock, touchedBy, watchStalls } from '../../bench/support/stalls.ts';
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

    expect(result).toMatchObject({ sent: 450, refused: 150, errors: 0 });
    expect(result.requests).toHaveLength(2 * 150);
    expect(Object.fromEntries(seen)).toEqual({ 'Bearer one': 150, 'Bearer two': 150, 'Bearer three': 150 });
    for (const spans of [result.requests, result.looks]) {
      expect(spans.length).toBeGreaterThan(0);
      for (let at = 0; at < spans.length; at += 2) expect(spans[at + 1]).toBeGreaterThanOrEqual(spans[at]!);
    }
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

describe('stalls of the machine', () => {
  const touched = touchedBy([
    { from: 200, to: 210 },
    { from: 100, to: 104 },
    { from: 103, to: 109 },
  ]);

  test.each([
    ['ended before', 90, 99.9, false],
    ['ran into one', 99, 101, true],
    ['lasted from before to after', 90, 300, true],
    ['began within twice the length after it', 120.9, 122, true],
    ['began after that', 121.1, 122, false],
    ['fell into a later one', 205, 206, true],
    ['came after all of them', 231, 400, false],
  ])('touch what %s or not', (_, from, to, expected) => {
    expect(touched(from, to)).toBe(expected);
  });

  test('none touch nothing', () => expect(touchedBy([])(0, 1e9)).toBe(false));

  test('are told with their time by a look-out on the core', async ({ skip }) => {
    if (findProgram('taskset') === null) return skip('no taskset');
    const workspace = new Workspace();
    onTestFinished(() => workspace.close());
    const before = sharedClock();
    const watch = await watchStalls(workspace, [0]);
    if (watch === null) return skip('this user may not put a program before all others');
    // The look-out stands still as if the machine did.
    const lookout = descendants(process.pid).find((pid) => commandLine(pid).endsWith('stalls.ts'))!;
    process.kill(lookout, 'SIGSTOP');
    const stopped = sharedClock();
    await expect.poll(() => sharedClock() - stopped, { interval: 5 }).toBeGreaterThan(30);
    process.kill(lookout, 'SIGCONT');
    await expect.poll(() => watch.seen().some(({ from, to }) => to - from > 29)).toBe(true);
    const longest = (await watch.stop()).find(({ from, to }) => to - from > 29)!;

    expect(longest.from).toBeGreaterThan(before);
    expect(longest.to).toBeLessThan(sharedClock());
  });
});

describe('faults of a load at a constant rate', () => {
  const quantiles = { p50: 1, p99: 1, max: 1 };
  const good: PacedResult = {
    ...{ requests: 100, sent: 120, refused: 0, errors: 0, rate: 100 },
    ...{ latency: quantiles, late: quantiles, foreign: 0.02, stalled: 0.1 },
  };

  test.each([
    ['a broken request', { ...good, errors: 1 }, 'answered'],
    ['a refused good token', { ...good, refused: 1 }, 'answered'],
    ['a forged token that was let through', { ...good, refused: 119 }, 'refused'],
    ['a core that others had', { ...good, foreign: 0.5 }, 'answered'],
    ['a machine that stood still most of the time', { ...good, stalled: 0.6 }, 'answered'],
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
