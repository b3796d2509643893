import { cpus, loadavg, release } from 'node:os';
import type { Measurement } from './measure.ts';

/** What a run was made of. */
export interface RunFacts {
  readonly case: string;
  readonly algorithm: string;
  readonly rounds: number;
  readonly seconds: number;
  readonly connections: number;
  readonly load: string;
  readonly upstream: string;
  /** Name to description with version. */
  readonly contenders: Readonly<Record<string, string>>;
  /** Name to what is missing. */
  readonly skipped: Readonly<Record<string, string>>;
}

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

/** The lower one of two middle values. */
function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[(values.length - 1) >> 1]!;
}

/** A Markdown table, which is readable on a terminal too. */
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

/** The first `texts` columns hold text, the others numbers. */
export function markdownTable(
  head: readonly string[],
  lines: readonly (readonly string[])[],
  texts: number,
): string {
  const widths = head.map((title, i) => Math.max(title.length, ...lines.map((line) => line[i]!.length), 3));
  const row = (cells: readonly string[]): string =>
    `| ${cells.map((cell, i) => (i < texts ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join(' | ')} |`;
  const rule = widths.map((width, i) => (i < texts ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [row(head), row(rule), ...lines.map(row)].join('\n');
}

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly kernel: string;
  readonly node: string;
  /** Of the minute before the run. */
  readonly loadAverage: number;
}

export function thisMachine(): Machine {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    kernel: release(),
    node: process.versions.node,
    loadAverage: loadavg()[0]!,
  };
}

export function markdownReport(
  facts: RunFacts,
  machine: Machine,
  date: Date,
  rows: readonly Row[],
  reference: string,
): string {
  const faults = rows.flatMap(({ contender, workload, faults }) =>
    faults.map((fault) => `- **${contender}, ${workload}: ${fault}**`),
  );
  return [
    `# CPU per authenticated request: ${facts.case}`,
    `${date.toISOString()} on ${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}; ` +
      `load average before the run ${machine.loadAverage.toFixed(2)}.`,
    `One worker on one core; ${facts.load} and the service (${facts.upstream}) on another. ` +
      `${facts.connections} keep-alive connections, Keycloak-sized ${facts.algorithm} tokens; ` +
      `${facts.rounds} rounds of ${facts.seconds} s in turn, medians.`,
    tableOf(rows, reference),
    ...(faults.length === 0 ? [] : [faults.join('\n')]),
    Object.entries(facts.contenders)
      .map(([name, text]) => `- ${name}: ${text}`)
      .concat(Object.entries(facts.skipped).map(([name, text]) => `- ${name}: not measured; ${text}`))
      .join('\n'),
    '',
  ].join('\n\n');
}
