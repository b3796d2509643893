import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Contender, Running, Work } from '../contenders/contender.ts';
import { markdownTable } from '../support/markdown-table.ts';
import { proportionalBytesOf } from '../support/proc.ts';
import { rawRequest } from '../support/raw-connection.ts';
import { atMost, type Requirement } from '../support/requirement.ts';
import { newSigningKey, signMany, type SigningKey } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';
import { STREAM_BYTES } from '../support/upstream-server.ts';
import type { CaseContext, CaseResult } from './case.ts';
import { measure } from './measure.ts';
import { withContender } from './started.ts';
import { ISSUER, withWork } from './work.ts';
import { prepareWorkloads, type Workload } from './workloads.ts';

const MIB = 1024 ** 2;

/** Distinct tokens, and the bytes that a worker's cache of them may take. */
const TOKENS = 100_000;
const CACHE_BOUND = 64 * MIB;

/** Bytes that go through in all, half of them each way, and by how many MiB memory may be larger at the end. */
const STREAMED = 10 * 1024 * MIB;
const FLAT = 64;

/** Clients that ask for a lot and read nothing, and how many MiB each of them may hold. */
const READERS = 50;
const READER_BOUND = 1;

/** How long memory may take to come to rest, in ms, and how often it is looked at meanwhile. */
const REST = 3_000;
const EVERY = 200;

const PARTS = [
  { name: 'tokens', title: `after ${TOKENS} distinct tokens`, unit: 'MiB more' },
  { name: 'streamed', title: 'at most while 10 GiB stream through', unit: 'MiB more' },
  { name: 'reader', title: 'each client that reads nothing', unit: 'MiB more' },
] as const;

/** MiB. */
interface Growth {
  readonly contender: string;
  readonly part: (typeof PARTS)[number]['name'];
  readonly value: number;
  /** Of the cache of tokens, where the gateway tells: its entries and bytes. */
  readonly cache: { readonly entries: number; readonly bytes: number } | null;
}

/** What many tokens, long streams and slow readers take of memory. */
export async function memoryGrowth(context: CaseContext): Promise<CaseResult> {
  const { workspace, cores, contenders, say } = context;
  const key = await newSigningKey('ES256');
  say('signing tokens ...');
  const distinct = join(workspace.folder, 'distinct.tokens');
  const tokens = await signMany(key, ISSUER, TOKENS);
  await writeFile(distinct, tokens.join('\n'), { mode: 0o600 });
  const [known] = await prepareWorkloads('known', workspace, key, ISSUER, null);
  const streams = await prepareWorkloads('stream', workspace, key, ISSUER, null);
  const upstream = await startUpstream(workspace, cores.service);
  const growths: Growth[] = [];
  const faults: string[] = [];
  await withWork(context, { key, upstream: upstream.origin, tokens: TOKENS }, async (work) => {
    for (const contender of contenders) {
      const each = { context, contender, work, key, faults };
      const cached = { ...known!, tokenFile: distinct, requests: TOKENS };
      if (contender.checksTokens) growths.push(await tokensIn(each, known!, cached));
      growths.push(await streamedThrough(each, streams), await slowReaders(each, streams[0]!, tokens[0]!));
      const own = growths.filter((growth) => growth.contender === contender.name);
      say(`${contender.name}: ${own.map(({ part, value }) => `${part} ${value.toFixed(1)} MiB`).join(', ')}`);
    }
  });
  return {
    title: 'Growth of memory',
    how:
      `PSS of all processes, ES256 tokens. Before each: a new start and some requests of the same kind. ` +
      `${READERS} clients that ask for much and read nothing.`,
    tables: [tableOf(growths)],
    groups: PARTS.map(({ name, title, unit }) => ({
      ...{ title, unit, digits: 1 },
      figures: growths
        .filter(({ part }) => part === name)
        .map(({ contender, value }) => ({ contender, value })),
    })),
    requirements: growths.filter(({ contender }) => contender === 'realmgate').map(requirementOf),
    faults,
    data: { growths },
  };
}

