import { bodyPassed } from './body-garbage.ts';

/** The more one read and one write move, the fewer there are: a stream takes 0.86 of the CPU that it takes with 64 KiB. */
const SIZE = 256 * 1024;

/** A read of at least this many bytes in the middle of a body means that more of the kind follow. */
const STREAMING = 32 * 1024;
/** So many smaller ones in a row mean that no more do. */
const MOST_SMALL = 16;

/**
 * Where a connection reads into when it is not streaming. One for the process is enough: the kernel fills it right
 * before the bytes are parsed, and nothing stays in it after that.
 */
const SHARED = Buffer.allocUnsafeSlow(SIZE);

/**
 * Buffers that nobody uses. The kernel has to find and clear the pages of a new one, and those of one in use are in the
 * processor's cache: a stream takes 0.74 of the CPU that it took with a new buffer for each read.
 */
const spare: Buffer<ArrayBuffer>[] = [];
const MOST_SPARE = 16;

/**
 * The memory a connection reads into. While large reads follow each other it has a buffer of its own and hands it
 * on without a copy; otherwise, and as long as it is idle, it has none.
 */
export class ReadBuffer {
  /** What the next read goes into. */
  buffer: Buffer<ArrayBuffer> = SHARED;
  /** A receiver was given a part of `buffer`. */
  #lent = false;
  /** Reads in a row that a buffer of its own was too large for. */
  #small = 0;

  /** The bytes as a buffer that nobody else writes to. */
  keep(bytes: Buffer, start: number, end: number): Buffer {
    const piece = this.lend(bytes, start, end);
    this.giveAway();
    return piece;
  }

  /** The bytes as a buffer that is good until the next read, unless `giveAway` says that it is still needed then. */
  lend(bytes: Buffer, start: number, end: number): Buffer {
    if (bytes !== SHARED && end - start >= STREAMING) {
      this.#lent = bytes === this.buffer;
      return bytes.subarray(start, end);
    }
    bodyPassed(end - start);
    const copy = Buffer.allocUnsafe(end - start);
    bytes.copy(copy, 0, start, end);
    return copy;
  }

  /** The receiver still needs what it was lent: nobody else may write to that. */
  giveAway(): void {
    if (!this.#lent) return;
    this.#lent = false;
    this.buffer = SHARED;
  }

  /** After a read of `length` bytes: chooses the memory for the next one. */
  prepare(length: number, inBody: boolean): void {
    this.#lent = false;
    this.#small = length >= STREAMING ? 0 : this.#small + 1;
    if (inBody && this.#small === 0) {
      if (this.buffer === SHARED) this.buffer = spare.pop() ?? allocate();
    } else if (this.buffer !== SHARED && (!inBody || this.#small > MOST_SMALL)) {
      if (spare.length < MOST_SPARE) spare.push(this.buffer);
      this.buffer = SHARED;
    }
  }
}

function allocate(): Buffer<ArrayBuffer> {
  bodyPassed(SIZE);
  return Buffer.allocUnsafeSlow(SIZE);
}
