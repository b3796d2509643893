import type { OnReadOpts, Socket } from 'node:net';
import type { GatewaySettings } from '../../contracts/settings.ts';
import { Refusal } from '../../errors.ts';
import { newRequestId } from '../../telemetry/trace-context.ts';
import { plainAddress } from '../client-address.ts';
import type { Deadlines, Watched } from '../deadlines.ts';
import { atEndOfTurn, type HeldWrite } from '../end-of-turn.ts';
import type { BodyFraming, UpgradeHandshake } from '../exchange.ts';
import { INCOMPLETE } from '../message/field-section.ts';
import { InvalidMessage, OversizedSection } from '../message/invalid-message.ts';
import { ReadBuffer } from '../message/read-buffer.ts';
import { SectionReader } from '../message/section-reader.ts';
import { rawRefusal } from '../respond.ts';
import { Http1Exchange } from './exchange.ts';
import { readInto } from './read-into.ts';
import { RequestBody } from './request-body.ts';
import { RequestLine } from './request-line.ts';

/** How long a client that was given its last answer may go on sending before the connection is cut, in ms. */
const LINGER = 2_000;

const CR = 0x0d;
const LF = 0x0a;

/** Bytes that may wait behind a request in progress before the socket is no longer read, and a client that leaves not noticed. */
const MOST_UNREAD = 64 * 1024;

/** Bytes of small pieces that may wait for the end of the turn before their sender is asked to wait. */
const MOST_HELD = 64 * 1024;

/** What the connections of a worker share. */
export interface ConnectionContext {
  readonly gateway: { readonly settings: Pick<GatewaySettings, 'limits' | 'timeouts'> };
  readonly deadlines: Deadlines;
  /** Begins with a request whose head was read. */
  start(exchange: Http1Exchange): void;
}

type Phase =
  | 'open'
  /** The last answer is on its way. What still comes is thrown away, since closing with unread bytes makes the kernel
   * reset the connection, and the client would lose the answer. */
  | 'closing'
  /** It belongs to a tunnel. */
  | 'detached'
  | 'closed';

/**
 * One HTTP/1 connection of a client (RFC 9112). Its requests are read one after the other: nothing behind a request is
 * looked at before that was answered, so a service sees the second only after the first, and what is malformed is
 * answered in its place.
 */
export class ClientConnection implements HeldWrite, Watched, UpgradeHandshake {
  readonly socket: Socket;
  readonly peer: string;
  readonly secure: boolean;
  watchedAt = -1;
  /** No further request is taken: the connection closes with the answer to the present one. */
  last = false;

  readonly #context: ConnectionContext;
  readonly #line = new RequestLine();
  readonly #section: SectionReader;
  readonly #body: RequestBody;
  #phase: Phase = 'open';
  /** The request that was taken and not answered yet. */
  #current: Http1Exchange | null = null;
  readonly #input = new ReadBuffer();
  /** What came and was not read yet, from `#at` to `#end`. */
  #unread: Buffer | null = null;
  #at = 0;
  #end = 0;
  /** Takes all that comes once the connection is a tunnel. */
  #tunnel: ((chunk: Buffer) => void) | null = null;
  #advancing = false;
  #paused = false;
  /** The client sends nothing more. */
  #ended = false;
  /** Text for the end of the turn, in latin1. */
  #held = '';
  #whenWritable: (() => void) | null = null;
  /** A head has begun to arrive, or has to: the first one of the connection. */
  #headDue = true;
  /** All of the last answer is with the operating system. */
  #lingers = false;
  /** When what is waited for now began. */
  #since: number;

