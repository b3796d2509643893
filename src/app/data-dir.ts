import { mkdir, mkdtemp, rmdir, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { StartUpError } from './start-up-error.ts';

/** Makes the data directory where it is missing, readable by this user alone. Throws when it cannot be written. */
export async function prepareDataDir(dataDir: string): Promise<void> {
  try {
    await makeDirectory(resolve(dataDir));
    // Permissions do not tell: root may everything, and a file system may be read-only or full.
    await rmdir(await mkdtemp(join(dataDir, '.probe-')));
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    const why = WHY[code] ?? message;
    throw new StartUpError(
      `The data directory ${resolve(dataDir)} cannot be used: ${why}; set dataDir to one that can`,
    );
  }
}

const WHY: Readonly<Record<string, string>> = {
  EACCES: 'this user may not write there',
  EPERM: 'this user may not write there',
  EROFS: 'the file system is read-only',
  ENOTDIR: 'a file stands in the way',
  ENOENT: 'the file system takes no directory there',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
};

/** With its parents. `mkdir` with `recursive` would try for ever on a file system such as /proc. */
async function makeDirectory(path: string): Promise<void> {
  const options = { mode: 0o700 };
  try {
    await mkdir(path, options);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') {
      if (!(await stat(path)).isDirectory()) throw Object.assign(new Error(), { code: 'ENOTDIR' });
    } else if (code === 'ENOENT' && dirname(path) !== path) {
      await makeDirectory(dirname(path));
      await mkdir(path, options);
    } else throw error;
  }
}
