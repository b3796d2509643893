import type { Contender, Running } from '../contenders/contender.ts';
import { runLoad, type LoadResult } from '../support/load.ts';
import { cpuTime, type CpuTime } from '../support/proc.ts';
import type { Workspace } from '../support/workspace.ts';
import type { Workload } from './workloads.ts';

export interface MeasureOptions {
  readonly workspace: Workspace;
  /** The load's core; null = any. */
  readonly core: number | null;
  readonly connections: number;
  readonly seconds: number;
}

/** One workload through one contender, once. */
export interface Measurement {
  readonly contender: string;
  readonly workload: string;
  readonly load: LoadResult;
  /** CPU of the worker, in microseconds. */
  readonly cpu: CpuTime;
  /** CPU of the processes beside it, in microseconds. */
  readonly others: CpuTime;
  /** What was not as it has to be; null = nothing. */
  readonly fault: string | null;
}

/** Sends the workload for the given time, or each of its tokens once, and reads the CPU that it took. */
export async function measure(
  contender: Contender,
  running: Running,
  workload: Workload,
  { workspace, core, connections, seconds }: MeasureOptions,
): Promise<Measurement> {
  const job = {
    url: `http://127.0.0.1:${running.port}${workload.path}`,
    tokenFile: workload.tokenFile,
    method: workload.method,
    bodyBytes: workload.bodyBytes,
    connections,
    // Each token once: however long that takes, within reason.
    seconds: workload.requests === 0 ? seconds : 120,
    requests: workload.requests,
  };
  const [cpuBefore, othersBefore] = [cpuTime(running.workers), cpuTime(running.others)];
  const load = await runLoad(workspace, core, job);
  const cpu = difference(cpuTime(running.workers), cpuBefore);
  const others = difference(cpuTime(running.others), othersBefore);
  return {
    ...{ contender: contender.name, workload: workload.name, load, cpu, others },
    fault: faultOf(load, contender.checksTokens ? workload.expect : 'answered'),
  };
}

/** Why the figures would mean nothing; null = they are good. */
export function faultOf(load: LoadResult, expect: Workload['expect']): string | null {
  const { requests, refused, errors } = load;
  if (requests === 0) return 'no request was answered';
  if (errors > 0) return `${errors} connections or requests failed`;
  if (expect === 'answered' && refused > 0) return `${refused} of ${requests} were refused`;
  if (expect === 'refused' && refused < requests)
    return `${requests - refused} of ${requests} were let through`;
  return null;
}

function difference(after: CpuTime, before: CpuTime): CpuTime {
  return { user: after.user - before.user, system: after.system - before.system };
}
