import { spawnSync } from 'node:child_process';

/**
 * Puts this thread, and those that it starts from now on, before all programs of the usual kind on their core, and
 * before those of a lower `priority`, 1 to 99 (sched(7), SCHED_FIFO). False where this user may not.
 */
export function goFirst(priority: number): boolean {
  return spawnSync('chrt', ['-f', '-p', String(priority), String(process.pid)]).status === 0;
}
