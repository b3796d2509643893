/**
 * Memory of an idle `serve` with the embedded realm and one worker, after its first calls: `node bench/memory.ts`.
 * PSS (proc(5), smaps_rollup) shares what several processes map, such as Node itself, between them. Linux only.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { firstCall, startLikeNpmStart } from './support/first-call.ts';
import { Workspace } from './support/workspace.ts';

/** Time to come to rest, in ms. */
const REST = 5_000;

const workspace = new Workspace();
try {
  const realmgate = await startLikeNpmStart(workspace, 'idle');
  await firstCall(realmgate);
  await delay(REST);
  const processes = [
    ['primary', realmgate.program.pid],
    ...realmgate.workers().map((pid) => ['worker', pid] as const),
  ] as const;
  let sum = 0;
  for (const [name, pid] of processes) {
    const { pss, own, resident } = memoryOf(pid);
    sum += pss;
    process.stdout.write(
      `${name.padEnd(8)} PSS ${mib(pss)} MiB, of it ${mib(own)} its own data; resident ${mib(resident)} MiB\n`,
    );
  }
  process.stdout.write(`together PSS ${mib(sum)} MiB\n`);
} finally {
  await workspace.close();
}

/** In KiB. */
function memoryOf(pid: number): { pss: number; own: number; resident: number } {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const field = (name: string): number => Number(new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(text)?.[1]);
  return { pss: field('Pss'), own: field('Pss_Anon'), resident: field('Rss') };
}

function mib(kib: number): string {
  return (kib / 1024).toFixed(1);
}
