import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { Losses } from '../../bench/services/losses.ts';
import { type Attempt, OpenLoop } from '../../bench/services/open-loop.ts';
import { broken, summarize } from '../../bench/services/phases.ts';

function attempt(about: Partial<Attempt>): Attempt {
  return {
    ...{ id: 'bench-1', kind: 'GET', safe: true, dueAt: 1000, sentAt: 1000, doneAt: 1010 },
    ...{ fault: '502 upstream_unreachable', version: null, instance: null },
    ...about,
  };
}

function reset(requestId: string, upstream: string, kind = 'reset'): string {
  return JSON.stringify({
    ...{ level: 'warn', requestId, upstream, kind },
    ...{ detail: 'closed', msg: 'An upstream failed' },
  });
}

/** Losses after the kill of a replica at 1,000 to 1,020 ms, which had read `bench-read`. */
function lossesOfKill(): Losses {
  const arrivals = mkdtempSync(join(tmpdir(), 'realmgate-losses-'));
  onTestFinished(() => rmSync(arrivals, { recursive: true }));
  writeFileSync(join(arrivals, '2001-a'), 'bench-0\nbench-read\n');
  const losses = new Losses(arrivals);
  losses.killed({ instance: '2001-a', at: 1000, deadAt: 1020 });
  return losses;
}

describe('what the kill of a replica excuses', () => {
  test('a request that it had read', () => {
    const losses = lossesOfKill();

    expect(losses.verdict(attempt({ id: 'bench-read', sentAt: 990 }))).toBe('in flight');
    expect(losses.verdict(attempt({ id: 'bench-read', sentAt: 900, doneAt: 950 }))).toBe('wrong');
  });

  test('one that was sent to it, and may not be sent twice', () => {
    const losses = lossesOfKill();
    for (const id of ['bench-1', 'bench-2', 'bench-3', 'bench-4']) {
      losses.log(reset(id, 'http://127.0.0.1:2001'));
    }

    expect(losses.verdict(attempt({ id: 'bench-1', safe: false, sentAt: 1030 }))).toBe('unread');
    // A new connection that the dying replica's port still took.
    expect(losses.verdict(attempt({ id: 'bench-2', sentAt: 1010, doneAt: 1025 }))).toBe('unread');
    // By then there was nothing that could have taken it.
    expect(losses.verdict(attempt({ id: 'bench-3', sentAt: 1030, doneAt: 1035 }))).toBe('wrong');
    expect(losses.verdict(attempt({ id: 'bench-4', safe: false, sentAt: 1200, doneAt: 1210 }))).toBe('wrong');
  });

  test('none that went to another replica, or was never sent', () => {
    const losses = lossesOfKill();
    losses.log(reset('bench-1', 'http://127.0.0.1:2002'));
    losses.log(reset('bench-2', 'http://127.0.0.1:2001', 'unreachable'));

    for (const id of ['bench-1', 'bench-2', 'bench-3']) {
      expect(losses.verdict(attempt({ id, safe: false })), id).toBe('wrong');
    }
  });
});

describe('a phase', () => {
  const phase = { name: 'restart', from: 1000, to: 2000, took: 300 };

  test('is told by the requests that were due in it, and by the longest time without a good answer', () => {
    const good = (dueAt: number, doneAt: number): Attempt =>
      attempt({ id: `bench-${dueAt}`, dueAt, sentAt: dueAt, doneAt, fault: null });
    const attempts = [
      ...[good(900, 1010), good(1100, 1110), good(1200, 1600), good(1300, 1950)],
      attempt({ dueAt: 1700, sentAt: 1700, doneAt: 1701 }),
    ];

    const summary = summarize(phase, attempts, lossesOfKill());

    expect(summary).toMatchObject({ requests: 4, failures: { inFlight: 0, unread: 0, wrong: 1 }, gap: 490 });
    expect(summary.latency.max).toBe(650);
    expect(summary.wrong).toHaveLength(1);
  });

  test('has rules about who may answer what was sent in it', () => {
    const answered = (sentAt: number, version: string): Attempt =>
      attempt({
        id: `bench-${sentAt}`,
        sentAt,
        doneAt: sentAt + 10,
        fault: null,
        version,
        instance: '2001-a',
      });
    const attempts = [answered(1490, '1'), answered(1501, '1'), answered(1502, '2'), answered(1995, '3')];
    const rules = [
      {
        ...{ what: 'after update', from: 1500, to: 2000 },
        holds: ({ version }: Attempt) => version === '2',
      },
    ];

    expect(broken(rules, attempts)).toEqual([expect.stringContaining('bench-1501, sent 1.0 ms later')]);
  });
});

describe('the load', () => {
  /** What is wrong with the answers of a server, by kind of request. */
  async function faultsOf(listener: RequestListener, enough: number): Promise<Attempt[]> {
    const server = createServer(listener);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const load = new OpenLoop({ url, token: 'secret', rate: 200 });
    await vi.waitFor(() => expect(load.attempts.length).toBeGreaterThanOrEqual(enough), 10_000);
    server.closeAllConnections();
    await load.stop();
    return load.attempts;
  }

  test('finds nothing wrong with a service that answers what it is asked', async () => {
    const seen = new Set<string>();
    const attempts = await faultsOf((request, response) => {
      let bytes = 0;
      seen.add(
        `${request.method} ${String(request.headers.connection)} ${String(request.headers['content-length'])}`,
      );
      expect(request.headers.authorization).toBe('Bearer secret');
      request.on('data', (piece: Buffer) => (bytes += piece.length));
      request.on('end', () =>
        response.end(
          JSON.stringify({ id: request.headers['x-request-id'], bytes, version: '1', instance: 'a' }),
        ),
      );
    }, 24);

    expect(attempts.slice(0, 24).map(({ fault }) => fault)).toEqual(Array(24).fill(null));
    expect([...seen].sort()).toEqual([
      'GET close undefined',
      'GET keep-alive undefined',
      'POST close 2000',
      'POST keep-alive 300',
      'POST keep-alive undefined',
    ]);
  });

  test('tells refusals, answers to something else and broken connections', async () => {
    let turn = 0;
    const attempts = await faultsOf((request, response) => {
      request.resume();
      turn++;
      if (turn % 3 === 0) request.socket.destroy();
      else if (turn % 3 === 1) response.writeHead(503).end('{"code":"service_unavailable"}');
      else response.end('{"id":"another","bytes":0}');
    }, 12);

    expect(attempts.every(({ fault }) => fault !== null)).toBe(true);
    expect(new Set(attempts.map(({ fault }) => fault!.split(':')[0]))).toEqual(
      new Set(['503 service_unavailable', 'an answer to something else', 'broken']),
    );
  });

  test('does not wait for answers', async () => {
    let open = 0;
    const waiting: (() => void)[] = [];
    const attempts = await faultsOf((request, response) => {
      request.resume();
      open++;
      waiting.push(() => response.writeHead(503).end('{}'));
      if (open === 30) for (const answer of waiting) answer();
      if (open > 30) response.writeHead(503).end('{}');
    }, 30);

    expect(attempts.length).toBeGreaterThanOrEqual(30);
  });
});
