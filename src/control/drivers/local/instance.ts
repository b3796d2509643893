import { randomBytes } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { identify, isAlive, type ProcessIdentity } from './proc.ts';

interface Stored {
  readonly id: string;
  readonly owner: ProcessIdentity | null;
}

/**
 * The name by which the processes of this data directory are known, also after a crash. Rejects while another
 * Realmgate uses the directory: what that one runs would pass for left behind.
 */
export async function claimInstance(dataDir: string): Promise<string> {
  const path = join(dataDir, 'local-driver.json');
  const stored = await load(path);
  const owner = stored?.owner ?? null;
  if (owner !== null && owner.pid !== process.pid && (await isAlive(owner))) {
    throw new Error(
      `The data directory is used by process ${owner.pid} already: end that, or set another dataDir`,
    );
  }
  const claimed: Stored = {
    id: stored?.id ?? randomBytes(6).toString('hex'),
    owner: await identify(process.pid),
  };
  await writeFile(`${path}.new`, JSON.stringify(claimed), { mode: 0o600, flush: true });
  await rename(`${path}.new`, path);
  return claimed.id;
}

async function load(path: string): Promise<Stored | null> {
  try {
    const stored = JSON.parse(await readFile(path, 'utf8')) as Partial<Stored>;
    if (!/^[0-9a-f]{12}$/.test(stored.id ?? '')) return null;
    return { id: stored.id!, owner: stored.owner ?? null };
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
