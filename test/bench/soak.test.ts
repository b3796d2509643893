import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';

import { describe, expect, onTestFinished, test } from 'vitest';

import { Client } from '../../bench/soak/exchange.ts';
import { Identities } from '../../bench/soak/identities.ts';
import { KINDS } from '../../bench/soak/kinds.ts';
import { RealmCycle } from '../../bench/soak/realm-cycle.ts';
import { CHANGING, type Changing } from '../../bench/soak/reloads.ts';
import { soak } from '../../bench/soak/run.ts';
import { Timeline } from '../../bench/soak/timeline.ts';
import { Workspace } from '../../bench/support/workspace.ts';

function workspace(): Workspace {
  const made = new Workspace();
  onTestFinished(() => made.close());
  return made;
}

describe.skipIf(!existsSync('/proc/self/stat'))('the soak', () => {
  test('finds nothing wrong while workers are killed, the configuration changes and the realm rotates', async () => {
    const report = await soak(workspace(), {
      seconds: 24,
      workers: 2,
      rate: 100,
      every: { kill: 6, reload: 2, realm: 8 },
      say: () => undefined,
    });

    expect(report.wrong).toEqual([]);
    expect(report.kills).toBeGreaterThanOrEqual(1);
    expect(report.reloads.applied).toBeGreaterThanOrEqual(1);
    expect(report.reloads.refused).toBeGreaterThanOrEqual(1);
    expect(report.realm.rotations).toBeGreaterThanOrEqual(1);
    for (const { sent, right, lost, wrong } of report.counts.values())
      expect(sent).toBe(right + lost + wrong);
    expect(report.counts.get('good token')!.right).toBeGreaterThan(0);
  }, 120_000);
});

describe('a gateway that does not do its work', () => {
  /** A gateway that gives everybody the same answer. */
  async function brokenGateway(answer: RequestListener): Promise<number> {
    const server = createServer(answer).listen(0, '127.0.0.1');
    onTestFinished(() => {
      server.close();
      server.closeAllConnections();
    });
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  }

  async function wrongKinds(port: number): Promise<string[]> {
    const realm = new RealmCycle({
      workspace: workspace(),
      issuer: 'http://realm.test',
      every: 60,
      wrong: () => undefined,
    });
    await realm.start();
    const client = new Client(port, 4);
    onTestFinished(() => client.close());
    const context = {
      client,
      identities: new Identities('http://realm.test', realm),
      changing: new Timeline<Changing>(CHANGING[0]),
    };
    const wrong: string[] = [];
    for (const { name, run } of KINDS) {
      await run(context).catch((error: unknown) => wrong.push(name + ': ' + String(error)));
    }
    return wrong.map((text) => text.split(':')[0]!);
  }

  test('is found out by every kind of exchange when it lets everybody in', async () => {
    const port = await brokenGateway((request, response) => {
      request.resume();
      response.end('{}');
    });

    expect(await wrongKinds(port)).toEqual(KINDS.map(({ name }) => name));
  });

  test('is found out by every kind of exchange when it lets nobody in', async () => {
    const port = await brokenGateway((request, response) => {
      request.resume();
      response.writeHead(401, {
        'content-type': 'application/problem+json',
        'www-authenticate': 'Bearer realm="bench"',
      });
      response.end('{"code":"token_invalid"}');
    });
    const rightlyRefused = ['foreign token', 'forged token', 'malformed token', 'WebSocket without token'];

    expect(await wrongKinds(port)).toEqual(
      KINDS.map(({ name }) => name).filter((name) => !rightlyRefused.includes(name)),
    );
  });
});
