import { once } from 'node:events';
import { Socket } from 'node:net';
import { LineSplitter } from './line-splitter.ts';
import type { Masker } from './masker.ts';
import type { ReplicaLog } from './replica-log.ts';

/** What a service may write in the long run, in bytes per second, and at once. Beyond that it waits in its `write`. */
const RATE = 2 * 1024 * 1024;
const BURST = 4 * 1024 * 1024;

/** So many characters may wait for the disk. */
const MOST_PENDING = 1024 * 1024;

/**
 * Brings what a run writes into its log, masked and in lines. Takes over the descriptor. Resolves once every writer has
 * closed its end, or after `stop` has aborted and what was written until then is read.
 */
export async function pumpLog(fd: number, log: ReplicaLog, masker: Masker, stop: AbortSignal): Promise<void> {
  const socket = new Socket({ fd, readable: true, writable: false });
  const decoder = new TextDecoder();
  const splitter = new LineSplitter();
  const allowance = new Allowance();
  const keep = (text: string): void => log.append(splitter.push(masker.push(text)));

  socket.on('data', (chunk: Buffer) => {
    keep(decoder.decode(chunk, { stream: true }));
    const pause = allowance.take(chunk.length);
    if (pause === 0 && log.pending < MOST_PENDING) return;
    socket.pause();
    setTimeout(() => void log.settled().then(() => socket.resume()), pause);
  });
  socket.on('error', () => undefined); // `close` follows
  const closed = once(socket, 'close');
  const last = (): void => void setTimeout(() => socket.destroy(), LAST_READS);
  stop.addEventListener('abort', last, { once: true });
  await closed;
  stop.removeEventListener('abort', last);
  keep(decoder.decode());
  log.append([...splitter.push(masker.end()), ...splitter.end()]);
}

/** A process that fled may hold its end open for good; what is in the pipe is read in less time, in ms. */
const LAST_READS = 200;

/** A token bucket. */
class Allowance {
  #tokens = BURST;
  #at = performance.now();

  /** ms to wait before more is taken. */
  take(bytes: number): number {
    const now = performance.now();
    this.#tokens = Math.min(this.#tokens + ((now - this.#at) / 1000) * RATE, BURST) - bytes;
    this.#at = now;
    return this.#tokens >= 0 ? 0 : Math.ceil((-this.#tokens / RATE) * 1000);
  }
}
