import { fileURLToPath } from 'node:url';
import { markdownTable } from '../support/markdown-table.ts';
import type { CaseContext, CaseResult } from './case.ts';

/** How long a start takes until the first request with a token is answered, and the memory at rest after it. */
export async function startAndRest(context: CaseContext): Promise<CaseResult> {
  const { contenders, options } = context;
  const { name } = contenders[0]!;
  const started = await linesOf(context, 'start.ts', String(options.rounds));
  const rested = await linesOf(context, 'memory.ts');
  const milliseconds = numberIn(started, /^authenticated +median (\d+) ms/m);
  const mebibytes = numberIn(rested, /^together +PSS ([\d.]+) MiB/m);
  return {
    title: 'Start and rest',
    how:
      'From the start of the program, with empty data, the embedded realm and the example service, to the first 200 ' +
      `for a token of the password grant, ${options.rounds} times, the median; PSS of all processes at rest after it. ` +
      'On all cores.',
    tables: [
      markdownTable(
        ['what was said'],
        `${started}\n${rested}`.split('\n').map((line) => [line]),
        1,
      ),
    ],
    groups: [
      {
        ...{ title: 'first authenticated 200', unit: 'ms', digits: 0 },
        figures: [{ contender: name, value: milliseconds }],
      },
      {
        ...{ title: 'at rest after it', unit: 'MiB of memory', digits: 1 },
        figures: [{ contender: name, value: mebibytes }],
      },
    ],
    requirements: [],
    faults: [],
    data: { milliseconds, mebibytes },
  };
}

/** What another program of the bench prints; on every core, as it is told to measure. */
async function linesOf({ workspace }: CaseContext, script: string, ...args: string[]): Promise<string> {
  const file = fileURLToPath(new URL(`../${script}`, import.meta.url));
  const lines: string[] = [];
  const program = await workspace.start(process.execPath, [file, ...args], {
    core: '0-1023',
    onLine: (line) => lines.push(line),
  });
  await new Promise((resolve) => program.child.once('close', resolve));
  if (program.child.exitCode !== 0) throw new Error(`${script} failed: ${program.errors()}`);
  return lines.join('\n');
}

function numberIn(text: string, pattern: RegExp): number {
  const found = pattern.exec(text)?.[1];
  if (found === undefined) throw new Error(`what was measured is not in: ${text}`);
  return Number(found);
}
