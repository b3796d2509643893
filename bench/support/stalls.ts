import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { goFirst } from './real-time.ts';
import type { Workspace } from './workspace.ts';

/*
 * A virtual machine may be taken off its cores for milliseconds, several times a second: what is measured in such a
 * moment tells of the machine. A program on each core that goes before all others there wakes up every millisecond, so
 * that nothing but the machine itself can make it late, and tells when it was: `node stalls.ts` writes a line for each.
 */

/** A time in which nothing ran on one of the cores, in milliseconds of the clock that all processes share. */
export interface Stall {
  readonly from: number;
  readonly to: number;
}

/** Milliseconds between two looks at the clock. */
const GRAIN = 1;

/** From how many milliseconds too late on it is a stall. */
const LEAST = 0.5;

/** Before the load, too. */
const PRIORITY = 50;

/** What waited during a stall is worked off after it: for so many times its length latency is not what it usually is. */
const AFTERMATH = 2;

/** Milliseconds of the clock that all processes share. */
export function sharedClock(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

export interface StallWatch {
  /** Those that are known by now. */
  seen(): readonly Stall[];
  /** Ends it, with all of them. */
  stop(): Promise<readonly Stall[]>;
}

/** Begins to watch these cores. Null where this user may not put a program before all others. */
export async function watchStalls(
  workspace: Workspace,
  cores: readonly number[],
): Promise<StallWatch | null> {
  const stalls: Stall[] = [];
  const programs = await Promise.all(
    cores.map(async (core) => {
      const { promise: ready, resolve } = Promise.withResolvers<boolean>();
      const onLine = (line: string): void => {
        if (line === READY) resolve(true);
        else stalls.push(JSON.parse(line) as Stall);
      };
      const args = [fileURLToPath(import.meta.url)];
      const program = await workspace.start(process.execPath, args, { core, onLine });
      // Its last lines may come after its end.
      const closed = once(program.child, 'close').then(() => resolve(false));
      return { program, closed, ready: await ready };
    }),
  );
  const stop = async (): Promise<readonly Stall[]> => {
    await Promise.all(programs.map(({ program, closed }) => Promise.all([program.stop(), closed])));
    return stalls;
  };
  if (programs.every(({ ready }) => ready)) return { seen: () => stalls, stop };
  await stop();
  return null;
}

/** Tells whether something that lasted from `from` to `to` had to do with one of these stalls, or with what came of it. */
export function touchedBy(stalls: readonly Stall[]): (from: number, to: number) => boolean {
  const shadows: { from: number; to: number }[] = [];
  for (const { from, to } of stalls.toSorted((one, other) => one.from - other.from)) {
    const shadow = { from, to: to + (to - from) * AFTERMATH };
    const last = shadows.at(-1);
    if (last === undefined || shadow.from > last.to) shadows.push(shadow);
    else last.to = Math.max(last.to, shadow.to);
  }
  return (from, to) => {
    let [low, high] = [0, shadows.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (shadows[middle]!.to < from) low = middle + 1;
      else high = middle;
    }
    return low < shadows.length && shadows[low]!.from <= to;
  };
}

const READY = 'watching';

function watch(): void {
  if (!goFirst(PRIORITY)) return;
  const never = new Int32Array(new SharedArrayBuffer(4));
  writeSync(1, `${READY}\n`);
  for (let due = sharedClock() + GRAIN; ; due += GRAIN) {
    Atomics.wait(never, 0, 0, Math.max(0.01, due - sharedClock()));
    const now = sharedClock();
    if (now - due < LEAST) continue;
    // It may have begun right after the look before.
    writeSync(1, `${JSON.stringify({ from: due - GRAIN, to: now } satisfies Stall)}\n`);
    due = now;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) watch();
