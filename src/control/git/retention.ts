import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

export interface RetentionLimits {
  /** Milliseconds without use after which a cached repository is forgotten. */
  readonly unusedFor: number;
  /** Most that all of them may take, in bytes; the one not used for longest goes first. */
  readonly bytes: number;
}

export const RETENTION: RetentionLimits = { unusedFor: 30 * 24 * 3_600_000, bytes: 20 * 1024 ** 3 };

/** What was used so recently, in ms, is kept in any case: a start may be about to need it. */
const RECENT = 3_600_000;

/** Names of the cached repositories that are to be forgotten. */
export async function toForget(
  directory: string,
  names: readonly string[],
  limits: RetentionLimits,
): Promise<string[]> {
  const now = Date.now();
  const found = await Promise.all(
    names.map(async (name) => {
      const place = join(directory, name);
      return { name, age: now - (await stat(place)).mtimeMs, bytes: await sizeOf(place) };
    }),
  );
  let total = found.reduce((sum, { bytes }) => sum + bytes, 0);
  const forgotten: string[] = [];
  for (const { name, age, bytes } of found.sort((a, b) => b.age - a.age)) {
    if (age < RECENT || (age < limits.unusedFor && total <= limits.bytes)) break;
    forgotten.push(name);
    total -= bytes;
  }
  return forgotten;
}

async function sizeOf(directory: string): Promise<number> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  // A file may go while it is looked at: git replaces what it writes.
  const sizes = files.map(({ parentPath, name }) =>
    stat(join(parentPath, name)).then(
      ({ size }) => size,
      () => 0,
    ),
  );
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}
