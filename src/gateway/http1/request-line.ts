import { Refusal } from '../../errors.ts';
import { INCOMPLETE, lineEnd } from '../message/field-section.ts';
import { METHOD_NAMES } from '../message/methods.ts';
import type { StartLine } from '../message/section-reader.ts';

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const DELETE = 0x7f;

/** Longer than every method, in bytes. */
const MOST_METHOD = 32;

/** The asterisk and the absolute form. */
const OTHER_FORMS = /^(?:\*|[a-z]+:\/\/)/i;

const VERSION = Buffer.from(' HTTP/1.', 'latin1');

/**
 * The request line (RFC 9112 section 3): a known method, one space, a target of visible ASCII, one space, HTTP/1.1 or
 * HTTP/1.0, CRLF. One empty line before it is skipped, as section 2.2 asks for.
 */
export class RequestLine implements StartLine {
  method = '';
  /** Unchecked but for its characters. */
  target = '';
  http10 = false;

  #start = 0;
  #methodEnd = 0;
  #targetEnd = 0;

  /** Returns the position behind the line, or INCOMPLETE. Throws `malformed_request` or `ambiguous_path`. */
  scan(bytes: Buffer, start: number, end: number): number {
    let at = start;
    if (at < end && bytes[at] === CR) {
      at = lineEnd(bytes, at, end);
      if (at === INCOMPLETE) return INCOMPLETE;
    }
    this.#start = at;
    while (at < end && isMethodByte(bytes[at]!) && at - this.#start < MOST_METHOD) at++;
    if (at === end) return INCOMPLETE;
    if (bytes[at] !== SPACE || at === this.#start) throw malformed('does not begin with a method');
    this.#methodEnd = at++;
    const targetStart = at;
    while (at < end && bytes[at]! > SPACE && bytes[at]! < DELETE) at++;
    if (at === end) return INCOMPLETE;
    if (bytes[at] !== SPACE || at === targetStart) throw wrongTarget(bytes[at]!);
    this.#targetEnd = at;
    return this.#scanVersion(bytes, at, end);
  }

  /**
   * Takes what the last complete scan found. Throws `malformed_request` for an unknown method, and `ambiguous_path` for
   * CONNECT and for a target of no form that another method has (RFC 9112 section 3.2).
   */
  read(text: string, offset: number): void {
    const targetEnd = this.#targetEnd - offset;
    const method = text.slice(this.#start - offset, this.#methodEnd - offset);
    if (!METHOD_NAMES.has(method)) throw malformed('has an unknown method');
    if (method === 'CONNECT') throw ambiguous('this is not a forward proxy');
    this.method = method;
    const target = text.slice(this.#methodEnd - offset + 1, targetEnd);
    if (!target.startsWith('/') && !OTHER_FORMS.test(target)) throw ambiguous('it is not a path');
    this.target = target;
    this.http10 = text[targetEnd + VERSION.length] === '0';
  }

  #scanVersion(bytes: Buffer, start: number, end: number): number {
    const digitAt = start + VERSION.length;
    for (let i = 0; i < VERSION.length; i++) {
      if (start + i === end) return INCOMPLETE;
      if (bytes[start + i] !== VERSION[i]) throw malformed('does not end in HTTP/1.1 or HTTP/1.0');
    }
    if (digitAt === end) return INCOMPLETE;
    if ((bytes[digitAt]! & 0xfe) !== 0x30) throw malformed('does not end in HTTP/1.1 or HTTP/1.0');
    return lineEnd(bytes, digitAt + 1, end);
  }
}

/** Every method that is known has capital letters and `-` only. */
function isMethodByte(byte: number): boolean {
  return (byte >= 0x41 && byte <= 0x5a) || byte === 0x2d;
}

function malformed(why: string): Refusal {
  return new Refusal('malformed_request', `The request line ${why}`);
}

function ambiguous(why: string): Refusal {
  return new Refusal('ambiguous_path', `The request target is refused: ${why}`);
}

/** A control character would break the line; anything else makes an ambiguous target of it. */
function wrongTarget(byte: number): Refusal {
  if (byte === CR || byte === LF || byte === SPACE) return malformed('does not end in HTTP/1.1 or HTTP/1.0');
  return byte < SPACE
    ? malformed('has a control character')
    : ambiguous('it is not a path of printable ASCII');
}
