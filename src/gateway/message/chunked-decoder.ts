import { IS_TEXT } from './text-end.ts';
import { InvalidMessage } from './invalid-message.ts';

const LF = 0x0a;
const CR = 0x0d;
const SEMICOLON = 0x3b;

/** 13 hexadecimal digits stay below 2^53. */
const MAX_SIZE_DIGITS = 13;
const MAX_EXTENSION_BYTES = 4096;

const SIZE = 0;
const EXTENSION = 1;
const SIZE_LF = 2;
const DATA = 3;
const DATA_CR = 4;
const DATA_LF = 5;

/** The chunks of a chunked body (RFC 9112 section 7.1), up to the line of the last one. */
export class ChunkedDecoder {
  /** The body bytes of the last `decode`. */
  dataStart = 0;
  dataEnd = 0;
  /** The last chunk's line was read: the trailer section follows. */
  ended = false;

  #state = SIZE;
  #digits = 0;
  #size = 0;
  #extensionBytes = 0;

  begin(): void {
    this.ended = false;
    this.#state = SIZE;
    this.#digits = 0;
    this.#size = 0;
    this.#extensionBytes = 0;
  }

  /**
   * Takes bytes up to `end` or the end of the last chunk's line, and returns the position behind them. Body bytes
   * are moved together within `bytes`, so that a read full of small chunks is one piece of data for the receiver.
   * Throws InvalidMessage.
   */
  decode(bytes: Buffer, start: number, end: number): number {
    let at = start;
    this.dataStart = this.dataEnd = start;
    while (at < end) {
      if (this.#state === DATA) {
        at = this.#takeData(bytes, at, end);
        continue;
      }
      const byte = bytes[at++]!;
      switch (this.#state) {
        case SIZE:
          this.#takeSize(byte);
          break;
        case EXTENSION:
          this.#takeExtension(byte);
          break;
        case SIZE_LF:
          check(byte, LF);
          if (this.#size === 0) {
            this.ended = true;
            return at;
          }
          this.#state = DATA;
          break;
        case DATA_CR:
          check(byte, CR);
          this.#state = DATA_LF;
          break;
        case DATA_LF:
          check(byte, LF);
          this.#state = SIZE;
          this.#digits = 0;
          break;
      }
    }
    return at;
  }

  #takeData(bytes: Buffer, at: number, end: number): number {
    const length = Math.min(this.#size, end - at);
    if (this.dataEnd === this.dataStart) {
      this.dataStart = this.dataEnd = at;
    } else {
      bytes.copyWithin(this.dataEnd, at, at + length);
    }
    this.dataEnd += length;
    this.#size -= length;
    if (this.#size === 0) this.#state = DATA_CR;
    return at + length;
  }

  #takeSize(byte: number): void {
    const value = hexValue(byte);
    if (value >= 0) {
      if (++this.#digits > MAX_SIZE_DIGITS) throw new InvalidMessage('a chunk size is too large');
      this.#size = this.#size * 16 + value;
    } else if (this.#digits === 0) {
      throw new InvalidMessage('malformed chunk size');
    } else {
      this.#endSize(byte);
    }
  }

  #endSize(byte: number): void {
    if (byte === SEMICOLON) {
      this.#state = EXTENSION;
    } else if (byte === CR) {
      this.#state = SIZE_LF;
    } else {
      throw new InvalidMessage('malformed chunk size');
    }
  }

  /** Extensions mean nothing to us; they are bounded, so that they cannot be sent for ever without a byte of data. */
  #takeExtension(byte: number): void {
    if (byte === CR) {
      this.#state = SIZE_LF;
    } else if (IS_TEXT[byte] === 0) {
      throw new InvalidMessage('a control character in a chunk extension');
    } else if (++this.#extensionBytes > MAX_EXTENSION_BYTES) {
      throw new InvalidMessage('chunk extensions are too large');
    }
  }
}

function check(byte: number, expected: number): void {
  if (byte !== expected) throw new InvalidMessage('malformed chunk');
}

function hexValue(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
