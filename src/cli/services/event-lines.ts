import type { ServiceEvent } from '../../contracts/service.ts';
import { inOneLine, printable } from '../screen.ts';

/** An event in one line, without its time. */
export function eventLine({ kind, replica, message }: ServiceEvent): string {
  return inOneLine(`${kind.padEnd(12)} ${replica === null ? '' : `[${replica}] `}${message}`).trimEnd();
}

/** What else an event knows: the last lines of a log as they were, everything else as `name: value`. */
export function eventDetails({ data }: ServiceEvent): string[] {
  return Object.entries(data).flatMap(([name, value]) => {
    if (value === null || value === undefined || value === '') return [];
    if (isLines(value))
      return value.length === 0 ? [] : [`${name}:`, ...value.map((line) => `  ${printable(line)}`)];
    return [inOneLine(`${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`)];
  });
}

function isLines(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((line) => typeof line === 'string');
}
