import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { CONTENDERS, REFERENCE } from './contenders/all.ts';
import type { Contender, Work } from './contenders/contender.ts';
import { coldTokens } from './peers/cold-tokens.ts';
import { markdownReport, rowsOf, tableOf, thisMachine, type RunFacts } from './peers/report.ts';
import { describeContender, measureAll, measureCold } from './peers/rounds.ts';
import { CASES, prepareWorkloads } from './peers/workloads.ts';
import { findProgram } from './support/find-program.ts';
import { loadProgram } from './support/load.ts';
import { numberOption, runProgram, wordOption, WrongUsage } from './support/options.ts';
import { publishRealm } from './support/realm.ts';
import { ALGORITHMS, newSigningKey } from './support/tokens.ts';
import { startUpstream } from './support/upstream.ts';
import { Workspace } from './support/workspace.ts';

const HELP = `npm run bench:peers -- [options]

Measures the CPU time per authenticated request of Realmgate and of every other gateway that is installed, side by side
in one run: one worker on core 0, the load on core 1, and the service there or on core 3. Each is shown to answer
rightly first. Linux only.

  --case NAME        known     1,000 tokens in turn, all of them seen before (default)
                     cold      every token is new
                     hostile   random, malformed, expired, foreign and forged tokens, each by itself
                     stream    answers and uploads of 1 MiB
  --only NAMES       only these, with commas: ${CONTENDERS.map(({ name }) => name).join(', ')}
  --rounds N         measured rounds, all contenders in turn in each (default 3)
  --seconds N        length of each (default 5)
  --warmup N         seconds before the first (default 3)
  --connections N    keep-alive connections (default 64)
  --algorithm NAME   of the signatures: ${ALGORITHMS.join(', ')} (default RS256)
  --profile          profile the worker during the measured rounds, with --only realmgate: prints where its time goes,
                     and leaves a .cpuprofile in the temporary folder. The figures then include the profiler
  --out FOLDER       where results go as JSON and Markdown (default bench/results)

Exits 1 when a contender answers wrongly or a request fails, 64 on wrong usage.
`;

const ISSUER = 'http://realm.bench/auth/realms/bench';

interface Options extends ReturnType<typeof readOptions> {
  readonly contenders: readonly Contender[];
}

