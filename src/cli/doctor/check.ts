import type { Settings } from '../../contracts/settings.ts';

/** What one check came to. */
export interface Finding {
  readonly result: 'ok' | 'warning' | 'fault';
  /** What was found, in a few words. */
  readonly found: string;
  /** What to do about it; null = nothing. */
  readonly todo: string | null;
}

type Findings = Finding | readonly Finding[];

/** What several checks need to know. */
export interface Patient {
  readonly settings: Settings;
  /** The Realmgate that answers on the configured admin listener; null = none does. */
  readonly running: Running | null;
  /** Process that holds the data directory; null = none does. */
  readonly holder: number | null;
}

export interface Running {
  /** Why it is not ready; empty = it is. */
  readonly problems: readonly string[];
}

/** One thing that is looked at. Whatever a check does is undone when it returns. */
export interface Check {
  /** What is looked at, as the configuration names it where it does. */
  readonly name: string;
  /** May throw, and may take longer than anybody waits: then that is what was found. */
  run(signal: AbortSignal): Findings | Promise<Findings>;
}

export function ok(found: string): Finding {
  return { result: 'ok', found, todo: null };
}

export function warning(found: string, todo: string): Finding {
  return { result: 'warning', found, todo };
}

export function fault(found: string, todo: string): Finding {
  return { result: 'fault', found, todo };
}

/** `1 port`, `2 ports`. */
export function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`;
}
