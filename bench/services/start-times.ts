import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { markdownTable } from '../support/markdown-table.ts';
import { runsWith } from './admin-client.ts';
import type { PartContext, PartResult } from './part.ts';
import { ascending, quantile } from '../support/statistics.ts';
import { atMost } from '../support/requirement.ts';
import { type Platform, startPlatform } from './platform.ts';
import { lightestServer, NODE_SERVER, type ServerProgram } from './programs.ts';
import { makeRepository } from './repository.ts';

const TIMES = 10;

const SLOWEST_START = 2_000;
const USUAL_RESTART = 1_000;

/** Each in ms from the order on. */
interface Times {
  /** The order to create it was answered. */
  readonly created: number[];
  /** Its status was `running`. */
  readonly running: number[];
  /** A client's request, sent right after the order was answered, had its answer. */
  readonly answered: number[];
  readonly restarted: number[];
}

/** How long a trivial service takes from the order to its first answer, and to come back after a restart. */
export async function startTimes({ workspace, say }: PartContext, workers: number): Promise<PartResult> {
  const platform = await startPlatform(workspace, { name: 'starts', ports: 60, workers });
  const programs = [lightestServer(), NODE_SERVER];
  const measured: { readonly program: string; readonly times: Times }[] = [];
  for (const program of programs) {
    say(`${TIMES} starts and restarts of ${program.name}`);
    const repository = makeRepository(join(workspace.folder, program.name), program.files);
    measured.push({ program: program.name, times: await measure(platform, program, repository) });
  }
  await platform.stop();
  return {
    title: 'From the order to the answer',
    text: [
      markdownTable(
        ['program', 'from the order', 'median ms', 'slowest ms'],
        measured.flatMap(({ program, times }) =>
          Object.entries(STEPS).map(([step, what]) => {
            const sorted = ascending(times[step as keyof Times]);
            return [program, what, quantile(sorted, 0.5).toFixed(0), sorted.at(-1)!.toFixed(0)];
          }),
        ),
        2,
      ),
    ],
    requirements: measured.flatMap(({ program, times: { running, restarted } }) => [
      atMost(`${program}: create to running, slowest of ${TIMES}`, Math.max(...running), SLOWEST_START, 'ms'),
      // What is promised is that nobody notices, which the runs under load see to; this is how long it takes.
      atMost(
        `${program}: restart, median of ${TIMES}`,
        quantile(ascending(restarted), 0.5),
        USUAL_RESTART,
        'ms',
      ),
    ]),
    figures: { times: measured },
  };
}

const STEPS: Readonly<Record<keyof Times, string>> = {
  created: 'to create: answered',
  running: 'to create: running',
  answered: 'to create: first answer of the service',
  restarted: 'to restart: answered, which is when the new one serves',
};

/** The first one fetches the repository, and does not count. */
async function measure(
  { admin, token, realmgate }: Platform,
  program: ServerProgram,
  repository: string,
): Promise<Times> {
  const times: Times = { created: [], running: [], answered: [], restarted: [] };
  for (let i = 0; i <= TIMES; i++) {
    const name = `${program.name}-${i}`;
    const ordered = performance.now();
    const since = (): number => performance.now() - ordered;
    await admin.create({ name, endpoint: `/${name}`, path: 'run.sh', git: { repository } });
    const created = since();
    const [answered, running] = await Promise.all([
      call(`${realmgate.gatewayUrl}/${name}`, token).then(since),
      admin.until(name, runsWith(1)).then(since),
    ]);
    await delay(200);
    const again = performance.now();
    await admin.act(name, 'restart');
    const restarted = performance.now() - again;
    await admin.act(name, 'cancel');
    if (i === 0) continue;
    times.created.push(created);
    times.answered.push(answered);
    times.running.push(running);
    times.restarted.push(restarted);
  }
  return times;
}

async function call(url: string, token: string): Promise<void> {
  const answer = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
  const text = await answer.text();
  if (answer.status !== 200) throw new Error(`a new service answered ${answer.status}: ${text}`);
}
