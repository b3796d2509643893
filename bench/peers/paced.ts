import type { Contender, Running } from '../contenders/contender.ts';
import { runAtRate, type RateResult } from '../support/constant-rate.ts';
import type { Cores } from '../support/cores.ts';
import { coreTime, cpuTime } from '../support/proc.ts';
import type { CaseContext } from './case.ts';
import { measure } from './measure.ts';
import type { Workload } from './workloads.ts';

/** How much later than its schedule the load itself may be, p99 in microseconds, before the figures are its own. */
const LATE = 2_000;

/** What share of the gateway's core others may have. */
const FOREIGN = 0.1;

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

/** What was measured, and by what share of the time other programs had the gateway's core; null = it has none. */
export interface PacedResult extends RateResult {
  readonly foreign: number | null;
}

/** Sends the workload at that rate, so many requests of it. */
export async function pace(
  { workspace, cores, options }: CaseContext,
  { port, workers, others }: Pick<Running, 'port' | 'workers' | 'others'>,
  { path, tokenFile }: Workload,
  rate: number,
  requests: number,
): Promise<PacedResult> {
  const { connections } = options;
  const { gateway, load } = cores;
  const foreignTime = (): number => {
    const { user, system } = cpuTime([...workers, ...others]);
    return gateway === null ? 0 : coreTime(gateway) - user - system;
  };
  const [before, startedAt] = [foreignTime(), performance.now()];
  const result = await runAtRate(workspace, load, { port, path, tokenFile, rate, requests, connections });
  const share = (foreignTime() - before) / 1000 / (performance.now() - startedAt);
  return { ...result, foreign: gateway === null ? null : Math.max(0, share) };
}

/** Why the figures would mean nothing; null = they are good. */
export function pacedFault(result: PacedResult, expect: Workload['expect']): string | null {
  const { sent, refused, errors, late, foreign } = result;
  if (errors > 0) return `${errors} requests broke`;
  if (expect === 'answered' && refused > 0) return `${refused} of ${sent} were refused`;
  if (expect === 'refused' && refused < sent) return `${sent - refused} of ${sent} were let through`;
  if (late.p99 > LATE)
    return `the load itself was late, p99 ${(late.p99 / 1000).toFixed(1)} ms: nothing is known`;
  if (foreign !== null && foreign > FOREIGN) {
    return `other programs had the gateway's core for ${(foreign * 100).toFixed(0)} % of the time: nothing is known`;
  }
  return null;
}
