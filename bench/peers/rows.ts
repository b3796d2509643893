import { markdownTable } from '../support/markdown-table.ts';
import { median } from '../support/statistics.ts';
import type { FigureGroup } from './case.ts';
import type { Measurement } from './measure.ts';

/** One contender under one workload, over all rounds. Times are microseconds of CPU per request. */
export interface Row {
  readonly contender: string;
  readonly workload: string;
  /** Median of the rounds; `user` and `system` are of that round. */
  readonly cpu: number;
  readonly user: number;
  readonly system: number;
  readonly lowest: number;
  readonly highest: number;
  /** Of the processes beside the worker. */
  readonly others: number;
  /** Medians. */
  readonly requestsPerSecond: number;
  readonly p50: number;
  readonly p99: number;
  /** To the reference under the same workload; null = it was not measured. */
  readonly ratio: number | null;
  /** MB per second of one core's time; null = not what the workload is about. */
  readonly megabytesPerCpuSecond: number | null;
  readonly faults: readonly string[];
}

export function rowsOf(
  measurements: readonly Measurement[],
  moves: ReadonlyMap<string, number | null>,
  reference: string,
): Row[] {
  const groups = Map.groupBy(measurements, ({ contender, workload }) => `${contender}\n${workload}`);
  const rows = [...groups.values()].map((group) => rowOf(group, moves));
  return rows.map((row) => {
    const other = rows.find(
      ({ contender, workload }) => contender === reference && workload === row.workload,
    );
    return other === undefined ? row : { ...row, ratio: row.cpu / other.cpu };
  });
}

function rowOf(group: readonly Measurement[], moves: ReadonlyMap<string, number | null>): Row {
  const each = group
    .map(({ load, cpu, others }) => ({
      user: cpu.user / load.requests,
      system: cpu.system / load.requests,
      cpu: (cpu.user + cpu.system) / load.requests,
      others: (others.user + others.system) / load.requests,
    }))
    .sort((a, b) => a.cpu - b.cpu);
  const middle = each[(each.length - 1) >> 1]!;
  const { contender, workload } = group[0]!;
  const bytes = moves.get(workload) ?? null;
  return {
    ...{ contender, workload, ...middle },
    lowest: each[0]!.cpu,
    highest: each.at(-1)!.cpu,
    requestsPerSecond: median(group.map(({ load }) => load.requests / load.seconds)),
    p50: median(group.map(({ load }) => load.latency.p50)),
    p99: median(group.map(({ load }) => load.latency.p99)),
    ratio: null,
    megabytesPerCpuSecond: bytes === null ? null : bytes / middle.cpu,
    faults: [...new Set(group.flatMap(({ fault }) => fault ?? []))],
  };
}

/** In Markdown. */
export function tableOf(rows: readonly Row[], reference: string): string {
  const streams = rows.some(({ megabytesPerCpuSecond }) => megabytesPerCpuSecond !== null);
  const head = ['contender', 'workload', 'CPU µs/request', 'lowest–highest', 'user', 'system', 'beside it'];
  head.push(`to ${reference}`, 'requests/s', 'p50 ms', 'p99 ms', ...(streams ? ['MB per CPU s'] : []));
  const lines = rows.map((row) => [
    row.contender,
    row.workload,
    row.cpu.toFixed(1),
    `${row.lowest.toFixed(1)}–${row.highest.toFixed(1)}`,
    row.user.toFixed(1),
    row.system.toFixed(1),
    row.others.toFixed(1),
    row.ratio === null ? '' : row.ratio.toFixed(2),
    row.requestsPerSecond.toFixed(0),
    (row.p50 / 1000).toFixed(2),
    (row.p99 / 1000).toFixed(2),
    ...(streams ? [row.megabytesPerCpuSecond?.toFixed(0) ?? ''] : []),
  ]);
  return markdownTable(head, lines, 2);
}

/** For the chart: a group for each workload. */
export function groupsOf(rows: readonly Row[]): FigureGroup[] {
  return [...Map.groupBy(rows, ({ workload }) => workload)].map(([workload, some]) => ({
    ...{ title: workload, unit: 'µs of CPU per request', digits: 1 },
    figures: some.map(({ contender, cpu }) => ({ contender, value: cpu })),
  }));
}
