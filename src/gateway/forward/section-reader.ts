import { FieldSection, INCOMPLETE, IS_TEXT, lineEnd } from './field-section.ts';
import { InvalidResponse } from './invalid-response.ts';

const LF = 0x0a;
const SPACE = 0x20;
const VERSION = Buffer.from('HTTP/1.', 'latin1');
/** `HTTP/1.1 200` */
const STATUS_END = 12;
const FIRST_HELD = 1024;

/**
 * Reads a response head or a trailer section that may arrive in any number of pieces. One that arrives in one
 * piece, as nearly all do, is read where it lies; only an incomplete one is copied aside, up to the limit.
 */
export class SectionReader {
  /** What the last complete section held; status, reason and version only after `readHead`. */
  status = 0;
  reason = '';
  minorVersion = 1;
  fields: string[] = [];

  readonly #limit: number;
  readonly #section = new FieldSection();
  #held: Buffer | null = null;
  #heldLength = 0;

  /** `limit`: the largest section in bytes, its last empty line included. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Forgets an unfinished section. */
  reset(): void {
    this.#held = null;
    this.#heldLength = 0;
  }

  /** Returns the position in `bytes` behind the head, or INCOMPLETE when all was taken. Throws InvalidResponse. */
  readHead(bytes: Buffer, start: number, end: number): number {
    return this.#read(bytes, start, end, true);
  }

  /** As `readHead`, for the trailer section with its last empty line. */
  readTrailers(bytes: Buffer, start: number, end: number): number {
    return this.#read(bytes, start, end, false);
  }

  #read(bytes: Buffer, start: number, end: number, isHead: boolean): number {
    if (this.#held !== null) return this.#readHeld(this.#held, bytes, start, end, isHead);
    const behind = this.#parse(bytes, start, end, isHead);
    const length = behind === INCOMPLETE ? end - start + 1 : behind - start;
    if (length > this.#limit) throw tooLarge(isHead);
    if (behind === INCOMPLETE && start < end) {
      this.#held = Buffer.allocUnsafe(Math.min(Math.max(FIRST_HELD, 2 * (end - start)), this.#limit));
      this.#heldLength = bytes.copy(this.#held, 0, start, end);
    }
    return behind;
  }

  #readHeld(held: Buffer, bytes: Buffer, start: number, end: number, isHead: boolean): number {
    const before = this.#heldLength;
    const taken = Math.min(end - start, this.#limit - before);
    if (before + taken > held.length) {
      const larger = Buffer.allocUnsafe(Math.min(2 * (before + taken), this.#limit));
      held.copy(larger, 0, 0, before);
      this.#held = held = larger;
    }
    bytes.copy(held, before, start, start + taken);
    this.#heldLength = before + taken;
    // Only a line feed can complete the section. Without this check, a head that comes byte by byte would be
    // parsed once per byte.
    const added = held.subarray(before, before + taken);
    const behind = added.includes(LF) ? this.#parse(held, 0, before + taken, isHead) : INCOMPLETE;
    if (behind === INCOMPLETE) {
      if (this.#heldLength === this.#limit) throw tooLarge(isHead);
      return INCOMPLETE;
    }
    this.reset();
    return start + behind - before;
  }

  #parse(bytes: Buffer, start: number, end: number, isHead: boolean): number {
    const fieldsStart = isHead ? scanStatusLine(bytes, start, end) : start;
    if (fieldsStart === INCOMPLETE) return INCOMPLETE;
    const behind = this.#section.scan(bytes, fieldsStart, end);
    if (behind === INCOMPLETE) return INCOMPLETE;
    // One native call for the whole section; its strings are slices of that one.
    const text = bytes.toString('latin1', start, behind);
    if (isHead) {
      this.minorVersion = digit(bytes[start + 7]!);
      this.status =
        digit(bytes[start + 9]!) * 100 + digit(bytes[start + 10]!) * 10 + digit(bytes[start + 11]!);
      this.reason = text.slice(STATUS_END + 1, fieldsStart - 2 - start);
    }
    this.fields = this.#section.strings(text, start);
    return behind;
  }
}

/** Returns the position behind the status line (RFC 9112 section 4), or INCOMPLETE. */
function scanStatusLine(bytes: Buffer, start: number, end: number): number {
  const length = end - start;
  const known = Math.min(length, VERSION.length);
  for (let i = 0; i < known; i++) {
    if (bytes[start + i] !== VERSION[i]) throw new InvalidResponse('not an HTTP/1.x response');
  }
  if (length < STATUS_END) return INCOMPLETE;
  const first = digit(bytes[start + 9]!);
  if (digit(bytes[start + 7]!) > 1 || bytes[start + 8] !== SPACE) {
    throw new InvalidResponse('not an HTTP/1.0 or HTTP/1.1 response');
  }
  if (first < 1 || first > 5 || digit(bytes[start + 10]!) > 9 || digit(bytes[start + 11]!) > 9) {
    throw new InvalidResponse('malformed status code');
  }
  let at = start + STATUS_END;
  if (at < end && bytes[at] === SPACE) {
    at++;
    while (at < end && IS_TEXT[bytes[at]!] === 1) at++;
  }
  return lineEnd(bytes, at, end);
}

/** The digit's value, or more than 9 for any other byte. */
function digit(byte: number): number {
  return (byte - 0x30) >>> 0;
}

function tooLarge(isHead: boolean): InvalidResponse {
  return new InvalidResponse(isHead ? 'the head is too large' : 'the trailer section is too large');
}
