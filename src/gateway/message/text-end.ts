const TAB = 0x09;
const SPACE = 0x20;
const DELETE = 0x7f;

/** 1 for HTAB, SP, visible ASCII and obs-text: what field values and reason phrases consist of. */
export const IS_TEXT = new Uint8Array(256).fill(1, 0x80).fill(1, SPACE, DELETE);
IS_TEXT[TAB] = 1;

/** The memory that was looked at last, four bytes at a time. Nearly always that is what all connections read into. */
let lastBytes: Buffer | null = null;
let lastWords: Int32Array | null = null;

function wordsOf(bytes: Buffer): Int32Array | null {
  if (bytes !== lastBytes) {
    lastBytes = bytes;
    const aligned = bytes.byteOffset % 4 === 0;
    lastWords = aligned ? new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2) : null;
  }
  return lastWords;
}

/** Returns the position of the first byte from `start` on that is no text, or `end`. */
export function textEnd(bytes: Buffer, start: number, end: number): number {
  let at = start;
  if (end - start >= LONG) at = wordsEnd(bytes, start, end);
  while (at < end && IS_TEXT[bytes[at]!] === 1) at++;
  return at;
}

/** Bytes of a section from which words are worth it. */
const LONG = 64;

/**
 * Skips what is certainly text, four bytes at a time: a token of 1.2 KB takes a third of the time. A word is passed
 * when none of its bytes is below SP (`(x - n) & ~x`) and none is DEL (the same for zero, of the difference).
 */
function wordsEnd(bytes: Buffer, start: number, end: number): number {
  const words = wordsOf(bytes);
  if (words === null) return start;
  let at = start;
  while ((at & 3) !== 0) {
    if (IS_TEXT[bytes[at]!] !== 1) return at;
    at++;
  }
  for (const last = end - 4; at <= last; at += 4) {
    const word = words[at >> 2]!;
    const difference = word ^ 0x7f7f7f7f;
    const below = (word - 0x20202020) & ~word;
    const equal = (difference - 0x01010101) & ~difference;
    if (((below | equal) & 0x80808080) !== 0) break;
  }
  return at;
}
