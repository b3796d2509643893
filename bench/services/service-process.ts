import { readdirSync, readFileSync } from 'node:fs';

/** The process of a service with all of these variables whose command line begins so; null = there is none. */
export function findServiceProcess(
  command: string,
  variables: Readonly<Record<string, string>>,
): number | null {
  const wanted = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (!readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith(command)) continue;
      const environment = new Set(readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0'));
      if (wanted.every((variable) => environment.has(variable))) return Number(pid);
    } catch {
      // It has just ended, or is somebody else's.
    }
  }
  return null;
}

/** The id of a process's parent; throws when it is gone. */
export function parentOf(pid: number): number {
  return Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))![1]);
}
