import { markdownTable } from './markdown-table.ts';

/** One thing that is promised, and how it came out. */
export interface Requirement {
  readonly what: string;
  readonly limit: string;
  readonly measured: string;
  readonly met: boolean;
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

/** A table with a line for each, and whether it was met. */
export function requirementTable(requirements: readonly Requirement[]): string {
  const lines = requirements.map(({ what, limit, measured, met }) => [
    ...[what, limit, measured, met ? 'met' : 'MISSED'],
  ]);
  return markdownTable(['promised', 'limit', 'measured', ''], lines, 4);
}
