import { readdir, readFile, readlink } from 'node:fs/promises';

/*
 * What Linux tells in /proc about other processes. Elsewhere, and of processes that have just ended or belong to
 * somebody else, nothing is known.
 */

/** A process that no other can be mistaken for: its id may be used again, but not with the same start time. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTime: string;
}

/** null = there is none, or it has ended and only its parent has not noticed. */
export async function identify(pid: number): Promise<ProcessIdentity | null> {
  const stat = await read(`/proc/${pid}/stat`);
  // The name, in parentheses, may hold anything. State is the first field after it, start time the twentieth.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const startTime = fields[19];
  if (startTime === undefined || (fields[0] === 'Z' && !(await hasThreads(pid)))) return null;
  return { pid, startTime };
}

/** A first thread that has ended looks as if the process had, while others still hold its files and ports. */
async function hasThreads(pid: number): Promise<boolean> {
  return (await readdir(`/proc/${pid}/task`).catch(() => [])).length > 1;
}

export async function isAlive({ pid, startTime }: ProcessIdentity): Promise<boolean> {
  return (await identify(pid))?.startTime === startTime;
}

/** Processes that were started with an environment in which `matches` finds a `NAME=value`. */
export async function processesWith(matches: (variable: string) => boolean): Promise<ProcessIdentity[]> {
  const found: ProcessIdentity[] = [];
  for (const pid of await allPids()) {
    if (pid === process.pid) continue;
    const environment = await read(`/proc/${pid}/environ`);
    if (!environment.split('\0').some(matches)) continue;
    const identity = await identify(pid);
    if (identity !== null) found.push(identity);
  }
  return found;
}

/** `process 123 (nginx)` that listens on this TCP port; null = not to be found out. */
export async function listenerOn(port: number): Promise<string | null> {
  const tables = await Promise.all(['/proc/net/tcp', '/proc/net/tcp6'].map(read));
  const inode = tables.map((table) => inodeOfListener(table, port)).find((found) => found !== null);
  if (inode === undefined) return null;
  for (const pid of await allPids()) {
    const folder = `/proc/${pid}/fd`;
    for (const fd of await readdir(folder).catch(() => [])) {
      const target = await readlink(`${folder}/${fd}`).catch(() => '');
      if (target === `socket:[${inode}]`)
        return `process ${pid} (${(await read(`/proc/${pid}/comm`)).trim()})`;
    }
  }
  return null;
}

/** State 0A of the table is LISTEN; addresses end with the port in four hexadecimal digits. */
function inodeOfListener(table: string, port: number): string | null {
  const ending = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  for (const line of table.split('\n')) {
    const fields = line.trim().split(/\s+/);
    if (fields[3] === '0A' && fields[1]?.endsWith(ending) === true) return fields[9] ?? null;
  }
  return null;
}

async function allPids(): Promise<number[]> {
  const names = await readdir('/proc').catch(() => []);
  return names.filter((name) => /^[0-9]+$/.test(name)).map(Number);
}

function read(path: string): Promise<string> {
  return readFile(path, 'latin1').catch(() => '');
}
