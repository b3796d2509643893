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
  const found = await Promise.all(names.map((name) => factsOf(name, join(directory, name))));
  let total = found.reduce((sum, { bytes }) => sum + bytes, 0);
  const forgotten: string[] = [];
  for (const { name, usedAt, bytes } of found.sort((a, b) => a.usedAt - b.usedAt)) {
    const age = now - usedAt;
    if (age < RECENT || (age < limits.unusedFor && total <= limits.bytes)) break;
    forgotten.push(name);
    total -= bytes;
  }
  return forgotten;
}

interface Facts {
  readonly name: string;
  readonly usedAt: number;
  readonly bytes: number;
}

/** What goes while it is looked at, as when git replaces a file or a repository is made anew, counts as just used. */
async function factsOf(name: string, directory: string): Promise<Facts> {
  try {
    const { mtimeMs: usedAt } = await stat(directory);
    const entries = await readdir(directory, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile());
    const sizes = await Promise.all(
      files.map(async (file) => (await stat(join(file.parentPath, file.name))).size),
    );
    return { name, usedAt, bytes: sizes.reduce((sum, size) => sum + size, 0) };
  } catch {
    return { name, usedAt: Date.now(), bytes: 0 };
  }
}
