import { access, constants, stat } from 'node:fs/promises';
import { delimiter, isAbsolute, join } from 'node:path';

/** Absolute path of a command, looked up as `execvp` does, or of a path as it is; null = it cannot be run. */
export async function findProgram(command: string, path: string): Promise<string | null> {
  if (isAbsolute(command)) return (await isProgram(command)) ? command : null;
  if (command.includes('/')) return null;
  for (const folder of path.split(delimiter)) {
    const file = join(folder, command);
    if (isAbsolute(folder) && (await isProgram(file))) return file;
  }
  return null;
}

async function isProgram(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return (await stat(file)).isFile();
  } catch {
    return false;
  }
}
