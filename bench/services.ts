import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { thisMachine } from './support/machine.ts';
import { listing } from './services/listing.ts';
import { manyServices } from './services/many.ts';
import type { PartContext, PartResult } from './services/part.ts';
import { startTimes } from './services/start-times.ts';
import { zeroFailures } from './services/zero-failures.ts';
import { numberOption, runProgram, WrongUsage } from './support/options.ts';
import { requirementTable } from './support/requirement.ts';
import { Workspace } from './support/workspace.ts';

type Part = (context: PartContext, options: { readonly workers: number }) => Promise<PartResult>;

const PARTS: Readonly<Record<string, Part>> = {
  'zero-2': (context, { workers }) => zeroFailures(context, 2, workers),
  'zero-1': (context, { workers }) => zeroFailures(context, 1, workers),
  starts: (context, { workers }) => startTimes(context, workers),
  list: (context, { workers }) => listing(context, workers),
  many: (context, { workers }) => manyServices(context, workers),
};

const HELP = `npm run bench:services -- [options]

Runs the whole program with services of its own on this machine, and measures what is promised of them. Linux only.

  --only NAMES   only these parts, with commas:
                 zero-2, zero-1  requests that fail at a constant 200/s through a restart, an update, one that fails, a
                                 rollback, scaling and the kill -9 of a replica, with two replicas and with one
                 starts          how long a trivial service takes from the order to its first answer, and a restart
                 list            how long the list of 1,000 services takes
                 many            what 200 running services cost while nobody calls them
  --workers N    worker processes of the gateway (default 2)
  --out FOLDER   where the results go as JSON (default bench/results)

Exits 1 when something is not as promised, 64 on wrong usage.
`;

await runProgram('bench:services', async () => {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', default: Object.keys(PARTS).join(',') },
      workers: { type: 'string', default: '2' },
      out: { type: 'string', default: fileURLToPath(new URL('results', import.meta.url)) },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const names = values.only.split(',');
  const unknown = names.find((name) => !Object.hasOwn(PARTS, name));
  if (unknown !== undefined) throw new WrongUsage(`--only names no part: ${unknown}`);
  const workers = numberOption('workers', values.workers, 1, 64);
  if (!existsSync('/proc/self/smaps_rollup')) throw new Error('this needs Linux: much is read from /proc');
  return run(names, workers, values.out);
});

async function run(names: readonly string[], workers: number, out: string): Promise<number> {
  const machine = thisMachine();
  if (machine.loadAverage > 0.5) {
    say(`WARNING: other programs use this machine (load average ${machine.loadAverage.toFixed(2)})`);
  }
  const results: (PartResult & { readonly name: string })[] = [];
  for (const name of names) {
    const workspace = new Workspace();
    try {
      say(`${name} ...`);
      const result = await PARTS[name]!({ workspace, say }, { workers });
      process.stdout.write(`\n## ${result.title}\n\n${result.text.join('\n\n')}\n`);
      results.push({ name, ...result });
    } finally {
      await workspace.close();
    }
  }
  const requirements = results.flatMap((result) => result.requirements);
  process.stdout.write(`\n${requirementTable(requirements)}\n\n`);
  const date = new Date();
  const file = join(out, `services-${date.toISOString().replaceAll(':', '')}.json`);
  await mkdir(out, { recursive: true });
  const parts = results.map(({ name, title, requirements: asked, figures }) => ({
    ...{ name, title, requirements: asked, figures },
  }));
  await writeFile(file, JSON.stringify({ date, machine, parts }, null, 2));
  say(`written: ${file}`);
  return requirements.every(({ met }) => met) ? 0 : 1;
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
