import { join } from 'node:path';
import { markdownTable } from '../support/markdown-table.ts';
import { inParallel } from './in-parallel.ts';
import type { PartContext, PartResult } from './part.ts';
import { ascending, quantile } from '../support/statistics.ts';
import { atMost } from '../support/requirement.ts';
import { startPlatform } from './platform.ts';
import { lightestServer } from './programs.ts';
import { makeRepository } from './repository.ts';

const SERVICES = 1_000;

/** Orders under way at a time. */
const AT_ONCE = 8;

const TIMES = 20;

const SLOWEST = 100;

/** How long the list of many services takes. Each was created over the API, and starts with its first request. */
export async function listing({ workspace, say }: PartContext, workers: number): Promise<PartResult> {
  const platform = await startPlatform(workspace, { name: 'listing', ports: 20, workers });
  const { admin } = platform;
  const repository = makeRepository(join(workspace.folder, 'listed'), lightestServer().files);
  const from = performance.now();
  await inParallel(SERVICES, AT_ONCE, async (i) => {
    const name = `listed-${i}`;
    const parameters = { 'model-name': 'small', number: String(i) };
    await admin.create({
      ...{ name, endpoint: `/listed/${i}`, path: 'run.sh', minReplicas: 0, parameters },
      git: { repository },
    });
    if (i % 100 === 99) say(`${i + 1} services`);
  });
  const creating = (performance.now() - from) / 1000;
  const seen = (await admin.list()).length;
  if (seen !== SERVICES) throw new Error(`${seen} of ${SERVICES} services are listed`);
  let bytes = 0;
  const times: number[] = [];
  for (let i = 0; i < TIMES; i++) {
    const asked = performance.now();
    bytes = await admin.rawList();
    times.push(performance.now() - asked);
  }
  await platform.stop();
  const sorted = ascending(times);
  const median = quantile(sorted, 0.5);
  return {
    title: `List of ${SERVICES} services`,
    text: [
      `Created over the API in ${creating.toFixed(1)} s, ${AT_ONCE} at a time; the answer has ${bytes} bytes.`,
      markdownTable(
        ['', 'ms'],
        [
          ['fastest', sorted[0]!.toFixed(1)],
          ['median', median.toFixed(1)],
          ['slowest', sorted.at(-1)!.toFixed(1)],
        ],
        1,
      ),
    ],
    requirements: [atMost(`the list of ${SERVICES} services, median of ${TIMES}`, median, SLOWEST, 'ms', 1)],
    figures: { services: SERVICES, creating, bytes, times },
  };
}
