import { setTimeout as delay } from 'node:timers/promises';
import { isAlive, type ProcessIdentity, processesWith } from './proc.ts';

/** What is left notices by itself that its Realmgate has ended; so long, in ms, it may take to end in order. */
const GRACE = 3_000;

/** After SIGKILL only a process that hangs in the kernel is there for so long, in ms. */
const PATIENCE = 10_000;

const LOOK = 25;

/** What a guard and what a service is marked with; `guard.sh` sets the second. */
export const GUARD_VARIABLE = 'REALMGATE_GUARD';
export const SERVICE_VARIABLE = 'REALMGATE_REPLICA';

/**
 * Ends every process of this instance, or of one run of it: TERM, then KILL after the grace. Resolves to what could not
 * be ended.
 */
export async function endMarked(marker: string, grace = GRACE): Promise<readonly ProcessIdentity[]> {
  const marks = [GUARD_VARIABLE, SERVICE_VARIABLE].map((name) => `${name}=${marker}`);
  const ours = (variable: string): boolean =>
    marks.some((mark) => variable === mark || variable.startsWith(`${mark}/`));
  let left = await processesWith(ours);
  for (const [signal, patience] of [
    ['SIGTERM', grace],
    ['SIGKILL', PATIENCE],
  ] as const) {
    const deadline = performance.now() + patience;
    let told = new Set<number>();
    while (left.length > 0 && performance.now() < deadline) {
      for (const found of left) if (!told.has(found.pid)) await send(found, signal);
      told = new Set(left.map(({ pid }) => pid));
      await delay(LOOK);
      left = await processesWith(ours); // one that was about to be forked may have come meanwhile
    }
  }
  return left;
}

/** Looks again right before: the id may belong to somebody else by now. */
async function send(found: ProcessIdentity, signal: NodeJS.Signals): Promise<void> {
  if (!(await isAlive(found))) return;
  try {
    process.kill(found.pid, signal);
  } catch {
    // It has ended.
  }
}
