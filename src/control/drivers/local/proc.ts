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

/** A socket that listens. */
export interface Listener {
  readonly inode: string;
  /** User whose it is. */
  readonly uid: number;
}

/** What takes connections to this TCP port of 127.0.0.1; null = nothing, or not to be found out. */
export async function listenerOn(port: number): Promise<Listener | null> {
  const tables = await Promise.all(['/proc/net/tcp', '/proc/net/tcp6'].map(read));
  const rows = tables.flatMap((table) => table.split('\n').map((line) => line.trim().split(/\s+/)));
  const ending = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  for (const address of REACHED) {
    const row = rows.find(([, local, , state]) => state === LISTEN && local === address + ending);
    const [uid, inode] = [row?.[7], row?.[9]];
    if (uid !== undefined && inode !== undefined) return { inode, uid: Number(uid) };
  }
  return null;
}

/** Addresses, as the tables have them, at which a listener gets connections to 127.0.0.1; the most specific first. */
const REACHED = [
  '0100007F',
  '0000000000000000FFFF00000100007F',
  '00000000',
  '00000000000000000000000000000000',
];

const LISTEN = '0A';

/** The first of these processes that has the socket; by default of all. null = none that this user may look at. */
export async function holderOf(
  { inode }: Listener,
  pids?: readonly number[],
): Promise<ProcessIdentity | null> {
  for (const pid of pids ?? (await allPids())) {
    const folder = `/proc/${pid}/fd`;
    for (const fd of await readdir(folder).catch(() => [])) {
      if ((await readlink(`${folder}/${fd}`).catch(() => '')) === `socket:[${inode}]`) return identify(pid);
    }
  }
  return null;
}

/** Such as `process 123 (nginx)`. */
export async function describeProcess(pid: number): Promise<string> {
  return `process ${pid} (${(await read(`/proc/${pid}/comm`)).trim()})`;
}

/** The value of a variable that a process was started with; null = it has none, or may not be looked at. */
export async function variableOf(pid: number, name: string): Promise<string | null> {
  const variables = (await read(`/proc/${pid}/environ`)).split('\0');
  return variables.find((variable) => variable.startsWith(`${name}=`))?.slice(name.length + 1) ?? null;
}

/** A process and all that it and they have started, as far as the system tells, but for what fled. */
export async function treeOf(root: number): Promise<number[]> {
  const tree = [root];
  for (const pid of tree) {
    for (const thread of await readdir(`/proc/${pid}/task`).catch(() => [])) {
      const children = (await read(`/proc/${pid}/task/${thread}/children`)).trim();
      if (children !== '') tree.push(...children.split(' ').map(Number));
    }
  }
  return tree;
}

async function allPids(): Promise<number[]> {
  const names = await readdir('/proc').catch(() => []);
  return names.filter((name) => /^[0-9]+$/.test(name)).map(Number);
}

function read(path: string): Promise<string> {
  return readFile(path, 'latin1').catch(() => '');
}
