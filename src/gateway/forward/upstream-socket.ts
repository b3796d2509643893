import { Socket, type SocketConstructorOpts } from 'node:net';

type WriteCallback = (error?: Error | null) => void;

/** What writing ends with once the other end has reset the connection. */
const RESET: ReadonlySet<string | undefined> = new Set(['ECONNRESET', 'EPIPE']);

/**
 * A TCP socket that is read to its end even where the other end takes no more. An upstream that answers ahead of an
 * upload and closes resets the connection, as its system does for bytes that were not read; the answer lies before the
 * reset. Any other socket of node's is destroyed, with the answer unread, by the first write that fails.
 */
export class UpstreamSocket extends Socket {
  readonly #onReset: () => void;
  /** Of the write in progress: there is one at a time. */
  #callback: WriteCallback | null = null;
  /** One for all writes. It leaves the one that failed unfinished: what is to be written behind it only waits. */
  readonly #written = (error?: Error | null): void => {
    if (error && !this.destroyed && RESET.has((error as NodeJS.ErrnoException).code)) this.#onReset();
    else this.#callback!(error);
  };

  /** `onReset`: a write found the connection reset. That error is used up: reading then comes to a mere end. */
  constructor(options: SocketConstructorOpts, onReset: () => void) {
    super(options);
    this.#onReset = onReset;
  }

  override _write(chunk: unknown, encoding: BufferEncoding, callback: WriteCallback): void {
    this.#callback = callback;
    super._write(chunk, encoding, this.#written);
  }

  override _writev(chunks: { chunk: unknown; encoding: BufferEncoding }[], callback: WriteCallback): void {
    this.#callback = callback;
    super._writev!(chunks, this.#written);
  }
}
