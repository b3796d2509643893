import type { ServiceEvent } from '../../contracts/service.ts';
import { inOneLine, printable } from '../screen.ts';

/** An event of a service in one line, without its time. */
export function eventLine({ kind, replica, message }: ServiceEvent, serviceId: string): string {
  const who = replica === null ? '' : `[${shortReplica(replica, serviceId)}] `;
  return inOneLine(`${kind.padEnd(12)} ${who}${message}`).trimEnd();
}

/** Where a replica's id begins with that of its service, the rest of it. */
export function shortReplica(id: string, serviceId: string): string {
  return id.startsWith(`${serviceId}-`) ? id.slice(serviceId.length + 1) : id;
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
