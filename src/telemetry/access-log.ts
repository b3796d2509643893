import { boundLine } from './bound-line.ts';
import { ATOMIC_BYTES, type LineSink } from './line-writer.ts';
import { maskText } from './redact.ts';

const MAX_PATH = 1024;
const MAX_FIELD = 256;
/** Distinct values whose form in the log is kept. A client that sends a new one each time gains nothing. */
const MAX_KNOWN = 2048;

/** One answered request. Strings may be anything that a stranger sent. */
export interface AccessEntry {
  readonly requestId: string;
  /** The client's address. */
  readonly client: string;
  readonly method: string;
  readonly host: string;
  /** From the first `?` on it is not logged: queries carry tokens. */
  readonly path: string;
  /** Name of the route; null = none matched. */
  readonly route: string | null;
  /** 0 = the client left before there was one. */
  readonly status: number;
  /** The error's code (`src/errors.ts`), or null. */
  readonly code: string | null;
  /** Body bytes from the client. */
  readonly bytesIn: number;
  /** Body bytes to the client. */
  readonly bytesOut: number;
  readonly durationMs: number;
  /** From the start of the upstream exchange to its first byte; null = there was none. */
  readonly upstreamMs: number | null;
  /** Origin that the request went to; null = none. */
  readonly upstream: string | null;
  /** `preferred_username`, or `sub`; null = not authenticated. */
  readonly user: string | null;
  /** Such as `HTTP/1.1`. */
  readonly protocol: string;
  readonly userAgent: string | null;
}

/**
 * The access log: one line with `event: "request"` for each request, in the order of `write`, buffered by `sink`.
 * On the path of every request, so the line is put together by hand.
 */
export class AccessLog {
  readonly #sink: LineSink;
  readonly #beginning: string;
  readonly #known = new Map<string, string>();
  #now = 0;
  #time = '';

  constructor(sink: LineSink, name: string) {
    this.#sink = sink;
    this.#beginning = `","name":${quote(name)},"pid":${process.pid},"event":"request","requestId":`;
  }

  write(entry: AccessEntry): void {
    const line =
      `{"level":"info","time":"${this.#timestamp()}${this.#beginning}${quote(entry.requestId)}` +
      `,"client":${this.#shown(entry.client)},"method":${this.#shown(entry.method)},"host":${this.#shown(entry.host)}` +
      `,"path":${quote(loggedPath(entry.path))},"route":${this.#shown(entry.route)},"status":${number(entry.status)}` +
      `,"code":${this.#shown(entry.code)},"bytesIn":${number(entry.bytesIn)},"bytesOut":${number(entry.bytesOut)}` +
      `,"durationMs":${milliseconds(entry.durationMs)},"upstreamMs":${milliseconds(entry.upstreamMs)}` +
      `,"upstream":${this.#shown(entry.upstream)},"user":${this.#shown(entry.user)}` +
      `,"protocol":${this.#shown(entry.protocol)},"userAgent":${this.#shown(entry.userAgent)}}\n`;
    this.#sink.buffer(line.length * 3 <= ATOMIC_BYTES ? line : boundLine(line));
  }

  /** Many requests share a millisecond, and formatting a date is the dearest part of a line. */
  #timestamp(): string {
    const now = Date.now();
    if (now !== this.#now) {
      this.#now = now;
      this.#time = new Date(now).toISOString();
    }
    return this.#time;
  }

  /** What comes again and again is cut, masked and quoted once: a look-up takes a tenth of that. */
  #shown(text: string | null): string {
    if (text === null) return 'null';
    let shown = this.#known.get(text);
    if (shown === undefined) {
      shown = quote(maskText(cut(text, MAX_FIELD)));
      if (text.length > MAX_FIELD) return shown;
      if (this.#known.size >= MAX_KNOWN) this.#known.clear();
      this.#known.set(text, shown);
    }
    return shown;
  }
}

function loggedPath(path: string): string {
  const query = path.search(/[?#]/);
  return maskText(cut(query < 0 ? path : path.slice(0, query), MAX_PATH));
}

function cut(text: string, most: number): string {
  return text.length <= most ? text : text.slice(0, most - 1) + '…';
}

/** What stands in JSON as it is: printable ASCII but for the quote and the backslash. */
const PLAIN = /^[ !#-[\]-~]*$/;

/** `JSON.stringify`, and what it leaves as it is but a terminal obeys: DEL and the C1 control characters. */
function quote(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : JSON.stringify(text).replace(/[\x7f-\x9f]/g, unicodeEscape);
}

function unicodeEscape(character: string): string {
  return `\\u00${character.charCodeAt(0).toString(16)}`;
}

function number(value: number): string {
  return Number.isFinite(value) ? String(value) : 'null';
}

/** The thousandths 0 to 999 as they end a decimal number, without zeros at the end. */
const THOUSANDTHS = Array.from({ length: 1000 }, (_, i) =>
  i === 0 ? '' : `.${String(i).padStart(3, '0').replace(/0+$/, '')}`,
);

/** To the microsecond. In two parts, since V8 knows the text of small integers and has to work out every other one. */
function milliseconds(value: number | null): string {
  if (value === null) return 'null';
  const microseconds = Math.round(value * 1000);
  if (!(microseconds >= 0 && microseconds < 1e12)) return number(microseconds / 1000);
  const whole = Math.floor(microseconds / 1000);
  return `${whole}${THOUSANDTHS[microseconds - whole * 1000]!}`;
}
