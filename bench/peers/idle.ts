import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { WebSocket } from 'ws';
import { freePort } from '../../test/support/free-port.ts';
import type { Running } from '../contenders/contender.ts';
import { inBatches } from '../support/in-batches.ts';
import { markdownTable } from '../support/markdown-table.ts';
import { proportionalBytesOf } from '../support/proc.ts';
import { RawConnection, rawRequest } from '../support/raw-connection.ts';
import { atMost } from '../support/requirement.ts';
import { newSigningKey, signMany } from '../support/tokens.ts';
import { untilAccepting } from '../support/workspace.ts';
import type { CaseContext, CaseResult } from './case.ts';
import { withContender } from './started.ts';
import { withWork } from './work.ts';

const CLIENTS = 10_000;
const SOCKETS = 4_000;

/** Distinct tokens of the clients. */
const TOKENS = 1_000;

/** How many connect at a time: no more than any gateway's backlog. */
const AT_ONCE = 200;

/** How long memory may take to come to rest, in ms. */
const REST = 3_000;

/** KiB for each connection that Realmgate may take. */
const MOST = 20;

interface Kind {
  readonly name: string;
  readonly count: number;
  /** Opens one that has been of use, and resolves to the ways to use and to close it. */
  readonly open: (port: number, token: string) => Promise<Held>;
}

interface Held {
  /** True = it was served. */
  readonly use: () => Promise<boolean>;
  readonly close: () => void;
}

const KINDS: readonly Kind[] = [
  { name: 'idle keep-alive clients', count: CLIENTS, open: openClient },
  { name: 'idle WebSockets', count: SOCKETS, open: openSocket },
];

interface Measured {
  readonly contender: string;
  readonly kind: string;
  readonly count: number;
  /** Memory of all of its processes in MiB. */
  readonly before: number;
  readonly after: number;
  /** KiB. */
  readonly each: number;
  /** Connections that were served at the end. */
  readonly served: number;
}

/** What a connection costs that is open and does nothing, and whether it still works then. */
export async function idleConnections(context: CaseContext): Promise<CaseResult> {
  checkDescriptors();
  const { workspace, cores, options, contenders, say } = context;
  const key = await newSigningKey(options.algorithm);
  const port = await freePort();
  const program = fileURLToPath(new URL('../support/echo-server.ts', import.meta.url));
  const service = await workspace.start(process.execPath, [program, String(port)], { core: cores.service });
  await untilAccepting(port, service);
  const measured: Measured[] = [];
  await withWork(context, { key, upstream: `http://127.0.0.1:${port}`, tokens: TOKENS }, async (work) => {
    const tokens = await signMany(key, work.issuer, TOKENS);
    for (const contender of contenders) {
      for (const kind of KINDS) {
        // Each kind in processes that have seen nothing of the other.
        await withContender(contender, work, key, async (running) => {
          const figures = { contender: contender.name, ...(await measure(running, kind, tokens)) };
          measured.push(figures);
          say(`${contender.name}, ${kind.count} ${kind.name}: ${figures.each.toFixed(1)} KiB each`);
        });
      }
    }
  });
  return {
    title: 'Memory of idle connections',
    how:
      `PSS of all processes of a gateway before and after ${CLIENTS} keep-alive clients, or ${SOCKETS} WebSockets, ` +
      'came and were of use once; then each of them is used once more.',
    tables: [tableOf(measured)],
    groups: KINDS.map(({ name, count }) => ({
      ...{ title: `${count} ${name}`, unit: 'KiB of memory each', digits: 1 },
      figures: measured
        .filter(({ kind }) => kind === name)
        .map(({ contender, each }) => ({ contender, value: each })),
    })),
    requirements: measured
      .filter(({ contender }) => contender === 'realmgate')
      .map(({ kind, each }) => atMost(`realmgate, ${kind}`, each, MOST, 'KiB each', 1)),
    faults: measured
      .filter(({ served, count }) => served < count)
      .map(
        ({ contender, kind, served, count }) =>
          `${contender}: ${count - served} of ${count} ${kind} not served`,
      ),
    data: { measured },
  };
}

async function measure(
  { port, workers, others }: Running,
  { name, count, open }: Kind,
  tokens: readonly string[],
): Promise<Omit<Measured, 'contender'>> {
  // What the first requests bring with them is no connection's.
  const first = await inBatches(AT_ONCE * 5, AT_ONCE, (i) => open(port, tokens[i % tokens.length]!));
  for (const held of first) held.close();
  await delay(REST);
  const before = proportionalBytesOf([...workers, ...others]);
  const held = await inBatches(count, AT_ONCE, (i) => open(port, tokens[i % tokens.length]!));
  await delay(REST);
  const after = proportionalBytesOf([...workers, ...others]);
  const used = await inBatches(count, AT_ONCE, (i) => held[i]!.use());
  for (const one of held) one.close();
  return {
    ...{ kind: name, count, before: before / 1024 ** 2, after: after / 1024 ** 2 },
    each: (after - before) / 1024 / count,
    served: used.filter(Boolean).length,
  };
}

async function openClient(port: number, token: string): Promise<Held> {
  const connection = await RawConnection.open(port);
  const request = rawRequest('/api/items/42', token);
  const use = async (): Promise<boolean> => (await connection.ask(request)) === 200;
  if (!(await use())) throw new Error('a keep-alive client was not served');
  return { use, close: () => connection.close() };
}

async function openSocket(port: number, token: string): Promise<Held> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/api/socket`, {
    perMessageDeflate: false,
    headers: { authorization: `Bearer ${token}` },
  });
  await once(socket, 'open');
  const use = async (): Promise<boolean> => {
    const word = `said at ${performance.now()}`;
    const echo = once(socket, 'message') as Promise<[Buffer]>;
    socket.send(word);
    return String((await echo)[0]) === word;
  };
  if (!(await use())) throw new Error('a WebSocket has no echo');
  return { use, close: () => socket.terminate() };
}

function checkDescriptors(): void {
  const limit = /^Max open files +\d+ +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
  const needed = Math.max(CLIENTS, 2 * SOCKETS) + 500;
  if (limit !== undefined && Number(limit) < needed) {
    throw new Error(
      `the case idle takes ${needed} open files in one process, and ${limit} are allowed: ulimit -Hn`,
    );
  }
}

function tableOf(measured: readonly Measured[]): string {
  const lines = measured.map(({ contender, kind, count, before, after, each, served }) => [
    ...[contender, kind, String(count), before.toFixed(1), after.toFixed(1), each.toFixed(1), String(served)],
  ]);
  return markdownTable(
    ['contender', 'kind', 'number', 'MiB before', 'MiB after', 'KiB each', 'served'],
    lines,
    2,
  );
}
