import type { Contender, Running } from '../contenders/contender.ts';
import { runAtRate, type RateResult } from '../support/constant-rate.ts';
import type { Cores } from '../support/cores.ts';
import type { CaseContext } from './case.ts';
import { measure } from './measure.ts';
import type { Workload } from './workloads.ts';

/** How much later than its schedule the load itself may be, p99 in microseconds, before the figures are its own. */
const LATE = 2_000;

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

/** Sends the workload at that rate, so many requests of it. */
export async function pace(
  { workspace, cores, options }: CaseContext,
  { port }: Pick<Running, 'port'>,
  { path, tokenFile }: Workload,
  rate: number,
  requests: number,
): Promise<RateResult> {
  const { connections } = options;
  return runAtRate(workspace, cores.load, { port, path, tokenFile, rate, requests, connections });
}

/** Why the figures would mean nothing; null = they are good. */
export function pacedFault(
  { sent, refused, errors, late }: RateResult,
  expect: Workload['expect'],
): string | null {
  if (errors > 0) return `${errors} requests broke`;
  if (expect === 'answered' && refused > 0) return `${refused} of ${sent} were refused`;
  if (expect === 'refused' && refused < sent) return `${sent - refused} of ${sent} were let through`;
  if (late.p99 > LATE)
    return `the load itself was late, p99 ${(late.p99 / 1000).toFixed(1)} ms: nothing is known`;
  return null;
}
