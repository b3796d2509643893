import { access, constants, mkdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import { StartUpError } from './start-up-error.ts';

/** Makes the data directory where it is missing, readable by this user alone. Throws when it cannot be written. */
export async function prepareDataDir(dataDir: string): Promise<void> {
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    await access(dataDir, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    const why =
      code === 'EACCES' || code === 'EPERM'
        ? 'this user may not write there'
        : code === 'EROFS'
          ? 'the file system is read-only'
          : code === 'ENOTDIR' || code === 'EEXIST'
            ? 'a file stands in the way'
            : message;
    throw new StartUpError(
      `The data directory ${resolve(dataDir)} cannot be used: ${why}; set dataDir to one that can`,
    );
  }
}
