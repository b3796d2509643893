import { boundLine } from './bound-line.ts';
import { ATOMIC_BYTES, type LineSink } from './line-writer.ts';
import { maskText } from './redact.ts';

const MAX_PATH = 1024;
const MAX_FIELD = 256;
/** Distinct `User-Agent` values whose JSON form is kept. A client that sends a new one each time gains nothing. */
const MAX_AGENTS = 512;

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
  readonly #agents = new Map<string, string>();
  #now = 0;
  #time = '';

  constructor(sink: LineSink, name: string) {
    this.#sink = sink;
    this.#beginning = `","name":${quote(name)},"pid":${process.pid},"event":"request","requestId":`;
  }

  write(entry: AccessEntry): void {
    const line =
      `{"level":"info","time":"${this.#timestamp()}${this.#beginning}${quote(entry.requestId)}` +
      `,"client":${quote(entry.client)},"method":${quote(entry.method)},"host":${quote(maskText(cut(entry.host, MAX_FIELD)))}` +
      `,"path":${quote(loggedPath(entry.path))},"route":${quoteOrNull(entry.route)},"status":${number(entry.status)}` +
      `,"code":${quoteOrNull(entry.code)},"bytesIn":${number(entry.bytesIn)},"bytesOut":${number(entry.bytesOut)}` +
      `,"durationMs":${milliseconds(entry.durationMs)},"upstreamMs":${milliseconds(entry.upstreamMs)}` +
      `,"upstream":${quoteOrNull(entry.upstream)},"user":${entry.user === null ? 'null' : quote(maskText(cut(entry.user, MAX_FIELD)))}` +
      `,"protocol":${quote(entry.protocol)},"userAgent":${this.#agent(entry.userAgent)}}\n`;
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

  #agent(agent: string | null): string {
    if (agent === null) return 'null';
    const shown = cut(agent, MAX_FIELD);
    let quoted = this.#agents.get(shown);
    if (quoted === undefined) {
      if (this.#agents.size >= MAX_AGENTS) this.#agents.clear();
      quoted = quote(maskText(shown));
      this.#agents.set(shown, quoted);
    }
    return quoted;
  }
}

function loggedPath(path: string): string {
  const query = path.search(/[?#]/);
  return maskText(cut(query < 0 ? path : path.slice(0, query), MAX_PATH));
}

function cut(text: string, most: number): string {
  return text.length <= most ? text : text.slice(0, most - 1) + '…';
}

/** `JSON.stringify`, and what it leaves as it is but a terminal obeys: DEL and the C1 control characters. */
function quote(text: string): string {
  const quoted = JSON.stringify(text);
  return /[\x7f-\x9f]/.test(quoted) ? quoted.replace(/[\x7f-\x9f]/g, unicodeEscape) : quoted;
}

function quoteOrNull(text: string | null): string {
  return text === null ? 'null' : quote(cut(text, MAX_FIELD));
}

function unicodeEscape(character: string): string {
  return `\\u00${character.charCodeAt(0).toString(16)}`;
}

function number(value: number): string {
  return Number.isFinite(value) ? String(value) : 'null';
}

/** To the microsecond. */
function milliseconds(value: number | null): string {
  return value === null ? 'null' : number(Math.round(value * 1000) / 1000);
}
