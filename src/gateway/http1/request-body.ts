import { ChunkedDecoder } from '../message/chunked-decoder.ts';
import { INCOMPLETE } from '../message/field-section.ts';
import { refuseFramingTrailers } from '../forward/response-framing.ts';
import type { SectionReader } from '../message/section-reader.ts';

/** Reads the body of a request, of a known length or in chunks with trailers (RFC 9112 sections 6 and 7). */
export class RequestBody {
  /** Where in the bytes of the last `read` its data stands. */
  dataStart = 0;
  dataEnd = 0;
  /** All of it was read. */
  ended = true;
  trailers: readonly string[] = [];

  readonly #section: SectionReader;
  /** Made with the first body in chunks. */
  #chunks: ChunkedDecoder | null = null;
  #chunked = false;
  /** Bytes left of a known length. */
  #remaining = 0;

  /** `section` reads the trailers. */
  constructor(section: SectionReader) {
    this.#section = section;
  }

  begin(framing: 'chunked' | number): void {
    this.trailers = [];
    this.#chunked = framing === 'chunked';
    if (framing === 'chunked') {
      this.#chunks ??= new ChunkedDecoder();
      this.#chunks.begin();
      this.ended = false;
    } else {
      this.#remaining = framing;
      this.ended = framing === 0;
    }
  }

  /** Returns the position behind what it took, at most `end`; it may change what it took. Throws InvalidMessage. */
  read(bytes: Buffer, start: number, end: number): number {
    this.dataStart = this.dataEnd = start;
    if (!this.#chunked) return this.#readKnownLength(start, end);
    const chunks = this.#chunks!;
    if (chunks.ended) return this.#readTrailers(bytes, start, end);
    const behind = chunks.decode(bytes, start, end);
    this.dataStart = chunks.dataStart;
    this.dataEnd = chunks.dataEnd;
    return behind;
  }

  /** Whether more than `available` bytes are sure to be missing. */
  lacks(available: number): boolean {
    return !this.#chunked && this.#remaining > available;
  }

  #readKnownLength(start: number, end: number): number {
    const behind = Math.min(end, start + this.#remaining);
    this.#remaining -= behind - start;
    this.dataEnd = behind;
    this.ended = this.#remaining === 0;
    return behind;
  }

  #readTrailers(bytes: Buffer, start: number, end: number): number {
    const behind = this.#section.readTrailers(bytes, start, end);
    if (behind === INCOMPLETE) return end;
    refuseFramingTrailers(this.#section.fields);
    this.trailers = this.#section.fields;
    this.ended = true;
    return behind;
  }
}
