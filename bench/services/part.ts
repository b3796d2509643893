import type { Workspace } from '../support/workspace.ts';

/** One thing that is asked of services, and how it came out. */
export interface Requirement {
  readonly what: string;
  readonly limit: string;
  readonly measured: string;
  readonly met: boolean;
}

/** What one part of the bench found. */
export interface PartResult {
  readonly title: string;
  /** For people: tables and lines. */
  readonly text: readonly string[];
  readonly requirements: readonly Requirement[];
  /** For programs: everything that the text says, and what it leaves out. */
  readonly figures: object;
}

export interface PartContext {
  readonly workspace: Workspace;
  /** Takes lines about the progress. */
  readonly say: (line: string) => void;
}

/** `value` and `most` in the same unit. */
export function atMost(what: string, value: number, most: number, unit: string, digits = 0): Requirement {
  return {
    what,
    limit: `at most ${most} ${unit}`,
    measured: `${value.toFixed(digits)} ${unit}`,
    met: value <= most,
  };
}

/** The value below which `share` of the sorted values lie; NaN of none. */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

export function ascending(values: readonly number[]): number[] {
  return [...values].sort((a, b) => a - b);
}
