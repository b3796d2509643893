import { setImmediate } from 'node:timers/promises';

/** Characters after which a chunk is big enough. */
const ENOUGH = 32 * 1024;

/**
 * Lines as text with line feeds: those that are there at once in one chunk, so that a long log does not cost a packet
 * a line, and the first of a pause without delay. Reads ahead by one line.
 */
export async function* inChunks(lines: AsyncIterable<string>): AsyncGenerator<string, void> {
  const iterator = lines[Symbol.asyncIterator]();
  try {
    let next = iterator.next();
    let chunk = '';
    for (;;) {
      const result = chunk === '' ? await next : await Promise.race([next, setImmediate(null)]);
      if (result !== null && result.done !== true) {
        chunk += `${result.value}\n`;
        next = iterator.next();
      }
      if (chunk !== '' && (result === null || result.done === true || chunk.length >= ENOUGH)) {
        yield chunk;
        chunk = '';
      }
      if (result?.done === true) return;
    }
  } finally {
    await iterator.return?.();
  }
}
