import { readFile } from 'node:fs/promises';
import { passwordFromEnvironment } from '../config/environment.ts';
import { Failure } from './failure.ts';
import { readPassword } from './read-password.ts';
import type { Io } from './verb.ts';

/** The password of `user`: from the file if one is named, else from REALMGATE_PASSWORD, else from standard input. */
export async function findPassword(user: string, file: string | undefined, io: Io): Promise<string> {
  if (file !== undefined) return readSecretFile(file, 'password');
  const password =
    passwordFromEnvironment() ??
    (await readPassword(
      process.stdin,
      () => io.err(`Password of ${user}: `),
      () => io.err('\n'),
    ));
  if (password === null) throw new Failure('no password was given');
  return password;
}

/** The text of a file that holds one password or token, without its last line end. */
export async function readSecretFile(file: string, what: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).replace(/\r?\n$/, '');
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException;
    throw new Failure(`the ${what} file ${file} cannot be read (${code})`);
  }
}
