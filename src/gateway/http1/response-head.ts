import { requireLines } from '../message/require-lines.ts';

let second = 0;
let date = '';

/** `Date` (RFC 9110 section 6.6.1) at `now`, in ms since the epoch. */
function dateField(now: number): string {
  const current = Math.floor(now / 1000);
  if (current !== second) {
    second = current;
    date = `Date: ${new Date(now).toUTCString()}\r\n`;
  }
  return date;
}

/** Whether one of the flat fields has that name; `name` in lower case. */
export function hasField(headers: readonly string[], name: string): boolean {
  for (let i = 0; i < headers.length; i += 2) {
    const field = headers[i]!;
    if (field.length === name.length && field.toLowerCase() === name) return true;
  }
  return false;
}

/**
 * Status line and header section of a response (RFC 9112 sections 4 and 5) in latin1, with a `Date` where it has none.
 * `own`: the field lines that say how the connection goes on, `ownLines` of them. Throws TypeError when a part would
 * end a line.
 */
export function responseHead(
  status: number,
  reason: string,
  headers: readonly string[],
  own: string,
  ownLines: number,
  now: number,
): string {
  let head = `HTTP/1.1 ${status} ${reason}\r\n`;
  for (let i = 0; i < headers.length; i += 2) head += `${headers[i]!}: ${headers[i + 1]!}\r\n`;
  let lines = headers.length / 2 + ownLines + 2;
  if (!hasField(headers, 'date')) {
    head += dateField(now);
    lines++;
  }
  head += `${own}\r\n`;
  requireLines(head, lines);
  return head;
}
