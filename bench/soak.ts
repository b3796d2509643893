import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { markdownTable } from './support/markdown-table.ts';
import { soak, type SoakReport } from './soak/run.ts';
import { numberOption, runProgram } from './support/options.ts';
import { Workspace } from './support/workspace.ts';

const HELP = `npm run bench:soak -- [options]

Runs Realmgate under constant load of every kind (good, expired, forged and missing tokens, wrong roles, bodies, streams,
WebSockets) while its workers are killed, its configuration changes and its realm goes down and comes back with new keys.
Each answer is checked. Only what was under way on a killed worker may be lost. Everything stays on 127.0.0.1. Linux only.

  --minutes N        how long (default 10)
  --rate N           exchanges per second (default 300)
  --workers N        worker processes (default 2)
  --kill-every N     seconds between kills of a worker (default 20)
  --reload-every N   seconds between changes of the configuration (default 5)
  --realm-every N    seconds in which the realm is up and then down once (default 30)

Exits 1 when anything was not as it has to be, or memory grew, 64 on wrong usage.
`;

await runProgram('bench:soak', async () => {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '10' },
      rate: { type: 'string', default: '300' },
      workers: { type: 'string', default: '2' },
      'kill-every': { type: 'string', default: '20' },
      'reload-every': { type: 'string', default: '5' },
      'realm-every': { type: 'string', default: '30' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const options = {
    seconds: numberOption('minutes', values.minutes, 0.1, 24 * 60, false) * 60,
    rate: numberOption('rate', values.rate, 1, 10_000),
    workers: numberOption('workers', values.workers, 1, 64),
    every: {
      kill: numberOption('kill-every', values['kill-every'], 1, 3_600),
      reload: numberOption('reload-every', values['reload-every'], 1, 3_600),
      realm: numberOption('realm-every', values['realm-every'], 2, 3_600),
    },
  };
  if (!existsSync('/proc/self/stat')) throw new Error('this needs Linux: it reads /proc');
  const workspace = new Workspace();
  try {
    const report = await soak(workspace, { ...options, say: (line) => process.stderr.write(`${line}\n`) });
    process.stdout.write(render(report));
    return report.wrongCount === 0 ? 0 : 1;
  } finally {
    await workspace.close();
  }
});

function render({ seconds, counts, kills, reloads, realm, memory, wrong, wrongCount }: SoakReport): string {
  const kinds = [...counts].map(([name, count]) => [
    name,
    ...[count.sent, count.right, count.lost, count.wrong].map(String),
  ]);
  const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(0);
  const memories = [...memory].map(([name, { flat, level, highest, growth }]) => [
    name,
    ...[mebibytes(level), mebibytes(highest), mebibytes(growth)],
    flat === null ? 'too short to tell' : flat ? 'yes' : 'NO',
  ]);
  return `
${markdownTable(['exchange', 'sent', 'right', 'lost with a worker', 'wrong'], kinds, 1)}

${markdownTable(['memory of', 'level MiB', 'highest MiB', 'growth MiB', 'flat'], memories, 1)}

${seconds.toFixed(0)} s: ${kills} workers killed; ${reloads.applied} reloads applied, ${reloads.refused} refused; the realm started ${realm.starts} times, with ${realm.rotations} new keys.
${wrongCount === 0 ? 'Nothing was wrong.' : `${wrongCount} WRONG:\n${wrong.map((what) => `- ${what}`).join('\n')}`}
`;
}
