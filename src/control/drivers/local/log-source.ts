import type { FileHandle } from 'node:fs/promises';
import { type LogLine, TIME_LENGTH } from './replica-log.ts';

const BLOCK = 64 * 1024;

/** A part of a file that no longer changes: what is appended later lies behind `end`. */
export interface Stretch {
  readonly file: FileHandle;
  readonly end: number;
}

/** The kept lines of one replica, oldest first, read as they are asked for. */
export class LogSource {
  readonly replica: string;
  readonly #stretches: readonly Stretch[];
  #current = 0;
  #position = 0;
  #rest: Buffer = Buffer.alloc(0);
  #lines: LogLine[] = [];
  #taken = 0;

  /** Takes over the files. The oldest stretch comes first. */
  constructor(replica: string, stretches: readonly Stretch[]) {
    this.replica = replica;
    this.#stretches = stretches;
  }

  /** Moves to the last `count` lines, or to all where there are fewer. Resolves to how many there are. */
  async seekTail(count: number): Promise<number> {
    let lines = 0;
    this.#current = this.#stretches.length;
    while (this.#current > 0 && lines < count) {
      this.#current--;
      const found = await tailOf(this.#stretches[this.#current]!, count - lines);
      this.#position = found.start;
      lines += found.lines;
    }
    return lines;
  }

  /** The next line without taking it; null = there are no more. */
  async peek(): Promise<LogLine | null> {
    while (this.#taken === this.#lines.length) {
      if (this.#current === this.#stretches.length) return null;
      await this.#read(this.#stretches[this.#current]!);
    }
    return this.#lines[this.#taken]!;
  }

  take(): void {
    this.#taken++;
  }

  async close(): Promise<void> {
    await Promise.all(this.#stretches.map(({ file }) => file.close()));
  }

  async #read({ file, end }: Stretch): Promise<void> {
    const wanted = Math.min(BLOCK, end - this.#position);
    const { bytesRead, buffer } = await file.read(Buffer.alloc(wanted), 0, wanted, this.#position);
    this.#position += bytesRead;
    const bytes = Buffer.concat([this.#rest, buffer.subarray(0, bytesRead)]);
    const whole = bytesRead === 0 ? bytes.length : bytes.lastIndexOf(0x0a) + 1;
    this.#rest = bytes.subarray(whole);
    this.#lines = linesOf(bytes.subarray(0, whole).toString());
    this.#taken = 0;
    if (bytesRead > 0) return;
    this.#current++;
    this.#position = 0;
  }
}

function linesOf(text: string): LogLine[] {
  if (text === '') return [];
  const lines = (text.endsWith('\n') ? text.slice(0, -1) : text).split('\n');
  return lines.map((line) => ({ at: line.slice(0, TIME_LENGTH), text: line.slice(TIME_LENGTH + 1) }));
}

/** Where the last `count` lines begin, looking from the end. */
async function tailOf({ file, end }: Stretch, count: number): Promise<{ start: number; lines: number }> {
  const block = Buffer.alloc(BLOCK);
  let lines = 0;
  for (let top = end; top > 0;) {
    const length = Math.min(BLOCK, top);
    const { bytesRead } = await file.read(block, 0, length, top - length);
    for (let at = bytesRead - 1; at >= 0; at--) {
      if (block[at] !== 0x0a || top - length + at === end - 1) continue; // the end of the last line begins none
      lines++;
      if (lines === count) return { start: top - length + at + 1, lines };
    }
    top -= length;
  }
  return { start: 0, lines: end > 0 ? lines + 1 : 0 };
}