interface Each {
  readonly context: CaseContext;
  readonly contender: Contender;
  readonly work: Work;
  readonly key: SigningKey;
  readonly faults: string[];
}

async function tokensIn(each: Each, known: Workload, distinct: Workload): Promise<Growth> {
  const { contender, work, key } = each;
  return withContender(contender, work, key, async (running) => {
    await send(each, running, known, 2);
    const before = await rested(running);
    await send(each, running, distinct, 0);
    const value = ((await rested(running)) - before) / MIB;
    return { contender: contender.name, part: 'tokens', value, cache: await cacheOf(running) };
  });
}

async function streamedThrough(each: Each, streams: readonly Workload[]): Promise<Growth> {
  const { contender, work, key } = each;
  return withContender(contender, work, key, async (running) => {
    for (const workload of streams) await send(each, running, workload, 1);
    const before = await rested(running);
    let most = before;
    const watch = setInterval(() => (most = Math.max(most, bytesOf(running))), EVERY);
    const requests = STREAMED / STREAM_BYTES / streams.length;
    for (const workload of streams) await send(each, running, { ...workload, requests }, 0);
    clearInterval(watch);
    return { contender: contender.name, part: 'streamed', value: (most - before) / MIB, cache: null };
  });
}

async function slowReaders(each: Each, download: Workload, token: string): Promise<Growth> {
  const { contender, work, key } = each;
  return withContender(contender, work, key, async (running) => {
    await send(each, running, download, 1);
    const before = await rested(running);
    // A socket that nobody listens to reads no further than its first buffer.
    const sockets = Array.from({ length: READERS }, () => connect(running.port, '127.0.0.1'));
    for (const socket of sockets) socket.write(rawRequest('/api/large', token));
    const value = ((await rested(running)) - before) / MIB / READERS;
    for (const socket of sockets) {
      if (socket.readableLength === 0) each.faults.push(`${contender.name}: a slow reader got nothing`);
      socket.destroy();
    }
    return { contender: contender.name, part: 'reader', value, cache: null };
  });
}

async function send(each: Each, running: Running, workload: Workload, seconds: number): Promise<void> {
  const { contender, context, faults } = each;
  const { workspace, cores, options } = context;
  const settings = { workspace, core: cores.load, connections: options.connections, seconds };
  const { fault } = await measure(contender, running, workload, settings);
  if (fault !== null) faults.push(`${contender.name}, ${workload.name}: ${fault}`);
}

function bytesOf({ workers, others }: Running): number {
  return proportionalBytesOf([...workers, ...others]);
}

async function rested(running: Running): Promise<number> {
  await delay(REST);
  return bytesOf(running);
}

async function cacheOf({ adminUrl }: Running): Promise<Growth['cache']> {
  if (adminUrl === undefined) return null;
  const text = await (await fetch(`${adminUrl}/metrics`)).text();
  const gauge = (name: string): number => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
  return { entries: gauge('realmgate_token_cache_entries'), bytes: gauge('realmgate_token_cache_bytes') };
}

function requirementOf({ part, value, cache }: Growth): Requirement {
  switch (part) {
    case 'tokens':
      return atMost(
        `realmgate, bytes of its cache after ${TOKENS} distinct tokens`,
        (cache?.bytes ?? NaN) / MIB,
        CACHE_BOUND / MIB,
        'MiB',
        1,
      );
    case 'streamed':
      return atMost('realmgate, more memory while 10 GiB stream through', value, FLAT, 'MiB', 1);
    case 'reader':
      return atMost('realmgate, held for a client that reads nothing', value, READER_BOUND, 'MiB', 2);
  }
}

function tableOf(growths: readonly Growth[]): string {
  const lines = growths.map(({ contender, part, value, cache }) => [
    ...[contender, PARTS.find(({ name }) => name === part)!.title, value.toFixed(2)],
    ...(cache === null ? ['', ''] : [String(cache.entries), (cache.bytes / MIB).toFixed(1)]),
  ]);
  return markdownTable(['contender', 'when', 'MiB more', 'tokens cached', 'MiB of cache'], lines, 2);
}
