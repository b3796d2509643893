import type { LogLine, ReplicaLog } from './replica-log.ts';

/** Characters that may wait for a reader. */
const MOST_WAITING = 1024 * 1024;

interface Followed extends LogLine {
  readonly replica: string;
}

/** New lines for one reader. What a slow reader does not take in time is skipped, and it is told how much. */
export class Follower {
  readonly #replica: string | null;
  #lines: Followed[] = [];
  #waiting = 0;
  #skipped = 0;
  #wake: (() => void) | null = null;

  /** null = all replicas. */
  constructor(replica: string | null) {
    this.#replica = replica;
  }

  push(log: ReplicaLog, lines: readonly LogLine[]): void {
    const { replica } = log;
    if (this.#replica !== null && this.#replica !== replica) return;
    for (const line of lines) {
      if (this.#waiting > MOST_WAITING) {
        this.#skipped++;
        continue;
      }
      this.#waiting += line.text.length + 1;
      this.#lines.push({ ...line, replica });
    }
    this.#wake?.();
  }

  /** Forgets what came of this log: the reader gets it in another way. */
  drop(log: ReplicaLog): void {
    this.#lines = this.#lines.filter(({ replica }) => replica !== log.replica);
    this.#waiting = this.#lines.reduce((sum, { text }) => sum + text.length + 1, 0);
  }

  /** All that has come, once something has or the signal has aborted. */
  async next(signal: AbortSignal): Promise<Followed[]> {
    while (this.#lines.length === 0 && !signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<undefined>();
      const wake = (): void => resolve(undefined);
      this.#wake = wake;
      signal.addEventListener('abort', wake, { once: true });
      await promise;
      signal.removeEventListener('abort', wake);
    }
    this.#wake = null;
    const lines = this.#lines;
    const last = lines.at(-1);
    if (this.#skipped > 0 && last !== undefined) {
      const { at, replica } = last;
      const text = `[realmgate] ${this.#skipped} lines were skipped here: this reader is too slow`;
      lines.push({ at, replica, text });
    }
    this.#lines = [];
    this.#waiting = 0;
    this.#skipped = 0;
    return lines;
  }
}
