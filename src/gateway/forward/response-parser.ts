import { ChunkedDecoder } from '../message/chunked-decoder.ts';
import { INCOMPLETE } from '../message/field-section.ts';
import { InvalidMessage } from '../message/invalid-message.ts';
import { refuseFramingTrailers, ResponseFraming, type BodyLength } from './response-framing.ts';
import { SectionReader } from '../message/section-reader.ts';
import { StatusLine } from './status-line.ts';

const MAX_INFORMATIONAL = 16;

const IDLE = 0;
const HEAD = 1;
const LENGTH_BODY = 2;
const CHUNKED_BODY = 3;
const TRAILERS = 4;
const CLOSE_BODY = 5;

/** Where a response goes, in the order of `UpstreamEvents`. */
export interface ResponseSink {
  informationalRead(status: number, headers: string[]): void;
  headRead(status: number, reason: string, headers: string[], length: BodyLength): void;
  /** The bytes between `start` and `end` are good only during the call. */
  bodyRead(bytes: Buffer, start: number, end: number): void;
  /** `surplus`: bytes came after the response that are not part of it. They were not read. */
  responseEnded(trailers: string[], surplus: boolean): void;
}

/**
 * Reads the responses of one connection (RFC 9112), strictly: whatever two implementations could read in two ways
 * is an InvalidMessage. It delivers synchronously, and may be stopped or begun anew from within every delivery.
 */
export class ResponseParser {
  readonly #sink: ResponseSink;
  readonly #line = new StatusLine();
  readonly #section: SectionReader;
  readonly #framing = new ResponseFraming();
  readonly #chunks = new ChunkedDecoder();
  #state = IDLE;
  #remaining = 0;
  #toHead = false;
  #informational = 0;

  /** `headBytes`: the largest head, and the largest trailer section. */
  constructor(headBytes: number, sink: ResponseSink) {
    this.#section = new SectionReader(headBytes, this.#line);
    this.#sink = sink;
  }

  /** The connection outlives the response that was read last. */
  get persistent(): boolean {
    return this.#framing.persistent;
  }

  /** Milliseconds; see `ResponseFraming`. */
  get idleLimit(): number {
    return this.#framing.idleLimit;
  }

  /** A response has begun, or is awaited, and has not ended. */
  get active(): boolean {
    return this.#state !== IDLE;
  }

  /** The next bytes answer a request; `toHead`: one with the method HEAD. */
  begin(toHead: boolean): void {
    this.#state = HEAD;
    this.#toHead = toHead;
    this.#informational = 0;
  }

  /** Nothing more is delivered. */
  stop(): void {
    this.#state = IDLE;
    this.#section.reset();
  }

  /** Reads the first `end` bytes, which it may change. Throws InvalidMessage. */
  read(bytes: Buffer, end: number): void {
    let at = 0;
    while (at < end) {
      switch (this.#state) {
        case HEAD:
          at = this.#section.readHead(bytes, at, end);
          if (at === INCOMPLETE) return;
          this.#headComplete(at < end);
          break;
        case LENGTH_BODY:
          this.#readKnownLength(bytes, at, end);
          return;
        case CHUNKED_BODY:
          at = this.#chunks.decode(bytes, at, end);
          if (this.#chunks.ended) this.#state = TRAILERS;
          if (this.#chunks.dataEnd > this.#chunks.dataStart) {
            this.#sink.bodyRead(bytes, this.#chunks.dataStart, this.#chunks.dataEnd);
          }
          break;
        case TRAILERS:
          at = this.#section.readTrailers(bytes, at, end);
          if (at === INCOMPLETE) return;
          refuseFramingTrailers(this.#section.fields);
          this.#complete(this.#section.fields, at < end);
          return;
        case CLOSE_BODY:
          this.#sink.bodyRead(bytes, at, end);
          return;
        default:
          return;
      }
    }
  }

  /** The upstream has closed. True when that was the end of a body that lasts until then. */
  closed(): boolean {
    if (this.#state !== CLOSE_BODY) return false;
    this.#complete([], false);
    return true;
  }

  #readKnownLength(bytes: Buffer, at: number, end: number): void {
    const behind = Math.min(end, at + this.#remaining);
    this.#remaining -= behind - at;
    this.#sink.bodyRead(bytes, at, behind);
    if (this.#state === LENGTH_BODY && this.#remaining === 0) this.#complete([], behind < end);
  }

  #headComplete(more: boolean): void {
    const { status, reason, minorVersion } = this.#line;
    const { fields } = this.#section;
    this.#framing.read(fields, status, minorVersion, this.#toHead);
    if (status < 200) {
      if (status === 101) throw new InvalidMessage('a switch of protocols that was not asked for');
      if (++this.#informational > MAX_INFORMATIONAL) {
        throw new InvalidMessage(`more than ${MAX_INFORMATIONAL} informational responses`);
      }
      this.#sink.informationalRead(status, fields);
      return;
    }
    const { length } = this.#framing;
    if (length === 'chunked') {
      this.#chunks.begin();
      this.#state = CHUNKED_BODY;
    } else if (length === 'close') {
      this.#state = CLOSE_BODY;
    } else {
      this.#remaining = length === 'none' ? 0 : length;
      this.#state = LENGTH_BODY;
    }
    this.#sink.headRead(status, reason, fields, length);
    if (this.#state === LENGTH_BODY && this.#remaining === 0) this.#complete([], more);
  }

  /** Comes last in every path: the sink may begin the next response before this returns. */
  #complete(trailers: string[], surplus: boolean): void {
    this.#state = IDLE;
    this.#sink.responseEnded(trailers, surplus);
  }
}
