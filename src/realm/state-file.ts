import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

/** A JSON file that is either the old or the new one whenever the machine stops. Readable by its owner only. */
export interface StateFile {
  /** The file's value, or null where there is none. Rejects when it cannot be read or is not JSON. */
  read(): Promise<unknown>;
  /**
   * Resolves once what `produce` returned at or after this call lies on the disk. Calls that come while one write
   * is under way share the next.
   */
  write(): Promise<void>;
  /** Resolves when no write is under way, whether or not the last one went well. */
  settled(): Promise<void>;
}

/** The end of the last write of each file. During a reload a realm's old keeper and its new one share their files. */
const lastWrites = new Map<string, Promise<void>>();

export function createStateFile(path: string, produce: () => unknown): StateFile {
  let last: Promise<void> = Promise.resolve();
  let queued: Promise<void> | null = null;
  return {
    async read() {
      try {
        return JSON.parse(await readFile(path, 'utf8')) as unknown;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
        throw error;
      }
    },
    write() {
      queued ??= last = afterLastWrite(path, () => {
        queued = null;
        return save(path, JSON.stringify(produce()));
      });
      return queued;
    },
    async settled() {
      await last.catch(() => undefined);
    },
  };
}

function afterLastWrite(path: string, write: () => Promise<void>): Promise<void> {
  const written = (lastWrites.get(path) ?? Promise.resolve()).then(write);
  lastWrites.set(
    path,
    written.catch(() => undefined),
  );
  return written;
}

async function save(path: string, text: string): Promise<void> {
  const directory = dirname(path);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  // Always the same name: writes never overlap, and what a crash left behind is overwritten.
  const draft = `${path}.tmp`;
  const file = await open(draft, 'w', 0o600);
  try {
    await file.chmod(0o600);
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(draft, path);
  const entries = await open(directory, 'r');
  try {
    await entries.sync();
  } finally {
    await entries.close();
  }
}
