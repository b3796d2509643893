import { appendFile, rename, stat } from 'node:fs/promises';

/** Bytes of a file before it becomes the older one of the two that are kept. */
const FILE_BYTES = 5 * 1024 * 1024;

/** Length of the time at the front of each line in the file: ISO 8601 in UTC, so that text order is time order. */
export const TIME_LENGTH = '2026-01-01T00:00:00.000Z'.length;

export interface LogLine {
  readonly at: string;
  readonly text: string;
}

interface Batch {
  readonly at: string;
  readonly lines: readonly string[];
}

/** The log of one replica on disk: the file at `path` and, once that was full, the one before at `path`.1. */
export class ReplicaLog {
  readonly path: string;
  readonly replica: string;
  readonly #written: (log: ReplicaLog, lines: readonly LogLine[]) => void;
  readonly #failed: (error: unknown) => void;
  #batches: Batch[] = [];
  /** Characters that wait to be written. */
  #pending = 0;
  /** Bytes in the file; null = not looked at yet. */
  #size: number | null = null;
  /** Whatever touches the file comes one after the other. */
  #last: Promise<void> = Promise.resolve();

  /** `written` is told of lines once they are in the file, in their order; `failed` when lines were lost. */
  constructor(
    path: string,
    replica: string,
    written: (log: ReplicaLog, lines: readonly LogLine[]) => void,
    failed: (error: unknown) => void,
  ) {
    this.path = path;
    this.replica = replica;
    this.#written = written;
    this.#failed = failed;
  }

  get pending(): number {
    return this.#pending;
  }

  append(lines: readonly string[]): void {
    if (lines.length === 0) return;
    for (const line of lines) this.#pending += line.length;
    const flushes = this.#batches.push({ at: new Date().toISOString(), lines }) === 1;
    if (flushes) void this.exclusive(() => this.#flush());
  }

  /** A line of the platform itself. */
  note(text: string): void {
    this.append([`[realmgate] ${text}`]);
  }

  /** Runs after all that was appended before is written, and before anything else is. Rejects as `work` does. */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.then(
      () => undefined,
      () => undefined,
    );
    return result;
  }

  /** Resolves once all that was appended is written. */
  settled(): Promise<void> {
    return this.#last;
  }

  async #flush(): Promise<void> {
    const batches = this.#batches;
    this.#batches = [];
    this.#pending = 0;
    const lines = batches.flatMap(({ at, lines }) => lines.map((text) => ({ at, text })));
    const bytes = Buffer.from(lines.map(({ at, text }) => `${at} ${text}\n`).join(''));
    try {
      this.#size ??= await sizeOf(this.path);
      if (this.#size > 0 && this.#size + bytes.length > FILE_BYTES) {
        await rename(this.path, `${this.path}.1`);
        this.#size = 0;
      }
      await appendFile(this.path, bytes, { mode: 0o600 });
      this.#size += bytes.length;
    } catch (error) {
      this.#size = null;
      this.#failed(error);
    }
    this.#written(this, lines);
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch {
    return 0; // not there yet
  }
}
