const SIZE = 64 * 1024;

/** A read of at least this many bytes in the middle of a body means that more of the kind follow. */
const STREAMING = 32 * 1024;

/**
 * Where a connection reads into when it is not streaming. One for the process is enough: the kernel fills it right
 * before the bytes are parsed, and nothing stays in it after that.
 */
const SHARED = Buffer.allocUnsafeSlow(SIZE);

/**
 * The memory a connection reads into. While large reads follow each other it has a buffer of its own and hands it
 * on without a copy; otherwise, and as long as it is idle, it has none.
 */
export class ReadBuffer {
  /** What the next read goes into. */
  buffer = SHARED;

  /** The bytes as a buffer that nobody else writes to. */
  keep(bytes: Buffer, start: number, end: number): Buffer {
    if (bytes !== SHARED && end - start >= STREAMING) {
      if (bytes === this.buffer) this.buffer = SHARED;
      return bytes.subarray(start, end);
    }
    const copy = Buffer.allocUnsafe(end - start);
    bytes.copy(copy, 0, start, end);
    return copy;
  }

  /** After a read of `length` bytes: chooses the memory for the next one. */
  prepare(length: number, inBody: boolean): void {
    if (!inBody || length < STREAMING) {
      this.buffer = SHARED;
    } else if (this.buffer === SHARED) {
      this.buffer = Buffer.allocUnsafeSlow(SIZE);
    }
  }
}
