import type { Contender, Running } from '../contenders/contender.ts';
import { markdownTable } from '../support/markdown-table.ts';
import type { Requirement } from '../support/requirement.ts';
import { median } from '../support/statistics.ts';
import { newSigningKey } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';
import type { CaseContext, CaseResult } from './case.ts';
import {
  leftOut,
  pace,
  pacedFault,
  partOf,
  type PacedResult,
  saturatingRate,
  STALLS_LEFT_OUT,
} from './paced.ts';
import { startProven } from './started.ts';
import { ISSUER, withWork } from './work.ts';
import { prepareWorkloads } from './workloads.ts';

/** Realmgate's p99 to Envoy's, at most. */
const MOST = 1.5;

interface Paced {
  readonly contender: string;
  /** Requests per second that saturate it, and that it gets. */
  readonly saturating: number;
  readonly rate: number;
  readonly rounds: PacedResult[];
}

/** Latency at half of what each contender can do at most, by a schedule that does not wait for answers. */
export async function latencyAtHalf(context: CaseContext): Promise<CaseResult> {
  const { workspace, cores, options, contenders, say } = context;
  const key = await newSigningKey(options.algorithm);
  const [known] = await prepareWorkloads('known', workspace, key, ISSUER, null);
  const upstream = await startUpstream(workspace, cores.service);
  const all: Paced[] = [];
  await withWork(context, { key, upstream: upstream.origin, tokens: known!.tokens }, async (work) => {
    const started: { contender: Contender; running: Running; paced: Paced }[] = [];
    for (const contender of contenders) {
      const running = await startProven(contender, work, key);
      const saturating = await saturatingRate(context, contender, running, known!);
      say(`${contender.name}: ${saturating.toFixed(0)} requests/s at most`);
      const rate = partOf(saturating, 1 / 2, cores);
      const paced = { contender: contender.name, saturating, rate, rounds: [] };
      started.push({ contender, running, paced });
      all.push(paced);
    }
    for (let round = 1; round <= options.rounds; round++) {
      for (const { contender, running, paced } of started) {
        const { rate } = paced;
        const requests = Math.round(rate * options.seconds);
        const [result] = await pace(context, running, [{ workload: known!, rate, requests }]);
        paced.rounds.push(result!);
        const { p50, p99, max } = result!.latency;
        say(
          `round ${round}/${options.rounds}  ${contender.name}: p50 ${ms(p50)}, p99 ${ms(p99)}, max ${ms(max)} ms`,
        );
      }
    }
    for (const { running } of started) await running.stop();
  });
  return {
    title: 'Latency at half of the saturating rate',
    how:
      `Known ${options.algorithm} tokens at a constant rate, ${options.connections} connections: half of what the ` +
      `contender answers at most on its core, or what the load can send if that is less. From when a request is due, ${options.rounds} rounds of ` +
      `${options.seconds} s, medians; the slowest of all. ` +
      STALLS_LEFT_OUT,
    tables: [tableOf(all)],
    groups: (['p50', 'p99'] as const).map((name) => ({
      ...{ title: name, unit: 'ms', digits: 2 },
      figures: all.map((paced) => ({ contender: paced.contender, value: middle(paced, name) / 1000 })),
    })),
    requirements: requirementsOf(all),
    faults: all.flatMap(({ contender, rounds }) =>
      rounds
        .flatMap((result) => pacedFault(result, 'answered') ?? [])
        .map((fault) => `${contender}: ${fault}`),
    ),
    data: { all },
  };
}

function requirementsOf(all: readonly Paced[]): Requirement[] {
  const [own, envoy] = ['realmgate', 'envoy'].map((name) => all.find(({ contender }) => contender === name));
  if (own === undefined || envoy === undefined) return [];
  const ratio = middle(own, 'p99') / middle(envoy, 'p99');
  return [
    {
      what: 'p99 of realmgate to p99 of envoy, each at half of its own',
      limit: `at most ${MOST}`,
      measured: ratio.toFixed(2),
      met: ratio <= MOST,
    },
  ];
}

function middle({ rounds }: Paced, name: 'p50' | 'p99'): number {
  return median(rounds.map(({ latency }) => latency[name]));
}

function tableOf(all: readonly Paced[]): string {
  const lines = all.map((paced) => [
    paced.contender,
    paced.rate.toFixed(0),
    `${((100 * paced.rate) / paced.saturating).toFixed(0)} %`,
    ms(middle(paced, 'p50')),
    ms(middle(paced, 'p99')),
    ms(Math.max(...paced.rounds.map(({ latency }) => latency.max))),
    ms(median(paced.rounds.map(({ late }) => late.p99))),
    `${(100 * Math.max(...paced.rounds.map(({ foreign }) => foreign ?? 0))).toFixed(0)} %`,
    leftOut(paced.rounds),
  ]);
  return markdownTable(
    [
      'contender',
      'requests/s',
      'of saturating',
      'p50 ms',
      'p99 ms',
      'max ms',
      'load late, p99 ms',
      'core of others',
      'left out',
    ],
    lines,
    1,
  );
}

function ms(microseconds: number): string {
  return (microseconds / 1000).toFixed(2);
}
