import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** What Linux tells in /proc (proc(5)). */

/** Clock ticks per second in /proc/PID/stat: 100 on every Linux that Node runs on. */
const TICKS = 100;

/** CPU time since the start of a process, in microseconds. */
export interface CpuTime {
  readonly user: number;
  readonly system: number;
}

/**
 * CPU time that these processes used, all of their threads together.
 *
 * The sum comes from the scheduler, in nanoseconds; only its split into user and system goes by clock ticks. A thread
 * that has ended since is missing in it. Throws when a process is gone.
 */
export function cpuTime(pids: readonly number[]): CpuTime {
  let user = 0;
  let system = 0;
  for (const pid of pids) {
    const [userTicks, systemTicks] = cpuTicks(pid);
    const byTicks = ((userTicks + systemTicks) / TICKS) * 1e6;
    const total = scheduled(pid) ?? byTicks;
    const share = byTicks === 0 ? 1 : userTicks / (userTicks + systemTicks);
    user += total * share;
    system += total * (1 - share);
  }
  return { user, system };
}

function cpuTicks(pid: number): readonly [user: number, system: number] {
  const fields = statOf(pid);
  return [Number(fields[11]), Number(fields[12])];
}

/** Microseconds since the start of the machine in which a core was not idle. What another machine took is not in it. */
export function coreTime(core: number): number {
  const line = new RegExp(`^cpu${core} (.*)$`, 'm').exec(readFileSync('/proc/stat', 'latin1'))?.[1] ?? '';
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = line.split(' ').map(Number);
  return ((user + nice + system + irq + softirq) / TICKS) * 1e6;
}

/** Null where the kernel keeps no such statistics. */
function scheduled(pid: number): number | null {
  try {
    return readdirSync(`/proc/${pid}/task`)
      .map((task) => readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'latin1'))
      .reduce((sum, text) => sum + Number(text.split(' ', 1)[0]) / 1000, 0);
  } catch {
    return null;
  }
}

/** The fields from `state` on: the name before may hold spaces and parentheses. */
function statOf(pid: number): string[] {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

/** Children of a process and theirs. */
export function descendants(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      parents.set(Number(name), Number(statOf(Number(name))[1]));
    } catch {
      // It ended meanwhile.
    }
  }
  const found: number[] = [];
  for (let generation = [pid]; generation.length > 0;) {
    generation = [...parents].filter(([, parent]) => generation.includes(parent)).map(([child]) => child);
    found.push(...generation);
  }
  return found;
}

/** The command line of a process with spaces between its words; empty when it is gone. */
export function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
}

/** Resident memory in bytes; null when the process is gone. */
export function residentBytes(pid: number): number | null {
  try {
    const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
    return kibibytes === undefined ? null : Number(kibibytes) * 1024;
  } catch {
    return null;
  }
}

/** Memory in bytes, with a share of what several processes map; null when the process is gone. */
export function proportionalBytes(pid: number): number | null {
  try {
    const kibibytes = /^Pss: +(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))?.[1];
    return kibibytes === undefined ? null : Number(kibibytes) * 1024;
  } catch {
    return null;
  }
}

/** The same of several processes together; one that is gone has none. */
export function proportionalBytesOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + (proportionalBytes(pid) ?? 0), 0);
}

/** Whether a process is there and not only waits for its parent to take note of its end. */
export function isAlive(pid: number): boolean {
  try {
    return !['Z', 'X'].includes(statOf(pid)[0] ?? 'X');
  } catch {
    return false;
  }
}

/** Client ports of the connections to `port` of 127.0.0.1 whose server side this process holds. */
export function clientPortsOf(pid: number, port: number): Set<number> {
  const inodes = new Set(
    readdirSync(`/proc/${pid}/fd`).map((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
      } catch {
        return undefined;
      }
    }),
  );
  const ports = new Set<number>();
  for (const line of readFileSync('/proc/net/tcp', 'latin1').split('\n').slice(1)) {
    const [, local = '', remote = '', , , , , , , inode = ''] = line.trim().split(/\s+/);
    if (local === `0100007F:${hexPort(port)}` && inodes.has(inode)) {
      ports.add(parseInt(remote.split(':')[1] ?? '', 16));
    }
  }
  return ports;
}

function hexPort(port: number): string {
  return port.toString(16).toUpperCase().padStart(4, '0');
}
