import type { Contender, Running } from '../contenders/contender.ts';
import { runAtRate, type RateCounts, type Spans } from '../support/constant-rate.ts';
import type { Cores } from '../support/cores.ts';
import { coreTime, cpuTime } from '../support/proc.ts';
import { touchedBy, watchStalls } from '../support/stalls.ts';
import type { CaseContext } from './case.ts';
import { measure } from './measure.ts';
import type { Workload } from './workloads.ts';

/** How much later than its schedule the load itself may be, p99 in microseconds, before the figures are its own. */
const LATE = 2_000;

/** What share of the gateway's core others may have. */
const FOREIGN = 0.1;

/** What share of the requests may be left out for stalls of the machine: what then remains is no usual moment, either. */
const MOST_STALLED = 0.5;

/** How often something is measured at most, until the machine lets it be known. */
const TRIES = 5;

/** Requests per second that the load can send on a core that it shares with the service, and still be in time. */
const MOST_SHARED = 15_000;

/** That part of the saturating rate, or what the load can do if that is less. */
export function partOf(saturating: number, part: number, { load, service }: Cores): number {
  return load === service ? Math.min(saturating * part, MOST_SHARED) : saturating * part;
}

/** Requests per second that keep the contender's core busy all the time; it is warm then. */
export async function saturatingRate(
  { workspace, cores, options }: CaseContext,
  contender: Contender,
  running: Running,
  known: Workload,
): Promise<number> {
  const { connections, warmup, seconds } = options;
  const settings = { workspace, core: cores.load, connections };
  if (warmup > 0) await measure(contender, running, known, { ...settings, seconds: warmup });
  const { load, fault } = await measure(contender, running, known, {
    ...settings,
    seconds: Math.min(seconds, 3),
  });
  if (fault !== null) throw new Error(`${contender.name}: ${fault}`);
  return load.requests / load.seconds;
}

/** Counts are of all requests, latencies of those that no stall of the machine touched. */
export interface PacedResult extends RateCounts {
  /** How many requests the latency is of. */
  readonly requests: number;
  /** What share of the counted ones was left out, for a stall of the machine. */
  readonly stalled: number;
  /** From when a request was due to its last byte, in microseconds. */
  readonly latency: Quantiles;
  /** How much too late the load itself came to look at its schedule, in microseconds. */
  readonly late: Quantiles;
  /** By what share of the time other programs had the gateway's core; null = it has none. */
  readonly foreign: number | null;
}

export interface Quantiles {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export const STALLS_LEFT_OUT =
  'Requests during a stall of the machine itself, and for twice its length after it, are left out.';

/** What share of the requests was left out, for a table. */
export function leftOut(results: readonly PacedResult[]): string {
  return `${(100 * Math.max(...results.map(({ stalled }) => stalled))).toFixed(0)} %`;
}

/** What is sent side by side. */
export interface Pace {
  readonly workload: Workload;
  /** Requests per second. */
  readonly rate: number;
  readonly requests: number;
}

/**
 * Sends each workload at its rate, so many requests of it, all of them side by side. Where the machine makes figures
 * that mean nothing it is done once more, a few times; `say` tells of it.
 */
export async function pace(
  context: CaseContext,
  running: Paced,
  paces: readonly Pace[],
): Promise<PacedResult[]> {
  for (let tries = 1; ; tries++) {
    const results = await paceOnce(context, running, paces);
    const why = results.flatMap((result) => unknown(result) ?? [])[0];
    if (why === undefined || tries === TRIES) return results;
    context.say(`once more: ${why}`);
  }
}

type Paced = Pick<Running, 'port' | 'workers' | 'others'>;

async function paceOnce(
  { workspace, cores, options }: CaseContext,
  { port, workers, others }: Paced,
  paces: readonly Pace[],
): Promise<PacedResult[]> {
  const { connections } = options;
  const { gateway, load, service } = cores;
  const foreignTime = (): number => {
    const { user, system } = cpuTime([...workers, ...others]);
    return gateway === null ? 0 : coreTime(gateway) - user - system;
  };
  const watched = new Set([gateway, load, service].filter((core) => core !== null));
  const watch = await watchStalls(workspace, [...watched]);
  const [before, startedAt] = [foreignTime(), performance.now()];
  const results = await Promise.all(
    paces.map(({ workload: { path, tokenFile }, rate, requests }) =>
      runAtRate(workspace, load, { port, path, tokenFile, rate, requests, connections }),
    ),
  );
  const share = (foreignTime() - before) / 1000 / (performance.now() - startedAt);
  const touched = touchedBy((await watch?.stop()) ?? []);
  return results.map(({ requests, looks, ...counts }) => {
    const latencies = lengths(requests, touched);
    return {
      ...counts,
      requests: latencies.length,
      stalled: 1 - latencies.length / (requests.length / 2),
      latency: quantiles(latencies),
      late: quantiles(lengths(looks, touched)),
      foreign: gateway === null ? null : Math.max(0, share),
    };
  });
}

/** Sorted, in microseconds, without those that something touched. */
function lengths(spans: Spans, touched: (from: number, to: number) => boolean): Float64Array {
  const all = new Float64Array(spans.length / 2);
  let count = 0;
  for (let at = 0; at < spans.length; at += 2) {
    const [from, to] = [spans[at]!, spans[at + 1]!];
    if (!touched(from, to)) all[count++] = (to - from) * 1000;
  }
  return all.subarray(0, count).sort();
}

function quantiles(sorted: Float64Array): Quantiles {
  const at = (part: number): number => sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] ?? NaN;
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

/** What went wrong, or why the figures mean nothing; null = they are good. */
export function pacedFault(result: PacedResult, expect: Workload['expect']): string | null {
  const { sent, refused, errors } = result;
  if (errors > 0) return `${errors} requests broke`;
  if (expect === 'answered' && refused > 0) return `${refused} of ${sent} were refused`;
  if (expect === 'refused' && refused < sent) return `${sent - refused} of ${sent} were let through`;
  return unknown(result);
}

/** Why the figures mean nothing, which is never the gateway's fault. */
function unknown({ requests, late, foreign, stalled }: PacedResult): string | null {
  if (stalled > MOST_STALLED) {
    const share = (stalled * 100).toFixed(0);
    return `the machine stood still in ${share} % of all requests, ${requests} are left: nothing is known`;
  }
  if (late.p99 > LATE)
    return `the load itself was late, p99 ${(late.p99 / 1000).toFixed(1)} ms: nothing is known`;
  if (foreign !== null && foreign > FOREIGN) {
    return `other programs had the gateway's core for ${(foreign * 100).toFixed(0)} % of the time: nothing is known`;
  }
  return null;
}
