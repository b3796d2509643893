/**
 * What the upstream client offers to the request path. Header lists are flat arrays [name, value, name, value, ...]
 * in wire order, latin1, as in `IncomingMessage.rawHeaders`.
 */
export interface UpstreamRequest {
  readonly method: string;
  /** Request target in origin-form, already canonical. */
  readonly target: string;
  /**
   * The client's fields that go on, as the reading of its request let them pass: without a control character, and
   * without `Host`, `Connection` and the framing, which the upstream client writes itself. They are not checked again.
   */
  readonly headers: readonly string[];
  /** The gateway's own fields as finished lines in latin1, each with its CRLF. */
  readonly lines: string;
  /** 'none' = no body and no framing header; a number = Content-Length; 'chunked' = unknown length. */
  readonly body: 'none' | 'chunked' | number;
  /** May be sent once more when a reused connection closed before any byte came back. */
  readonly retryable: boolean;
}

/** Events of one exchange, in order: informational*, head, data*, end | failed (failed may come at any point). */
export interface UpstreamEvents {
  /** A 1xx answer other than 101. */
  onInformational(status: number, headers: string[]): void;
  /** `length`: a number = Content-Length, 'chunked', 'close' = until the connection closes, 'none' = no body follows. */
  onHead(
    status: number,
    reason: string,
    headers: string[],
    length: number | 'chunked' | 'close' | 'none',
  ): void;
  /**
   * Return false to stop reading until `resume()`; what has been read by then (over TLS: decrypted) still comes, and so
   * may the end.
   */
  onData(chunk: Buffer): boolean;
  /** Asked after each `onData`: false = the chunk is not needed any more, and its memory is used again. */
  readonly holdsData: boolean;
  onEnd(trailers: string[]): void;
  onFailed(failure: UpstreamFailure): void;
  /** The upstream takes more body again after `write` returned false. */
  onDrain(): void;
}

export interface UpstreamFailure {
  readonly kind: 'unreachable' | 'connect-timeout' | 'reset' | 'invalid';
  /** For the log; names no secret. */
  readonly detail: string;
}

/** One request in progress. */
export interface UpstreamExchange {
  /** It was sent once more as `retryable` allows, so that the request has been sent even if no connection came of it. */
  readonly resent: boolean;
  /**
   * Sends a piece of the body. False = wait for `onDrain`. After `onEnd` and `onFailed` the piece is dropped.
   * Throws RangeError, and sends nothing, when the body is longer than its Content-Length.
   */
  write(chunk: Buffer): boolean;
  /** Whether a piece given to `write` may still be needed; its memory must not change as long. */
  readonly holdsBody: boolean;
  /**
   * Ends the body; trailers only with a chunked body. Throws RangeError when the body is shorter than its
   * Content-Length, TypeError on trailers that would break a line: the exchange has to be aborted then.
   */
  end(trailers?: readonly string[]): void;
  resume(): void;
  /** Gives up: closes the connection; no event follows. Harmless after the end. */
  abort(): void;
}

export interface UpstreamClientOptions {
  /** Milliseconds. */
  readonly connectTimeout: number;
  /** Idle connections kept per origin. */
  readonly maxIdle: number;
  /** Milliseconds an idle connection is kept. */
  readonly idleTimeout: number;
  /** Largest response head in bytes. */
  readonly headBytes: number;
}

export interface UpstreamClient {
  /**
   * Starts an exchange with `origin` (`http://host:port` or `https://host:port`). Events never come synchronously.
   * Throws TypeError, and sends nothing, on another kind of origin or a request that would break a line or the framing.
   */
  request(origin: string, request: UpstreamRequest, events: UpstreamEvents): UpstreamExchange;
  /** Connections now open: in use and idle. */
  connections(): { readonly active: number; readonly idle: number };
  /** Closes the idle connections to an origin, and each active one after its exchange; a later request opens new ones. */
  withdraw(origin: string): void;
  /** Closes idle connections, and each active one after its exchange. */
  close(): void;
}
