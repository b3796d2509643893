import { INCOMPLETE, lineEnd } from '../message/field-section.ts';
import { InvalidMessage } from '../message/invalid-message.ts';
import type { StartLine } from '../message/section-reader.ts';
import { textEnd } from '../message/text-end.ts';

const SPACE = 0x20;
const VERSION = Buffer.from('HTTP/1.', 'latin1');
/** `HTTP/1.1 200` */
const STATUS_END = 12;

/** The first line of a response (RFC 9112 section 4). */
export class StatusLine implements StartLine {
  status = 0;
  reason = '';
  minorVersion = 1;
  #behind = 0;

  /** Throws InvalidMessage. */
  scan(bytes: Buffer, start: number, end: number): number {
    this.#behind = scanStatusLine(bytes, start, end);
    return this.#behind;
  }

  read(text: string, offset: number): void {
    this.minorVersion = digit(text.charCodeAt(7));
    this.status =
      digit(text.charCodeAt(9)) * 100 + digit(text.charCodeAt(10)) * 10 + digit(text.charCodeAt(11));
    this.reason = text.slice(STATUS_END + 1, this.#behind - 2 - offset);
  }
}

/** Returns the position behind the status line (RFC 9112 section 4), or INCOMPLETE. */
function scanStatusLine(bytes: Buffer, start: number, end: number): number {
  const length = end - start;
  const known = Math.min(length, VERSION.length);
  for (let i = 0; i < known; i++) {
    if (bytes[start + i] !== VERSION[i]) throw new InvalidMessage('not an HTTP/1.x response');
  }
  if (length < STATUS_END) return INCOMPLETE;
  const first = digit(bytes[start + 9]!);
  if (digit(bytes[start + 7]!) > 1 || bytes[start + 8] !== SPACE) {
    throw new InvalidMessage('not an HTTP/1.0 or HTTP/1.1 response');
  }
  if (first < 1 || first > 5 || digit(bytes[start + 10]!) > 9 || digit(bytes[start + 11]!) > 9) {
    throw new InvalidMessage('malformed status code');
  }
  let at = start + STATUS_END;
  if (at < end && bytes[at] === SPACE) {
    at++;
    at = textEnd(bytes, at, end);
  }
  return lineEnd(bytes, at, end);
}

/** The digit's value, or more than 9 for any other byte. */
function digit(byte: number): number {
  return (byte - 0x30) >>> 0;
}