function readOptions(args: string[]) {
  const { values } = parseArgs({
    args,
    options: {
      case: { type: 'string', default: 'known' },
      only: { type: 'string' },
      rounds: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '5' },
      warmup: { type: 'string', default: '3' },
      connections: { type: 'string', default: '64' },
      algorithm: { type: 'string', default: 'RS256' },
      profile: { type: 'boolean', default: false },
      out: { type: 'string', default: fileURLToPath(new URL('results', import.meta.url)) },
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
  return {
    help: values.help,
    case: wordOption('case', values.case, CASES),
    wanted,
    rounds: numberOption('rounds', values.rounds, 1, 100),
    seconds: numberOption('seconds', values.seconds, 1, 600),
    warmup: numberOption('warmup', values.warmup, 0, 600),
    connections: numberOption('connections', values.connections, 1, 10_000),
    algorithm: wordOption('algorithm', values.algorithm, ALGORITHMS),
    profile: values.profile,
    out: values.out,
  };
}

await runProgram('bench:peers', async () => {
  const options = readOptions(process.argv.slice(2));
  if (options.help) {
    process.stdout.write(HELP);
    return 0;
  }
  if (!existsSync('/proc/self/stat')) throw new Error('this needs Linux: CPU time is read from /proc');
  const skipped: Record<string, string> = {};
  const contenders = options.wanted.filter((contender) => {
    const reason = whySkipped(contender, options);
    if (reason === null) return true;
    skipped[contender.name] = reason;
    say(`SKIPPED ${contender.name}: ${reason}`);
    return false;
  });
  if (contenders.length === 0) throw new Error('none of the contenders is installed');
  const workspace = new Workspace();
  try {
    return await run(workspace, { ...options, contenders }, skipped);
  } finally {
    await workspace.close();
  }
});

function whySkipped(
  { find, algorithms, checksTokens }: Contender,
  options: ReturnType<typeof readOptions>,
): string | null {
  const found = find();
  if ('missing' in found) return found.missing;
  if (!algorithms.includes(options.algorithm)) return `it knows no ${options.algorithm}`;
  if (!checksTokens && ['cold', 'hostile'].includes(options.case)) return 'it checks no tokens';
  return null;
}

async function run(workspace: Workspace, options: Options, skipped: Record<string, string>): Promise<number> {
  const machine = thisMachine();
  if (machine.loadAverage > 0.5) {
    say(
      `WARNING: other programs use this machine (load average ${machine.loadAverage.toFixed(2)}): figures are noise`,
    );
  }
  const [gatewayCore, loadCore, serviceCore] = coresToUse();
  say('signing tokens ...');
  const cold = options.case === 'cold' ? await coldTokens(options.algorithm, ISSUER) : null;
  const key = cold?.key ?? (await newSigningKey(options.algorithm));
  const workloads = await prepareWorkloads(options.case, workspace, key, ISSUER, cold);
  const upstream = await startUpstream(workspace, serviceCore);
  const realm = await publishRealm({ port: 0, issuer: ISSUER, keys: () => [key.jwk] });
  const work: Work = {
    ...{ workspace, core: gatewayCore, upstream: upstream.origin, issuer: ISSUER, realmUrl: realm.url },
    ...{ jwk: key.jwk, pem: key.pem, inspect: options.profile },
    tokens: Math.max(...workloads.map(({ tokens }) => tokens)),
  };
  const settings = { workspace, core: loadCore, connections: options.connections };
  const each = { ...options, work, key, settings, say };
  try {
    const measurements =
      options.case === 'cold' ? await measureCold(each, workloads[0]!) : await measureAll(each, workloads);
    const { case: name, algorithm, rounds, seconds, connections } = options;
    const facts: RunFacts = {
      ...{
        case: name,
        algorithm,
        rounds,
        seconds,
        connections,
        load: loadProgram(),
        upstream: upstream.kind,
      },
      contenders: Object.fromEntries(
        options.contenders.map((contender) => [contender.name, describeContender(contender)]),
      ),
      skipped,
    };
    const moves = new Map(workloads.map((workload) => [workload.name, workload.moves]));
    const rows = rowsOf(measurements, moves, REFERENCE);
    process.stdout.write(`\n${tableOf(rows, REFERENCE)}\n\n`);
    if (!options.profile) {
      const date = new Date();
      const file = join(options.out, `peers-${name}-${date.toISOString().replaceAll(':', '')}`);
      await mkdir(options.out, { recursive: true });
      await writeFile(`${file}.md`, markdownReport(facts, machine, date, rows, REFERENCE));
      await writeFile(
        `${file}.json`,
        JSON.stringify({ date, machine, ...facts, rows, measurements }, null, 2),
      );
      say(`written: ${file}.md and .json`);
    }
    const faults = rows.flatMap(({ contender, workload, faults }) =>
      faults.map((fault) => `${contender}, ${workload}: ${fault}`),
    );
    for (const fault of faults) say(`WRONG: ${fault}`);
    return faults.length === 0 ? 0 : 1;
  } finally {
    await realm.close();
  }
}

/** The gateway's core, the load's and the service's; null = not pinned. */
function coresToUse(): [number | null, number | null, number | null] {
  if (findProgram('taskset') === null) {
    say('WARNING: no taskset (package util-linux): nothing is pinned to a core');
    return [null, null, null];
  }
  if (availableParallelism() < 2) {
    say('WARNING: one core only: the gateway shares it with the load');
    return [0, 0, 0];
  }
  // What this process does, reading the gateways' logs for one, must not count against their core.
  spawnSync('taskset', ['-a', '-c', '-p', '1', String(process.pid)]);
  // With four cores the service has its own, and a second worker has core 2.
  return [0, 1, availableParallelism() < 4 ? 1 : 3];
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
