import { execFile } from 'node:child_process';
import { constants, open } from 'node:fs';
import { mkdir, readdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const openFile = promisify(open);

/** Removes a directory with whatever a service has put into it. A process of its own: it may be a million files. */
export async function removeTree(directory: string): Promise<void> {
  if (await isGone(directory)) return;
  try {
    await run('rm', ['-rf', '--', directory]);
  } catch {
    await run('chmod', ['-R', 'u+rwX', '--', directory]).catch(() => undefined); // folders that forbid it
    await run('rm', ['-rf', '--', directory]);
  }
}

/** Where there is nothing to remove, or an empty directory, no process has to be forked, which takes milliseconds. */
async function isGone(directory: string): Promise<boolean> {
  try {
    await rmdir(directory);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}

/** Removes all that is in a directory, and makes it where it is missing. */
export async function emptyDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  for (const name of await readdir(directory)) await removeTree(join(directory, name));
}

/** Descriptors of the two ends of a pipe. Whoever takes one has to close it. */
export interface Pipe {
  readonly reader: number;
  readonly writer: number;
}

/**
 * A pipe for the output of a run. The sockets that Node would make instead cannot be opened again by a program that
 * writes to /dev/stdout or /dev/stderr.
 */
export async function makePipe(directory: string): Promise<Pipe> {
  const path = join(directory, 'output');
  await run('mkfifo', ['-m', '600', '--', path]);
  // Opened the other way round, or blocking, each end would wait for the other.
  const reader = await openFile(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return { reader, writer: await openFile(path, constants.O_WRONLY) };
  } finally {
    await rm(path);
  }
}
