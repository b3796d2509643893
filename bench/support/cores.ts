import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { findProgram } from './find-program.ts';

/** How many cores there are, before this process keeps to one of them. */
export const CORES = availableParallelism();

/** Which core does what; null = any. */
export interface Cores {
  readonly gateway: number | null;
  readonly load: number | null;
  readonly service: number | null;
}

/** Chooses, and moves this process away from the gateway's core. */
export function coresToUse(warn: (line: string) => void): Cores {
  if (findProgram('taskset') === null) {
    warn('WARNING: no taskset (package util-linux): nothing is pinned to a core');
    return { gateway: null, load: null, service: null };
  }
  if (CORES < 2) {
    warn('WARNING: one core only: the gateway shares it with the load');
    return { gateway: 0, load: 0, service: 0 };
  }
  // What this process does, reading the gateways' logs for one, must not count against their core.
  spawnSync('taskset', ['-a', '-c', '-p', '1', String(process.pid)]);
  // With four cores the service has its own, and a second worker has core 2.
  return { gateway: 0, load: 1, service: CORES < 4 ? 1 : 3 };
}
