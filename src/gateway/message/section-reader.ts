import { FieldSection, INCOMPLETE } from './field-section.ts';
import { OversizedSection } from './invalid-message.ts';

const LF = 0x0a;
const FIRST_HELD = 1024;

/** The first line of a head, which tells requests from responses. */
export interface StartLine {
  /** Returns the position behind the line, or INCOMPLETE. Throws when it is not such a line. */
  scan(bytes: Buffer, start: number, end: number): number;
  /** Takes what the last complete scan found; `text` is the latin1 text from `offset` on. */
  read(text: string, offset: number): void;
}

/**
 * Reads a head or a trailer section that may arrive in any number of pieces. One that arrives in one piece, as nearly
 * all do, is read where it lies; only an incomplete one is copied aside, up to the limit.
 */
export class SectionReader {
  /** Of the last complete section. */
  fields: string[] = [];

  readonly #limit: number;
  readonly #startLine: StartLine;
  readonly #section = new FieldSection();
  #held: Buffer | null = null;
  #heldLength = 0;

  /** `limit`: the largest section in bytes, its last empty line included. */
  constructor(limit: number, startLine: StartLine) {
    this.#limit = limit;
    this.#startLine = startLine;
  }

  /** Part of a section was read. */
  get unfinished(): boolean {
    return this.#held !== null;
  }

  /** Forgets an unfinished section. */
  reset(): void {
    this.#held = null;
    this.#heldLength = 0;
  }

  /**
   * Returns the position in `bytes` behind the head, or INCOMPLETE when all was taken. Throws InvalidMessage, and what
   * the start line throws.
   */
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
    const fieldsStart = isHead ? this.#startLine.scan(bytes, start, end) : start;
    if (fieldsStart === INCOMPLETE) return INCOMPLETE;
    const behind = this.#section.scan(bytes, fieldsStart, end);
    if (behind === INCOMPLETE) return INCOMPLETE;
    // One native call for the whole section; its strings are slices of that one.
    const text = bytes.toString('latin1', start, behind);
    if (isHead) this.#startLine.read(text, start);
    this.fields = this.#section.strings(bytes, text, start);
    return behind;
  }
}

function tooLarge(isHead: boolean): OversizedSection {
  return new OversizedSection(isHead ? 'the head is too large' : 'the trailer section is too large');
}
