import { hasNoBody } from './body-length.ts';
import type { OriginPool } from './origin-pool.ts';
import { lastChunk, requestHead } from './serialize-request.ts';
import type { UpstreamConnection } from './upstream-connection.ts';
import type { UpstreamEvents, UpstreamExchange, UpstreamFailure, UpstreamRequest } from './upstream-types.ts';

const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

/** One request and its answer: the sending side, and what becomes of it when its connection is lost. */
export class Exchange implements UpstreamExchange {
  readonly events: UpstreamEvents;
  readonly request: UpstreamRequest;
  /** Request line and header section. */
  readonly head: string;
  resent = false;

  readonly #pool: OriginPool;
  #connection: UpstreamConnection | null = null;
  /** Bytes of a body with Content-Length that are still to be written. */
  #unwritten: number;
  #sent: boolean;
  #finished = false;
  #awaitsDrain = false;

  constructor(pool: OriginPool, request: UpstreamRequest, events: UpstreamEvents) {
    this.head = requestHead(pool.authority, request);
    this.request = request;
    this.events = events;
    this.#pool = pool;
    this.#unwritten = typeof request.body === 'number' ? request.body : 0;
    this.#sent = request.body === 'none';
  }

  /** The whole request has been handed to the connection. */
  get sent(): boolean {
    return this.#sent;
  }

  begin(): void {
    this.#connection = this.#pool.take();
    this.#connection.start(this);
  }

  /**
   * Implements `UpstreamExchange.write`. Throws RangeError on more than the declared length, and nothing is sent
   * then. After the answer's end the rest of the body is taken and dropped.
   */
  write(chunk: Buffer): boolean {
    if (this.#finished || chunk.length === 0) return true;
    if (this.#sent) throw new RangeError('a piece of body after its end');
    const chunked = this.request.body === 'chunked';
    if (!chunked) {
      if (chunk.length > this.#unwritten) throw new RangeError('more body than its Content-Length says');
      this.#unwritten -= chunk.length;
    }
    const more = this.#connection!.sendBody(chunk, chunked);
    if (!more) this.#awaitsDrain = true;
    return more;
  }

  get holdsBody(): boolean {
    return this.#connection?.holdsBytes === true;
  }

  /** Implements `UpstreamExchange.end`. Throws RangeError on less than the declared length, TypeError on bad trailers. */
  end(trailers: readonly string[] = []): void {
    if (this.#finished || this.#sent) return;
    if (this.#unwritten > 0) throw new RangeError('less body than its Content-Length says');
    this.#connection!.endBody(this.request.body === 'chunked' ? lastChunk(trailers) : '');
    this.#sent = true;
  }

  resume(): void {
    if (!this.#finished) this.#connection!.resume();
  }

  abort(): void {
    if (this.#finished) return;
    const connection = this.#connection!;
    this.finish();
    connection.close();
  }

  /** No event follows, except `onEnd` or `onFailed` from the caller itself. */
  finish(): void {
    this.#finished = true;
    this.#connection = null;
  }

  drained(): void {
    if (!this.#awaitsDrain || this.#finished) return;
    this.#awaitsDrain = false;
    this.events.onDrain();
  }

  /**
   * The connection is gone. `stale`: it had served before and closed without a byte of an answer, as happens when
   * the upstream gives up an idle connection just as a request is sent on it. A new connection is never stale, so
   * nothing is sent a third time.
   */
  lost(failure: UpstreamFailure, stale: boolean): void {
    if (stale && this.#mayRetry()) {
      this.resent = true;
      this.#connection = this.#pool.connect();
      this.#connection.start(this);
      return;
    }
    this.finish();
    this.events.onFailed(failure);
  }

  #mayRetry(): boolean {
    const { retryable, method, body } = this.request;
    return retryable && hasNoBody(body) && SAFE_METHODS.has(method);
  }
}
