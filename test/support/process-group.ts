import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/**
 * Whether any process of the group still runs. A process that has ended but that nobody has waited for does not
 * count: an orphan whose adopter never reaps stays in the table for ever.
 */
export function groupAlive(group: number): boolean {
  try {
    process.kill(-group, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
  return !existsSync('/proc/self/stat') || groupMembers(group).length > 0;
}

/** Sends `signal` to every process of the group; a group that is already gone is no error. */
function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/**
 * Sends `signal` and resolves when every process of the group is gone; what is left after `grace` milliseconds is
 * killed. The group's processes need not be children of this one, so there is no exit event to wait for.
 */
export async function endGroup(group: number, signal: NodeJS.Signals, grace: number): Promise<void> {
  signalGroup(group, signal);
  const deadline = Date.now() + grace;
  while (groupAlive(group)) {
    if (Date.now() > deadline) signalGroup(group, 'SIGKILL');
    await delay(20);
  }
}

/** Ids of the group's running processes, from Linux's /proc. */
export function groupMembers(group: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => runsIn(group, pid));
}

function runsIn(group: number, pid: number): boolean {
  try {
    // proc(5): `pid (comm) state ppid pgrp ...`, where comm may hold spaces and parentheses.
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state = '', , ofGroup] = text.slice(text.lastIndexOf(')') + 2).split(' ');
    if (Number(ofGroup) !== group) return false;
    // A first thread that has ended looks like a zombie while others still hold the process's files and ports.
    return !['Z', 'X'].includes(state) || readdirSync(`/proc/${pid}/task`).length > 1;
  } catch {
    return false;
  }
}
