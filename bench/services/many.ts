import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { markdownTable } from '../support/markdown-table.ts';
import { commandLine, cpuTime, descendants, proportionalBytes } from '../support/proc.ts';
import { type AdminClient, runsWith } from './admin-client.ts';
import { inParallel } from './in-parallel.ts';
import type { PartContext, PartResult } from './part.ts';
import { atMost } from '../support/requirement.ts';
import { type Platform, startPlatform } from './platform.ts';
import { lightestServer } from './programs.ts';
import { makeRepository } from './repository.ts';

const SERVICES = 200;

/** Orders under way at a time. */
const AT_ONCE = 8;

/** ms to come to rest, and in which the idle platform is watched. */
const REST = 10_000;
const WATCH = 30_000;

const MOST_MEMORY = 100;
const MOST_CPU = 2;

const MIB = 2 ** 20;

/** What running services cost while nobody calls them. Every other one may be scaled, so that it is looked after. */
export async function manyServices({ workspace, say }: PartContext, workers: number): Promise<PartResult> {
  const options = { name: 'many', ports: SERVICES + 40, workers };
  const platform = await startPlatform(workspace, options);
  const { admin, realmgate, token } = platform;
  const repository = makeRepository(join(workspace.folder, 'one-of-many'), lightestServer().files);
  await delay(REST);
  const before = memoryOf(platform);
  const from = performance.now();
  await inParallel(SERVICES, AT_ONCE, async (i) => {
    const name = `many-${i}`;
    const maxReplicas = i % 2 === 0 ? 1 : 3;
    await admin.create({ name, endpoint: `/${name}`, path: 'run.sh', maxReplicas, git: { repository } });
  });
  const created = secondsSince(from);
  say(`${SERVICES} services created`);
  await allRun(admin);
  const running = secondsSince(from);
  say(`${SERVICES} services run`);
  for (let i = 0; i < SERVICES; i++) {
    const url = `${realmgate.gatewayUrl}/many-${i}`;
    const { status } = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
    if (status !== 200) throw new Error(`many-${i} answered ${status}`);
  }
  await delay(REST);
  const cpu = await idleCpu(platform);
  const after = memoryOf(platform);
  const stopping = performance.now();
  await platform.stop();
  const stopped = secondsSince(stopping);
  const starting = performance.now();
  const second = await startPlatform(workspace, options);
  await allRun(second.admin);
  const again = secondsSince(starting);
  await second.stop();
  return {
    title: `${SERVICES} running services, ${workers} workers`,
    text: [
      `All created after ${created.toFixed(1)} s, ${AT_ONCE} at a time, and all running after ${running.toFixed(1)} s; ` +
        `all ended ${stopped.toFixed(1)} s after SIGTERM, and running again ${again.toFixed(1)} s after the next start.`,
      markdownTable(
        ['', `PSS MiB without services`, `with ${SERVICES}`, 'idle, % of a core'],
        [
          ['primary', mib(before.primary), mib(after.primary), cpu.primary.toFixed(2)],
          ['workers', mib(before.workers), mib(after.workers), cpu.workers.toFixed(2)],
          ['guards and services', mib(before.others), mib(after.others), cpu.others.toFixed(2)],
        ],
        1,
      ),
    ],
    requirements: [
      atMost(
        `${SERVICES} services cost the primary memory`,
        (after.primary - before.primary) / MIB,
        MOST_MEMORY,
        'MiB',
        1,
      ),
      atMost(`${SERVICES} idle services cost the primary CPU`, cpu.primary, MOST_CPU, '% of a core', 2),
    ],
    figures: { services: SERVICES, created, running, stopped, again, memory: { before, after }, cpu },
  };
}

async function allRun(admin: AdminClient): Promise<void> {
  for (let i = 0; i < SERVICES; i++) await admin.until(`many-${i}`, runsWith(1));
}

function secondsSince(then: number): number {
  return (performance.now() - then) / 1000;
}

/** Of the primary, of all workers and of everything else that it runs. */
interface Parts {
  readonly primary: number;
  readonly workers: number;
  readonly others: number;
}

function processesOf({ realmgate }: Platform): { readonly [Part in keyof Parts]: readonly number[] } {
  const workers = realmgate.workers();
  const all = descendants(realmgate.program.pid);
  const others = all.filter((pid) => !workers.includes(pid) && commandLine(pid) !== '');
  return { primary: [realmgate.program.pid], workers, others };
}

/** Bytes that each part has, with its share of what several map. */
function memoryOf(platform: Platform): Parts {
  const { primary, workers, others } = processesOf(platform);
  const sum = (pids: readonly number[]): number =>
    pids.reduce((bytes, pid) => bytes + (proportionalBytes(pid) ?? 0), 0);
  return { primary: sum(primary), workers: sum(workers), others: sum(others) };
}

/** Percent of one core that each part takes. */
async function idleCpu(platform: Platform): Promise<Parts> {
  const processes = processesOf(platform);
  const used = (): Parts => ({
    primary: total(processes.primary),
    workers: total(processes.workers),
    others: total(processes.others),
  });
  const [before, from] = [used(), performance.now()];
  await delay(WATCH);
  const [after, milliseconds] = [used(), performance.now() - from];
  const percent = (part: keyof Parts): number => ((after[part] - before[part]) / (milliseconds * 1000)) * 100;
  return { primary: percent('primary'), workers: percent('workers'), others: percent('others') };
}

/** Microseconds. */
function total(pids: readonly number[]): number {
  const { user, system } = cpuTime(pids);
  return user + system;
}

function mib(bytes: number): string {
  return (bytes / MIB).toFixed(1);
}
