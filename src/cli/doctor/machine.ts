import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { GatewaySettings } from '../../contracts/settings.ts';
import { type Check, count, fault, type Finding, ok, warning } from './check.ts';

const run = promisify(execFile);

const NODE = 26;

/** Files that a worker has open beside its connections. */
const OTHERS = 64;

export function machineChecks(gateway: GatewaySettings): Check[] {
  return [
    { name: 'node', run: () => nodeVersion(process.versions.node) },
    { name: 'open files', run: async () => openFiles(await openFileLimit(), gateway) },
  ];
}

function nodeVersion(version: string): Finding {
  if (Number(version.split('.')[0]) >= NODE) return ok(version);
  return fault(`${version} is too old`, `install Node ${NODE}, or run npm ci without --omit=optional`);
}

/** `limit`: of each process; null = unlimited. A request holds two files: the client's connection and the service's. */
function openFiles(limit: number | null, { limits: { connections }, workers }: GatewaySettings): Finding {
  if (limit === null) return ok('unlimited');
  const each = Math.ceil(connections / workers);
  const needs = `${count(each, 'connection')} in each of ${count(workers, 'worker')}`;
  const todo = `run serve with \`ulimit -n ${2 * each + OTHERS}\` (systemd: LimitNOFILE), or lower gateway.limits.connections`;
  if (limit < each + OTHERS)
    return fault(`${limit} for each process are not enough for ${needs}`, `${todo}; this shell's limit counts`);
  if (limit < 2 * each + OTHERS)
    return warning(`${limit} for each process are enough for ${needs}, but not for as many to services`, todo);
  return ok(`${limit} for each process, for ${needs} and as many to services`);
} // prettier-ignore

/** Node raises the soft limit to the hard one when it starts, and so will serve. */
async function openFileLimit(): Promise<number | null> {
  const table = await readFile('/proc/self/limits', 'utf8').catch(() => null);
  const soft =
    table === null
      ? (await run('/bin/sh', ['-c', 'ulimit -H -n'])).stdout.trim()
      : /^Max open files +(\S+)/m.exec(table)?.[1];
  return soft === 'unlimited' ? null : Number(soft);
}