  /** `accepted` is not to be used any more: `socket` takes its place. */
  constructor(accepted: Socket, secure: boolean, context: ConnectionContext) {
    const socket = secure ? accepted : readInto(accepted, this.#onread());
    this.socket = socket;
    this.secure = secure;
    this.peer = plainAddress(socket.remoteAddress ?? '');
    this.#context = context;
    this.#section = new SectionReader(context.gateway.settings.limits.headerBytes, this.#line);
    this.#body = new RequestBody(this.#section);
    this.#since = context.deadlines.now;
    context.deadlines.watch(this);
    if (secure) {
      // A client that ends its side in the middle of a request is still told what is wrong with it.
      socket.allowHalfOpen = true;
      socket.on('data', (chunk: Buffer) => this.#came(chunk, chunk.length));
    }
    socket.on('drain', () => this.#drained());
    socket.on('end', () => this.#clientEnded());
    socket.on('error', () => undefined); // `close` follows
    socket.once('close', () => this.#closed());
  }

  get now(): number {
    return this.#context.deadlines.now;
  }

  /** The two field lines that say how long the connection is kept. */
  get keepAliveFields(): string {
    const seconds = Math.floor(this.#context.gateway.settings.timeouts.idle / 1000);
    return `Connection: keep-alive\r\nKeep-Alive: timeout=${seconds}\r\n`;
  }

  /** The head of the present request was understood: a body of this framing stands behind it. */
  bodyFollows(framing: BodyFraming): void {
    if (framing !== 'none') this.#body.begin(framing);
    if (this.#body.ended) this.#current!.bodyEnded([]);
  }

  /** Reads on, where something waited for the present request. */
  advance(): void {
    if (this.#advancing) return;
    this.#advancing = true;
    try {
      while (this.#unread !== null && this.#step());
    } finally {
      this.#advancing = false;
    }
    this.#steer();
  }

  /** Text in latin1 that leaves at the end of the turn. False = the client has to take some of it first. */
  send(text: string): boolean {
    if (this.#held === '') atEndOfTurn(this);
    this.#held += text;
    return this.#held.length < MOST_HELD && !this.socket.writableNeedDrain;
  }

  /** Bytes that leave now, behind the text that is held and before `tail`. False = the client has to take some first. */
  sendBytes(bytes: Buffer, tail: string): boolean {
    const { socket } = this;
    const text = this.#held;
    this.#held = '';
    if (!socket.writable) return true;
    if (text === '' && tail === '') return socket.write(bytes);
    socket.cork();
    if (text !== '') socket.write(text, 'latin1');
    let more = socket.write(bytes);
    if (tail !== '') more = socket.write(tail, 'latin1');
    socket.uncork();
    return more;
  }

  /** Calls back once after `send` or `sendBytes` returned false. */
  whenWritable(callback: () => void): void {
    this.#whenWritable = callback;
  }

  endOfTurn(): void {
    this.#flush();
    if (this.#phase === 'closing') this.#finish();
    else this.advance();
  }

  /** The present request was answered. */
  done(): void {
    this.#current = null;
    this.#whenWritable = null;
    // Strings of an answered request: they are slices, and an idle connection would keep the whole head.
    this.#line.target = '';
    this.#section.fields = NO_FIELDS;
    this.#body.trailers = NO_FIELDS;
    this.#since = this.now;
    if (this.last) this.#close();
    else this.advance();
  }

  /** Answers what cannot be read as a request, and closes. */
  refuse(refusal: Refusal): void {
    this.send(rawRefusal(refusal, newRequestId()));
    this.#close();
  }

  /** Takes no further request: the connection closes with the answer to the present one, or now. */
  goAway(): void {
    this.last = true;
    if (this.#current === null) this.#close();
  }

  /** Ends the connection so that the client notices: its end alone would complete an answer without a length. */
  cut(): void {
    this.#phase = 'closed';
    this.#held = '';
    if (this.secure) this.socket.destroy();
    else this.socket.resetAndDestroy();
  }

  get key(): string {
    const fields = this.#current?.rawHeaders ?? [];
    const at = fields.findIndex((name, i) => i % 2 === 0 && name.toLowerCase() === 'sec-websocket-key');
    return at === -1 ? '' : fields[at + 1]!;
  }

  detach(onData: (chunk: Buffer) => void): Buffer {
    this.#flush();
    this.#phase = 'detached';
    this.#tunnel = onData;
    const unread = this.#unread;
    this.#unread = null;
    return unread === null ? Buffer.alloc(0) : this.#input.keep(unread, this.#at, this.#end);
  }

  check(now: number): void {
    const { header, idle } = this.#context.gateway.settings.timeouts;
    const waited = now - this.#since;
    if (this.#phase === 'closing') {
      if (waited >= (this.#lingers ? LINGER : idle)) this.socket.destroy();
    } else if (this.#phase !== 'open' || this.#current !== null) {
      // The request in progress has its own deadlines.
    } else if (this.#headDue || this.#section.unfinished) {
      if (waited >= header) this.refuse(LATE);
    } else if (waited >= idle) {
      this.#close();
    }
  }

  #onread(): OnReadOpts {
    const input = this.#input;
    return {
      buffer: () => input.buffer,
      callback: (length, memory) => {
        const bytes = memory as Buffer;
        try {
          this.#came(bytes, length);
        } finally {
          // What has to wait must not stay where the next read goes, not even after a bug: that may be another client's.
          if (this.#unread === bytes) {
            this.#unread = input.keep(bytes, this.#at, this.#end);
            this.#end -= this.#at;
            this.#at = 0;
          }
        }
        input.prepare(length, !this.#body.ended || this.#tunnel !== null);
        return true;
      },
    };
  }

  #came(bytes: Buffer, length: number): void {
    if (this.#tunnel !== null) this.#tunnel(this.#input.keep(bytes, 0, length));
    if (this.#phase !== 'open') return;
    if (this.#unread === null) {
      this.#unread = bytes;
      this.#end = length;
    } else {
      this.#unread = Buffer.concat([this.#unread.subarray(this.#at, this.#end), bytes.subarray(0, length)]);
      this.#end = this.#unread.length;
    }
    this.#at = 0;
    this.advance();
  }

  #drained(): void {
    if (this.#phase === 'closing') this.#since = this.now;
    this.#writable();
    this.advance();
  }

  /** Reads the next part of what came. False = it has to wait. */
  #step(): boolean {
    if (!this.#body.ended) return this.#readBody();
    // A client that reads no answers gets no further ones.
    if (this.#current !== null || this.socket.writableNeedDrain || this.#held.length >= MOST_HELD)
      return false;
    return this.#readHead();
  }

  #readHead(): boolean {
    const bytes = this.#unread!;
    try {
      if (!this.#headDue && !this.#section.unfinished) {
        if (isEmptyLine(bytes, this.#at, this.#end)) {
          this.#unread = null;
          return false;
        }
        this.#since = this.now;
      }
      const behind = this.#section.readHead(bytes, this.#at, this.#end);
      if (behind === INCOMPLETE) {
        this.#unread = null;
        return false;
      }
      this.#took(behind);
    } catch (error) {
      this.refuse(readingOf(error));
      return false;
    }
    this.#headDue = false;
    const { method, target, http10 } = this.#line;
    const exchange = new Http1Exchange(this, method, target, this.#section.fields, http10);
    this.#current = exchange;
    this.#context.start(exchange);
    return true;
  }

  #readBody(): boolean {
    const exchange = this.#current;
    if (exchange !== null && !exchange.takesBody) return false;
    const bytes = this.#unread!;
    const body = this.#body;
    try {
      this.#took(body.read(bytes, this.#at, this.#end));
    } catch (error) {
      this.#brokenBody(readingOf(error));
      return false;
    }
    // Without an exchange it is the rest of a request that was answered.
    if (exchange === null) return true;
    if (body.dataEnd > body.dataStart) {
      const piece = this.#input.lend(bytes, body.dataStart, body.dataEnd);
      if (exchange.bodyCame(piece)) this.#input.giveAway();
    }
    if (body.ended) exchange.bodyEnded(body.trailers);
    return true;
  }

  #took(behind: number): void {
    this.#at = behind;
    if (behind === this.#end) this.#unread = null;
  }

  #brokenBody(refusal: Refusal): void {
    this.last = true;
    this.#unread = null;
    if (this.#current === null) this.#close();
    else this.#current.breakOff(refusal);
  }

  /** Stops reading the socket while much waits, and looks at what the client's end means once nothing does. */
  #steer(): void {
    const { socket } = this;
    const waiting = this.#unread === null ? 0 : this.#end - this.#at;
    if (waiting >= MOST_UNREAD && !this.#paused) {
      this.#paused = true;
      socket.pause();
    } else if (waiting === 0 && this.#paused) {
      this.#paused = false;
      socket.resume();
    }
    if (waiting === 0 && this.#ended) this.#clientEnded();
  }

  /** The client sends nothing more. One that waits for an answer then is taken to have left, as everywhere. */
  #clientEnded(): void {
    this.#ended = true;
    if (this.#phase !== 'open') return;
    const exchange = this.#current;
    if (exchange === null) {
      if (this.#section.unfinished) this.refuse(UNFINISHED);
      else this.#close();
    } else if (this.#body.ended) {
      this.#current = null;
      // Where it still reads, a part of an answer must not pass for the whole.
      if (exchange.headSent) this.cut();
      else this.#close();
      // Now, and not once the socket has closed: a client that takes nothing would keep its service busy until then.
      exchange.clientGone();
    } else if (this.#unread === null || this.#body.lacks(this.#end - this.#at)) {
      this.#brokenBody(UNFINISHED);
    }
  }

  #flush(): void {
    const text = this.#held;
    if (text === '') return;
    this.#held = '';
    if (this.socket.writable && this.socket.write(text, 'latin1')) this.#writable();
  }

  #writable(): void {
    const callback = this.#whenWritable;
    this.#whenWritable = null;
    callback?.();
  }

  #close(): void {
    if (this.#phase === 'closing' || this.#phase === 'closed') return;
    this.#phase = 'closing';
    this.last = true;
    this.#unread = null;
    this.#since = this.now;
    if (this.#paused || this.socket.isPaused()) this.socket.resume();
    if (this.#held === '') this.#finish();
  }

  #finish(): void {
    if (this.socket.writableEnded) return;
    this.socket.end(() => {
      this.#lingers = true;
      this.#since = this.now;
    });
  }

  #closed(): void {
    this.#phase = 'closed';
    this.#unread = null;
    this.#held = '';
    this.#context.deadlines.forget(this);
    const exchange = this.#current;
    this.#current = null;
    exchange?.clientGone();
  }
}

/** Nobody's to change. */
const NO_FIELDS: string[] = [];

const LATE = new Refusal('request_timeout', 'The header section took too long to arrive');
const UNFINISHED = new Refusal('malformed_request', 'The request ends before it is complete');

/** What old clients send behind a body: no head begins with it whose rest would be late (RFC 9112 section 2.2). */
function isEmptyLine(bytes: Buffer, start: number, end: number): boolean {
  return end - start === 2 && bytes[start] === CR && bytes[start + 1] === LF;
}

/** What an error of the readers means to the client. */
function readingOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (error instanceof OversizedSection)
    return new Refusal('headers_too_large', 'The request line and header fields are too large');
  if (error instanceof InvalidMessage)
    return new Refusal('malformed_request', `The request is not valid HTTP/1.1: ${error.message}`);
  throw error;
}
