import { fieldName, NO_BYTES, withByte } from './field-names.ts';
import { InvalidMessage, OversizedSection } from './invalid-message.ts';
import { textEnd } from './text-end.ts';

/** The bytes end before the section does. */
export const INCOMPLETE = -1;
/** The most fields of one section. */
export const MAX_FIELDS = 500;

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const COLON = 0x3a;

/** 1 for the bytes of a token (RFC 9110 section 5.6.2). */
const IS_TOKEN = new Uint8Array(256);
for (const char of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
  IS_TOKEN[char.charCodeAt(0)] = 1;
}

/**
 * Where each field's name and value begin and end, and the name's hash. One for the process: it is read out right after
 * each scan.
 */
const bounds = new Int32Array(5 * MAX_FIELDS);

/**
 * The field lines of a head or a trailer section (RFC 9112 section 5) with nothing optional in them: no obsolete
 * folding, no space before the colon, CRLF as the only line end.
 */
export class FieldSection {
  #count = 0;

  /** Returns the position behind the empty line that ends the section, or INCOMPLETE. Throws InvalidMessage. */
  scan(bytes: Buffer, start: number, end: number): number {
    let at = start;
    let count = 0;
    while (at < end) {
      if (bytes[at] === CR) {
        this.#count = count;
        return lineEnd(bytes, at, end);
      }
      if (count === MAX_FIELDS) throw new OversizedSection(`more than ${MAX_FIELDS} fields`);
      const nameStart = at;
      let hash = NO_BYTES;
      for (; at < end && IS_TOKEN[bytes[at]!] === 1; at++) hash = withByte(hash, bytes[at]!);
      if (at === end) return INCOMPLETE;
      if (bytes[at] !== COLON || at === nameStart) throw new InvalidMessage('malformed field name');
      const nameEnd = at;
      at++;
      while (at < end && isBlank(bytes[at]!)) at++;
      const valueStart = at;
      at = textEnd(bytes, at, end);
      let valueEnd = at;
      at = lineEnd(bytes, at, end);
      if (at === INCOMPLETE) return INCOMPLETE;
      while (valueEnd > valueStart && isBlank(bytes[valueEnd - 1]!)) valueEnd--;
      const slot = count * 5;
      bounds[slot] = nameStart;
      bounds[slot + 1] = nameEnd;
      bounds[slot + 2] = valueStart;
      bounds[slot + 3] = valueEnd;
      bounds[slot + 4] = hash;
      count++;
    }
    return INCOMPLETE;
  }

  /** The fields of the last complete scan as [name, value, ...]; `text` is the latin1 text of `bytes` from `offset` on. */
  strings(bytes: Buffer, text: string, offset: number): string[] {
    const fields: string[] = [];
    const last = this.#count * 5;
    for (let slot = 0; slot < last; slot += 5) {
      const start = bounds[slot]!;
      fields.push(
        fieldName(bytes, start, bounds[slot + 1]!, bounds[slot + 4]!, text, start - offset),
        text.slice(bounds[slot + 2]! - offset, bounds[slot + 3]! - offset),
      );
    }
    return fields;
  }
}

/** Returns the position behind the CRLF at `at`, or INCOMPLETE. Throws InvalidMessage when something else is there. */
export function lineEnd(bytes: Buffer, at: number, end: number): number {
  if (at === end) return INCOMPLETE;
  if (bytes[at] !== CR) throw new InvalidMessage('a line with a control character or a bare LF');
  if (at + 1 === end) return INCOMPLETE;
  if (bytes[at + 1] !== LF) throw new InvalidMessage('a bare CR');
  return at + 2;
}

function isBlank(byte: number): boolean {
  return byte === SPACE || byte === TAB;
}
