import { spawnSync } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Folders that hold servers and are often missing in a user's PATH. */
const SYSTEM = ['/usr/sbin', '/usr/local/sbin', '/sbin'];

/** The full path of a program on the PATH or among the system's; null = not installed. */
export function findProgram(name: string): string | null {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), ...SYSTEM];
  return (
    folders
      .filter((folder) => folder !== '')
      .map((folder) => join(folder, name))
      .find(isExecutable) ?? null
  );
}

export function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/** The first version number that the program prints with `args`; null when it prints none. */
export function versionOf(program: string, ...args: string[]): string | null {
  const { stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', timeout: 10_000 });
  return /\d+\.\d+[\w.-]*/.exec(`${stdout}\n${stderr}`)?.[0] ?? null;
}
