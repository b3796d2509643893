import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { CONTENDERS } from './contenders/all.ts';
import { describeContender, type Contender } from './contenders/contender.ts';
import type { Case, CaseResult } from './peers/case.ts';
import { CASES } from './peers/cases.ts';
import { runsTable, textOf, writeReport, type CaseReport } from './peers/results.ts';
import { coresToUse, type Cores } from './support/cores.ts';
import { thisMachine } from './support/machine.ts';
import { numberOption, runProgram, wordOption, WrongUsage } from './support/options.ts';
import { ALGORITHMS } from './support/tokens.ts';
import { Workspace } from './support/workspace.ts';

const HELP = `npm run bench:peers -- [options]

Puts Realmgate and every other gateway that is installed to the same work, side by side in one run: one worker on core
0, the load on core 1, and the service there or on core 3. Each is shown to answer rightly first. Linux only.

  --case NAME        ${CASES.map(({ name, help }) => `${name.padEnd(10)}  ${help}`).join('\n                     ')}
                     all         one after the other
  --only NAMES       only these, with commas: ${CONTENDERS.map(({ name }) => name).join(', ')}
  --runs N           the whole case so many times, everything started anew (default 1)
  --rounds N         measured rounds, all contenders in turn in each (default 3)
  --seconds N        length of each (default 5)
  --warmup N         seconds before the first (default 3)
  --connections N    keep-alive connections (default 64)
  --algorithm NAME   of the signatures: ${ALGORITHMS.join(', ')} (default RS256)
  --profile          profile the worker during the measured rounds, with --only realmgate: prints where its time goes,
                     and leaves a .cpuprofile in the temporary folder. The figures then include the profiler
  --out FOLDER       where results go as JSON, Markdown and SVG (default bench/results)
  --publish          without a date in the files' names, in the place of what was published before

Exits 1 when a contender answers wrongly or a request fails, 64 on wrong usage.
`;

type Options = ReturnType<typeof readOptions>;

function readOptions(args: string[]) {
  const { values } = parseArgs({
    args,
    options: {
      case: { type: 'string', default: 'known' },
      only: { type: 'string' },
      runs: { type: 'string', default: '1' },
      rounds: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '5' },
      warmup: { type: 'string', default: '3' },
      connections: { type: 'string', default: '64' },
      algorithm: { type: 'string', default: 'RS256' },
      profile: { type: 'boolean', default: false },
      out: { type: 'string', default: fileURLToPath(new URL('results', import.meta.url)) },
      publish: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const only = values.only?.split(',');
  const unknown = only?.find((name) => !CONTENDERS.some((contender) => contender.name === name));
  if (unknown !== undefined) throw new WrongUsage(`--only names no contender: ${unknown}`);
  const wanted = CONTENDERS.filter(({ name }) => only?.includes(name) ?? true);
  if (values.profile && !(wanted.length === 1 && wanted[0]!.name.startsWith('realmgate'))) {
    throw new WrongUsage('--profile looks at one Realmgate: add --only realmgate or --only realmgate-log');
  }
  if (values.profile && values.publish) throw new WrongUsage('--profile gives no figures to --publish');
  const chosen = wordOption('case', values.case, [...CASES.map(({ name }) => name), 'all']);
  return {
    help: values.help,
    cases: CASES.filter(({ name }) => chosen === 'all' || name === chosen),
    wanted,
    runs: numberOption('runs', values.runs, 1, 100),
    rounds: numberOption('rounds', values.rounds, 1, 100),
    seconds: numberOption('seconds', values.seconds, 1, 600),
    warmup: numberOption('warmup', values.warmup, 0, 600),
    connections: numberOption('connections', values.connections, 1, 10_000),
    algorithm: wordOption('algorithm', values.algorithm, ALGORITHMS),
    profile: values.profile,
    out: values.out,
    publish: values.publish,
  };
}

await runProgram('bench:peers', async () => {
  const options = readOptions(process.argv.slice(2));
  if (options.help) {
    process.stdout.write(HELP);
    return 0;
  }
  if (!existsSync('/proc/self/stat')) throw new Error('this needs Linux: CPU time is read from /proc');
  const cores = coresToUse(say);
  let faults = 0;
  for (const each of options.cases) faults += await runCase(each, options, cores);
  return faults === 0 ? 0 : 1;
});

/** Resolves to the number of faults. */
async function runCase(chosen: Case, options: Options, cores: Cores): Promise<number> {
  const skipped: Record<string, string> = {};
  const contenders: Contender[] = [];
  for (const contender of options.wanted) {
    // What a case is not about is no news; what is missing for it is.
    if (!chosen.contenders.includes(contender.name)) continue;
    const reason = whySkipped(contender, chosen, options);
    if (reason === null) contenders.push(contender);
    else {
      skipped[contender.name] = reason;
      say(`SKIPPED ${contender.name}: ${reason}`);
    }
  }
  if (contenders.length === 0) throw new Error(`none of the contenders of the case ${chosen.name} is there`);
  const [date, machine] = [new Date(), thisMachine()];
  if (machine.loadAverage > 0.5) {
    say(
      `WARNING: other programs use this machine (load average ${machine.loadAverage.toFixed(2)}): figures are noise`,
    );
  }
  const runs: CaseResult[] = [];
  for (let run = 1; run <= options.runs; run++) {
    say(`${chosen.name}${options.runs === 1 ? '' : `, run ${run} of ${options.runs}`}`);
    const workspace = new Workspace();
    try {
      const result = await chosen.run({ workspace, contenders, options, cores, say });
      process.stdout.write(`\n${textOf(result)}\n\n`);
      runs.push(result);
    } finally {
      await workspace.close();
    }
  }
  const many = runsTable(runs);
  if (many !== null) process.stdout.write(`${many}\n\n`);
  const described = contenders.map((contender) => [contender.name, describeContender(contender)] as const);
  const faults = runs.flatMap((result) => result.faults);
  for (const fault of faults) say(`WRONG: ${fault}`);
  const report = {
    case: chosen.name,
    date,
    machine,
    contenders: Object.fromEntries(described),
    skipped,
    runs,
  };
  await write(report, options, faults.length > 0);
  return faults.length;
}

async function write(report: CaseReport, { profile, publish, out }: Options, faulty: boolean): Promise<void> {
  if (profile) return;
  if (publish && faulty) {
    say('not published: there are faults');
    return;
  }
  const dated = publish ? '' : `-${report.date.toISOString().replaceAll(':', '')}`;
  const file = await writeReport(out, `peers-${report.case}${dated}`, report);
  say(`written: ${file}.md, .json and .svg`);
}

/** Null = it takes part. */
function whySkipped(contender: Contender, chosen: Case, { algorithm }: Options): string | null {
  const found = contender.find();
  if ('missing' in found) return found.missing;
  if (!contender.algorithms.includes(algorithm)) return `it knows no ${algorithm}`;
  if (chosen.checksTokens && !contender.checksTokens) return 'it checks no tokens';
  return null;
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
