import type { ReplicaExit, ServiceStatus, ServiceView } from '../../contracts/service.ts';
import type { Colour } from '../screen.ts';

export const STATUS_COLOURS: Readonly<Record<ServiceStatus, Colour>> = {
  pending: 'yellow',
  starting: 'yellow',
  running: 'green',
  degraded: 'yellow',
  failed: 'red',
  cancelled: 'dim',
};

/** Ready replicas of those that there are, or should be. */
export function readiness({ replicas, minReplicas, status }: ServiceView): string {
  const ready = replicas.filter(({ state }) => state === 'ready').length;
  const all = status === 'cancelled' ? replicas.length : Math.max(replicas.length, minReplicas);
  return `${ready}/${all}`;
}

export function shortCommit(commit: string | null): string {
  return commit?.slice(0, 8) ?? '';
}

/** In the largest whole unit. */
export function age(from: string, now = Date.now()): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(from)) / 1000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 2 * 3600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 2 * 86_400) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}

export function exitText({ code, signal, reason }: ReplicaExit): string {
  const how = signal ?? (code === null ? 'ended' : `exit code ${code}`);
  return reason === null ? how : `${how}, ${reason}`;
}

/** Answer of everything that starts a service or changes one. */
export function outcome({ name, status, url, minReplicas, replicas }: ServiceView): string {
  const asleep = minReplicas === 0 && replicas.length === 0 && status !== 'failed';
  return `${name} is ${status}${asleep ? ' and starts with its first request' : ''}: ${url}\n`;
}

export function jsonText(answer: unknown): string {
  return `${JSON.stringify(answer, null, 2)}\n`;
}
