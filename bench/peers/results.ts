import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Machine } from '../support/machine.ts';
import { markdownTable } from '../support/markdown-table.ts';
import { requirementTable } from '../support/requirement.ts';
import { median } from '../support/statistics.ts';
import type { CaseResult, FigureGroup } from './case.ts';
import { svgChart } from './chart.ts';

/** One case, measured once or several times from the beginning. */
export interface CaseReport {
  readonly case: string;
  readonly date: Date;
  readonly machine: Machine;
  /** Name to description with version. */
  readonly contenders: Readonly<Record<string, string>>;
  /** Name to what is missing. */
  readonly skipped: Readonly<Record<string, string>>;
  /** At least one. */
  readonly runs: readonly CaseResult[];
}

/** The medians of the runs. */
export function mediansOf(runs: readonly CaseResult[]): FigureGroup[] {
  return runs[0]!.groups.map((group, i) => ({
    ...group,
    figures: group.figures.map(({ contender }, j) => ({
      contender,
      value: median(runs.map((run) => run.groups[i]!.figures[j]!.value)),
    })),
  }));
}

/** The figures of each run side by side; null = there is but one run. */
export function runsTable(runs: readonly CaseResult[]): string | null {
  if (runs.length === 1) return null;
  const lines = mediansOf(runs).flatMap(({ title, unit, digits, figures }, i) =>
    figures.map(({ contender, value }, j) => [
      ...[title, contender, unit],
      ...runs.map((run) => run.groups[i]!.figures[j]!.value.toFixed(digits)),
      value.toFixed(digits),
    ]),
  );
  const head = ['figure', 'contender', 'unit', ...runs.map((_, i) => `run ${i + 1}`), 'median'];
  return markdownTable(head, lines, 3);
}

/** What a person is shown of one run. */
export function textOf({ tables, requirements }: CaseResult): string {
  return [...tables, ...(requirements.length === 0 ? [] : [requirementTable(requirements)])].join('\n\n');
}

export function markdownReport(report: CaseReport): string {
  const { machine, runs, contenders, skipped } = report;
  const [{ title, how }] = runs as [CaseResult];
  const many = runsTable(runs);
  return [
    `# ${title}`,
    `${report.date.toISOString()} on ${onMachine(machine)}; load average before the run ${machine.loadAverage.toFixed(2)}.`,
    how,
    ...(many === null ? [] : [many]),
    ...runs.flatMap((run, i) => [
      ...(many === null ? [] : [`## Run ${i + 1}`]),
      textOf(run),
      ...faultList(run),
    ]),
    Object.entries(contenders)
      .map(([name, text]) => `- ${name}: ${text}`)
      .concat(Object.entries(skipped).map(([name, text]) => `- ${name}: not measured; ${text}`))
      .join('\n'),
    '',
  ].join('\n\n');
}

function faultList({ faults }: CaseResult): string[] {
  return faults.length === 0 ? [] : [faults.map((fault) => `- **${fault}**`).join('\n')];
}

function onMachine({ cpu, cores, kernel }: Machine): string {
  return `${cpu}, ${cores} cores, Linux ${kernel}`;
}

export function chartOf(report: CaseReport): string {
  const { machine, runs, contenders, date } = report;
  const [{ title, how }] = runs as [CaseResult];
  const times = runs.length === 1 ? '' : `; medians of ${runs.length} runs`;
  return svgChart({
    title: `${title} (case ${report.case})`,
    lines: [`${date.toISOString().slice(0, 10)}, ${onMachine(machine)}${times}`, ...wrapped(how)],
    groups: mediansOf(runs).map(({ title: name, unit, digits, figures }) => ({
      title: `${name}, ${unit}`,
      bars: figures.map(({ contender, value }) => ({
        ...{ label: contender, detail: contenders[contender] ?? '', value, text: value.toFixed(digits) },
        own: contender.startsWith('realmgate'),
      })),
    })),
  });
}

/** Small letters, as many as fit between the margins. */
function wrapped(text: string, width = 140): string[] {
  return text.match(new RegExp(`.{1,${width}}(?: |$)`, 'g')) ?? [];
}

/** Writes JSON, Markdown and a chart, and resolves to their name without ending. */
export async function writeReport(folder: string, name: string, report: CaseReport): Promise<string> {
  const file = join(folder, name);
  await mkdir(folder, { recursive: true });
  await writeFile(`${file}.md`, markdownReport(report));
  await writeFile(`${file}.svg`, chartOf(report));
  await writeFile(
    `${file}.json`,
    `${JSON.stringify({ ...report, figures: mediansOf(report.runs) }, null, 2)}\n`,
  );
  return file;
}
