import { fstatSync, writeSync } from 'node:fs';

/** POSIX PIPE_BUF on Linux: a write of at most so many bytes to a pipe is never mixed with another process's. */
export const ATOMIC_BYTES = 4096;

/** How long a buffered line may wait, in milliseconds. */
const FLUSH_AFTER = 150;
/** How long to wait for a reader that does not keep up, in milliseconds. */
const RETRY_AFTER = 10;
/** Chunks that come meanwhile between two tries: a try that fails makes an error, which takes 10 us. As many fill a pipe. */
const TRY_EVERY = 16;
/** What is kept for such a reader; beyond it lines are lost and counted, or a stuck reader would eat the memory. */
const MAX_PENDING_CHUNKS = 4096;
/** How long the end of the process waits for such a reader, in milliseconds. */
const EXIT_PATIENCE = 1000;

/** Takes finished lines, each with its line feed. */
export interface LineSink {
  /** At once. */
  write(line: string): void;
  /** Soon, together with others. In order with `write`. */
  buffer(line: string): void;
  /** Everything that was given, now, as far as the reader takes it within a second. Synchronous; never throws. */
  flush(): void;
}

interface Chunk {
  readonly bytes: Buffer;
  start: number;
  end: number;
}

/**
 * Writes lines to a file descriptor that other processes write to as well. Each write(2) is whole lines and at most
 * `ATOMIC_BYTES`, as long as no single line is longer, so lines never mix. Writes are synchronous: a chunk on its way
 * through the thread pool could be lost, or overtaken, when the process ends. A full non-blocking pipe (EAGAIN) or a
 * full disk delays lines; a closed one (EPIPE) discards them. Neither throws.
 */
export class LineWriter implements LineSink {
  readonly #fd: number;
  /** Oldest first; lines are added to the last one. */
  readonly #chunks: Chunk[] = [];
  #timer: NodeJS.Timeout | null = null;
  #closed = false;
  #lost = 0;

  constructor(fd: number) {
    this.#fd = fd;
  }

  write(line: string): void {
    this.buffer(line);
    // With a reader that does not keep up, the retry is already due; trying on every line would only cost.
    if (this.#chunks.length <= 1 && !this.#drain()) this.#retry();
  }

  buffer(line: string): void {
    if (this.#closed) return;
    if (this.#chunks.length >= MAX_PENDING_CHUNKS) {
      this.#lost++;
      return;
    }
    this.#append(line);
    this.#timer ??= setTimeout(() => this.#onTimer(), FLUSH_AFTER).unref();
  }

  flush(): void {
    const deadline = Date.now() + EXIT_PATIENCE;
    while (!this.#drain() && Date.now() < deadline) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_AFTER);
    }
  }

  #append(line: string): void {
    let last = this.#chunks.at(-1);
    // Three bytes is the most that one UTF-16 unit takes; only where that could be too much are they counted.
    const most = line.length * 3;
    const free = last === undefined ? 0 : ATOMIC_BYTES - last.end;
    if (last === undefined || (most > free && Buffer.byteLength(line) > free)) {
      if (this.#chunks.length <= 1 || this.#chunks.length % TRY_EVERY === 0) {
        if (!this.#drain()) this.#retry();
      }
      last = {
        bytes: Buffer.allocUnsafe(
          most > ATOMIC_BYTES ? Math.max(Buffer.byteLength(line), ATOMIC_BYTES) : ATOMIC_BYTES,
        ),
        start: 0,
        end: 0,
      };
      this.#chunks.push(last);
    }
    last.end += last.bytes.write(line, last.end);
  }

  #onTimer(): void {
    this.#timer = null;
    if (!this.#drain()) this.#retry();
  }

  #retry(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#onTimer(), RETRY_AFTER).unref();
  }

  /** Writes what the reader takes; false = something is left. */
  #drain(): boolean {
    while (this.#chunks.length > 0) {
      const chunk = this.#chunks[0]!;
      try {
        chunk.start += writeSync(this.#fd, chunk.bytes, chunk.start, chunk.end - chunk.start);
      } catch (error) {
        if (isGone(error)) {
          this.#closed = true;
          this.#chunks.length = 0;
          return true;
        }
        return false;
      }
      if (chunk.start === chunk.end) this.#chunks.shift();
    }
    if (this.#lost > 0) this.#reportLoss();
    return true;
  }

  #reportLoss(): void {
    const count = this.#lost;
    this.#lost = 0;
    this.write(
      `{"level":"warn","time":"${new Date().toISOString()}","event":"log_lines_lost","pid":${process.pid},"count":${count},"msg":"log lines were lost: standard output was not read"}\n`,
    );
  }
}

/** Nobody will ever read from there again. Everything else (EAGAIN, ENOSPC, EIO, ...) may pass. */
function isGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'EPIPE' || error.code === 'EBADF');
}

let standardOutput: LineWriter | null = null;

/** The one writer of this process's standard output, flushed when the process ends. */
export function stdoutLines(): LineWriter {
  if (standardOutput === null) {
    const writer = new LineWriter(1);
    standardOutput = writer;
    makeNonBlocking();
    process.on('exit', () => writer.flush());
  }
  return standardOutput;
}

/**
 * A blocking pipe whose reader stops would stop every request of this process. Opening `process.stdout` makes a pipe
 * non-blocking; files and terminals stay as they are.
 */
function makeNonBlocking(): void {
  try {
    const kind = fstatSync(1);
    if (!kind.isFIFO() && !kind.isSocket()) return;
  } catch {
    return; // Standard output is closed: the first write finds out.
  }
  // Nothing may crash on a closed reader, whoever else prints through the stream.
  process.stdout.on('error', () => undefined);
}
