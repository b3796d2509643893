import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Contender, Running } from '../contenders/contender.ts';
import { markdownTable } from '../support/markdown-table.ts';
import { median } from '../support/statistics.ts';
import { startUpstream } from '../support/upstream.ts';
import type { CaseContext, CaseResult } from './case.ts';
import { coldTokens } from './cold-tokens.ts';
import {
  leftOut,
  type Pace,
  pace,
  pacedFault,
  type PacedResult,
  saturatingRate,
  STALLS_LEFT_OUT,
} from './paced.ts';
import { withContender } from './started.ts';
import { ISSUER, withWork } from './work.ts';
import { prepareWorkloads, type Workload } from './workloads.ts';

/** New tokens per second in the burst. */
const NEW = 2_000;

/** What goes on beside the known tokens, and how much it may lengthen their p99. */
const BESIDE = [
  { name: 'quiet', most: null },
  { name: 'new tokens', most: 3 },
  { name: 'forged tokens', most: 2 },
] as const;
type Beside = (typeof BESIDE)[number]['name'];

interface Measured {
  readonly contender: string;
  readonly beside: Beside;
  readonly rate: number;
  readonly known: PacedResult;
  readonly fault: string | null;
}

/** How much those with known tokens notice of many with new ones, and of strangers. */
export async function burst(context: CaseContext): Promise<CaseResult> {
  const { workspace, cores, options, contenders, say } = context;
  const { algorithm, rounds, seconds } = options;
  say('signing tokens ...');
  // The known ones' second of lead is one of the burst, too.
  const each = NEW * (seconds + 1);
  const { key, tokens: fresh } = await coldTokens(algorithm, ISSUER, rounds * each);
  const [known, ...hostile] = await prepareWorkloads('hostile', workspace, key, ISSUER, null);
  const forged = hostile.find(({ name }) => name === 'forged')!;
  const upstream = await startUpstream(workspace, cores.service);
  const measured: Measured[] = [];
  const tokens = known!.tokens + fresh.length;
  await withWork(context, { key, upstream: upstream.origin, tokens }, async (work) => {
    for (const contender of contenders) {
      await withContender(contender, work, key, async (running) => {
        const rate = (await saturatingRate(context, contender, running, known!)) / 4;
        for (let round = 0; round < rounds; round++) {
          const tokenFile = join(workspace.folder, `new-${round}.tokens`);
          await writeFile(tokenFile, fresh.slice(round * each, (round + 1) * each).join('\n'), {
            mode: 0o600,
          });
          const load = { 'new tokens': { ...known!, tokenFile }, 'forged tokens': forged };
          for (const { name: beside } of BESIDE) {
            const other = beside === 'quiet' ? null : load[beside];
            const one = await measure(context, contender, running, known!, other, rate);
            measured.push({ ...one, beside });
            say(
              `round ${round + 1}/${rounds}  ${contender.name}, ${beside}: p99 ${ms(one.known.latency.p99)} ms`,
            );
          }
        }
      });
    }
  });
  const p99 = (contender: string, beside: Beside): number =>
    median(
      measured
        .filter((one) => one.contender === contender && one.beside === beside)
        .map(({ known: { latency } }) => latency.p99),
    );
  const names = contenders.map(({ name }) => name);
  return {
    title: 'Latency of known tokens in a burst',
    how:
      `Known ${algorithm} tokens at a constant rate, a quarter of what saturates the contender: alone, beside ${NEW} ` +
      `new tokens a second, and beside as many forged ones as known ones. ${rounds} rounds of ${seconds} s, medians. ` +
      STALLS_LEFT_OUT,
    tables: [
      markdownTable(
        [
          'contender',
          'requests/s',
          ...BESIDE.map(({ name }) => `p99 ms, ${name}`),
          'new / quiet',
          'forged / quiet',
          'left out',
        ],
        names.map((name) => [
          name,
          measured.find(({ contender }) => contender === name)!.rate.toFixed(0),
          ...BESIDE.map(({ name: beside }) => ms(p99(name, beside))),
          ...BESIDE.slice(1).map(({ name: beside }) => (p99(name, beside) / p99(name, 'quiet')).toFixed(2)),
          leftOut(measured.filter(({ contender }) => contender === name).map(({ known }) => known)),
        ]),
        1,
      ),
    ],
    groups: BESIDE.map(({ name: beside }) => ({
      ...{
        title: `p99 of known tokens, ${beside === 'quiet' ? beside : `beside ${beside}`}`,
        unit: 'ms',
        digits: 2,
      },
      figures: names.map((contender) => ({ contender, value: p99(contender, beside) / 1000 })),
    })),
    requirements: BESIDE.filter(({ most }) => most !== null && names.includes('realmgate')).map(
      ({ name: beside, most }) => {
        const ratio = p99('realmgate', beside) / p99('realmgate', 'quiet');
        return {
          ...{ what: `realmgate, p99 beside ${beside} to quiet`, limit: `at most ${most ?? ''}` },
          ...{ measured: ratio.toFixed(2), met: ratio <= (most ?? Infinity) },
        };
      },
    ),
    faults: measured.flatMap(({ contender, beside, fault }) =>
      fault === null ? [] : [`${contender}, ${beside}: ${fault}`],
    ),
    data: { measured },
  };
}

async function measure(
  context: CaseContext,
  contender: Contender,
  running: Running,
  workload: Workload,
  beside: Workload | null,
  rate: number,
): Promise<Omit<Measured, 'beside'>> {
  const { seconds } = context.options;
  const paces: Pace[] = [{ workload, rate, requests: Math.round(rate * seconds) }];
  if (beside !== null) {
    const otherRate = beside.expect === 'refused' ? rate : NEW;
    paces.push({ workload: beside, rate: otherRate, requests: Math.round(otherRate * seconds) });
  }
  const results = await pace(context, running, paces);
  const faults = results.flatMap((result, at) => pacedFault(result, paces[at]!.workload.expect) ?? []);
  return { contender: contender.name, rate, known: results[0]!, fault: faults[0] ?? null };
}

function ms(microseconds: number): string {
  return (microseconds / 1000).toFixed(2);
}
