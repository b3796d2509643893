import { InvalidMessage } from '../message/invalid-message.ts';
import {
  CONNECTION,
  CONTENT_LENGTH,
  KEEP_ALIVE,
  responseFieldKind,
  TRANSFER_ENCODING,
} from './response-fields.ts';

export type BodyLength = number | 'chunked' | 'close' | 'none';

/** All that a number below 2^53 has. */
const MAX_LENGTH_DIGITS = 16;
const TIMEOUT = /(?:^|[\s,;])timeout=([0-9]{1,9})(?:$|[\s,;])/i;

/** Reads from a response's head how its body is framed (RFC 9112 section 6.3) and whether the connection persists. */
export class ResponseFraming {
  length: BodyLength = 'none';
  /** The connection may serve another request once the body has ended. */
  persistent = false;
  /** Milliseconds after which the upstream says it closes an idle connection (`Keep-Alive: timeout`), or Infinity. */
  idleLimit = Infinity;

  #keepAlive = '';

  /** Throws InvalidMessage where two readers could see the body end in different places. */
  read(fields: readonly string[], status: number, minorVersion: number, toHead: boolean): void {
    let declared = -1;
    let chunked = false;
    let close = false;
    let keepAlive = minorVersion === 1;
    for (let i = 0; i < fields.length; i += 2) {
      const value = fields[i + 1]!;
      switch (responseFieldKind(fields[i]!)) {
        case CONTENT_LENGTH:
          if (declared !== -1) throw new InvalidMessage('more than one Content-Length');
          declared = readLength(value);
          break;
        case TRANSFER_ENCODING:
          if (chunked || value.toLowerCase() !== 'chunked') {
            throw new InvalidMessage('a Transfer-Encoding other than chunked');
          }
          chunked = true;
          break;
        case CONNECTION: {
          const options = value === 'keep-alive' ? value : value.toLowerCase();
          close ||= hasOption(options, 'close');
          keepAlive ||= hasOption(options, 'keep-alive');
          break;
        }
        case KEEP_ALIVE:
          this.#readKeepAlive(value);
          break;
      }
    }
    if (chunked && declared !== -1) throw new InvalidMessage('both Transfer-Encoding and Content-Length');
    if (chunked && minorVersion === 0) throw new InvalidMessage('Transfer-Encoding in HTTP/1.0');
    const declaresBody = chunked || declared > 0;
    if (status < 200 && declaresBody) throw new InvalidMessage('an informational response with a body');

    this.persistent = keepAlive && !close;
    if (toHead || status < 200 || status === 204 || status === 304) {
      this.length = 'none';
      // A 204 that declares a body may be followed by one: nothing more is read from that connection.
      if (status === 204 && declaresBody) this.persistent = false;
    } else if (chunked) {
      this.length = 'chunked';
    } else if (declared !== -1) {
      this.length = declared;
    } else {
      this.length = 'close';
      this.persistent = false;
    }
  }

  /** A server repeats the same value on every response of a connection. */
  #readKeepAlive(value: string): void {
    if (value === this.#keepAlive) return;
    this.#keepAlive = value;
    const seconds = TIMEOUT.exec(value)?.[1];
    this.idleLimit = seconds === undefined ? Infinity : Number(seconds) * 1000;
  }
}

/** RFC 9110 section 8.6. */
function readLength(value: string): number {
  let length = 0;
  for (let i = 0; i < value.length; i++) {
    const digit = value.charCodeAt(i) - 0x30;
    if (!(digit >= 0 && digit <= 9)) throw new InvalidMessage('malformed Content-Length');
    length = length * 10 + digit;
  }
  if (value.length === 0 || value.length > MAX_LENGTH_DIGITS)
    throw new InvalidMessage('malformed Content-Length');
  if (length > Number.MAX_SAFE_INTEGER) throw new InvalidMessage('Content-Length is too large');
  return length;
}

/** Throws InvalidMessage when a trailer section says what only a head may say (RFC 9110 section 6.5.1). */
export function refuseFramingTrailers(fields: readonly string[]): void {
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!.toLowerCase();
    if (name === 'content-length' || name === 'transfer-encoding') {
      throw new InvalidMessage('framing in the trailer section');
    }
  }
}

/** Whether a lower-case list such as `foo, close` has the member. */
function hasOption(list: string, option: string): boolean {
  if (list === option) return true;
  return list.includes(option) && list.split(',').some((member) => member.trim() === option);
}
