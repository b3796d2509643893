import { rename, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { realmgateConfig } from '../contenders/realmgate.ts';
import { markdownTable } from '../support/markdown-table.ts';
import { startRealmgate, withDefaults, type Realmgate } from '../support/realmgate.ts';
import { atMost } from '../support/requirement.ts';
import { newSigningKey } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';
import type { CaseContext, CaseResult } from './case.ts';
import { leftOut, pace, pacedFault, partOf, saturatingRate, STALLS_LEFT_OUT } from './paced.ts';
import { ISSUER, withWork } from './work.ts';
import { prepareWorkloads } from './workloads.ts';

const REQUESTS = 1_000_000;

/** Milliseconds that the slowest one may take. */
const MOST = 50;

/** Seconds between reloads, between fetches of the keys, and between scrapes of the metrics. */
const EVERY = { reload: 5, refresh: 5, scrape: 2 };

interface Disturbances {
  reloads: number;
  fetches: number;
  scrapes: number;
}

/** The slowest of very many requests, with everything in between that goes on in a gateway of years. */
export async function slowestOfMany(context: CaseContext): Promise<CaseResult> {
  const { workspace, cores, options, contenders, say } = context;
  const [contender] = contenders;
  const key = await newSigningKey(options.algorithm);
  const [known] = await prepareWorkloads('known', workspace, key, ISSUER, null);
  const upstream = await startUpstream(workspace, cores.service);
  const done: Disturbances = { reloads: 0, fetches: 0, scrapes: 0 };
  const outcome = await withWork(
    context,
    { key, upstream: upstream.origin, tokens: known!.tokens, onKeys: () => done.fetches++ },
    async (work) => {
      const configOf = (routes: number): Record<string, unknown> => {
        const config = realmgateConfig({ description: '', routes }, work);
        const jwks = { refresh: `${EVERY.refresh}s` };
        return { ...config, realms: config.realms.map((realm) => ({ ...realm, jwks })) };
      };
      const realmgate = await startRealmgate(workspace, 'slowest', {
        core: work.core,
        config: configOf(1),
        onLog: (_line, event) => {
          if (event === 'reloaded') done.reloads++;
        },
      });
      const port = Number(new URL(realmgate.gatewayUrl).port);
      const running = {
        port,
        workers: realmgate.workers(),
        others: [realmgate.program.pid],
        inspectorPort: null,
        stop: () => realmgate.program.stop(),
      };
      const rate = partOf(await saturatingRate(context, contender!, running, known!), 1 / 2, cores);
      say(`${REQUESTS} requests at ${rate.toFixed(0)} a second: ${Math.round(REQUESTS / rate)} s`);
      const ending = new AbortController();
      const disturbing = Promise.all([
        repeat(EVERY.scrape, ending.signal, () => scrape(realmgate, done)),
        repeat(EVERY.reload, ending.signal, (turn) =>
          replace(realmgate.configFile, withDefaults(workspace, 'slowest', configOf(1 + (turn % 50)))),
        ),
      ]);
      const [result] = await pace(context, running, [{ workload: known!, rate, requests: REQUESTS }]);
      ending.abort();
      await disturbing;
      await realmgate.stop();
      return { rate, result: result! };
    },
  );
  const { rate, result } = outcome;
  const { p50, p99, max } = result.latency;
  const fault = pacedFault(result, 'answered');
  const quiet = Object.values(done).includes(0);
  return {
    title: 'The slowest of a million requests',
    how:
      `Known ${options.algorithm} tokens at half of the saturating rate, or what the load can send if that is less; every ${EVERY.reload} s another configuration ` +
      `is put in force, every ${EVERY.refresh} s the keys are fetched, every ${EVERY.scrape} s the metrics are read. ` +
      `All processes of the gateway share one core. ${STALLS_LEFT_OUT}`,
    tables: [
      markdownTable(
        [
          'requests',
          'requests/s',
          'p50 ms',
          'p99 ms',
          'max ms',
          'load late, max ms',
          'left out',
          'reloads',
          'key fetches',
          'scrapes',
        ],
        [
          [
            ...[
              String(result.requests),
              rate.toFixed(0),
              ms(p50),
              ms(p99),
              ms(max),
              ms(result.late.max),
              leftOut([result]),
            ],
            ...[String(done.reloads), String(done.fetches), String(done.scrapes)],
          ],
        ],
        0,
      ),
    ],
    groups: [
      {
        ...{ title: 'slowest of a million', unit: 'ms', digits: 1 },
        figures: [{ contender: contender!.name, value: max / 1000 }],
      },
    ],
    requirements: [atMost('realmgate, the slowest of a million', max / 1000, MOST, 'ms', 1)],
    faults: [
      ...(fault === null ? [] : [fault]),
      ...(quiet ? ['something of what has to disturb it did not happen'] : []),
    ],
    data: { ...outcome, done },
  };
}

async function repeat(
  seconds: number,
  signal: AbortSignal,
  act: (turn: number) => Promise<void>,
): Promise<void> {
  for (let turn = 1; ; turn++) {
    await delay(seconds * 1000, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    await act(turn);
  }
}

async function scrape({ adminUrl }: Realmgate, done: Disturbances): Promise<void> {
  const answer = await fetch(`${adminUrl}/metrics`);
  await answer.arrayBuffer();
  if (answer.status === 200) done.scrapes++;
}

async function replace(file: string, config: object): Promise<void> {
  await writeFile(`${file}.new`, JSON.stringify(config));
  await rename(`${file}.new`, file);
}

function ms(microseconds: number): string {
  return (microseconds / 1000).toFixed(2);
}
