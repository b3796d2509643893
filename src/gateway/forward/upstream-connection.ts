import { isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { atEndOfTurn, type HeldWrite } from '../end-of-turn.ts';
import { InvalidMessage } from '../message/invalid-message.ts';
import type { OriginPool } from './origin-pool.ts';
import { ReadBuffer } from '../message/read-buffer.ts';
import { ResponseParser, type ResponseSink } from './response-parser.ts';
import type { BodyLength } from './response-framing.ts';
import type { Exchange } from './upstream-exchange.ts';
import { UpstreamSocket } from './upstream-socket.ts';
import type { UpstreamFailure } from './upstream-types.ts';

/** Bytes up to which a piece of a body is sent as a part of the text before it. */
const SMALL_PIECE = 4096;

/**
 * One connection to an upstream, with at most one exchange at a time. Its state lives in fields and its listeners
 * are made once, so that an exchange on a kept connection costs one write, one read and no closure.
 */
export class UpstreamConnection implements ResponseSink, HeldWrite {
  /** On the clock of `performance.now()`. */
  readonly connectDeadline: number;
  /** On the clock of `performance.now()`; when it must no longer be used. Only while idle. */
  idleUntil = 0;

  readonly #pool: OriginPool;
  readonly #socket: Socket;
  readonly #parser: ResponseParser;
  readonly #input = new ReadBuffer();
  #exchange: Exchange | null = null;
  #connected = false;
  #closed = false;
  /** It has served an exchange before this one. */
  #reused = false;
  /** A byte of the present exchange's answer has come. */
  #answered = false;
  /** The head, while it waits for the first piece of the body. */
  #held = '';
  #paused = false;
  /** The upstream has reset the connection: that it ends says nothing of a body that lasts until then. */
  #reset = false;
  /** The last read took all there was room for. */
  #mayHaveMore = false;

  constructor(pool: OriginPool, headBytes: number, connectDeadline: number) {
    this.#pool = pool;
    this.connectDeadline = connectDeadline;
    this.#parser = new ResponseParser(headBytes, this);
    this.#socket = this.#connect();
    this.#socket.once(pool.secure ? 'secureConnect' : 'connect', () => {
      this.#connected = true;
      this.#pool.connected(this);
    });
    this.#socket.on('drain', () => this.#exchange?.drained());
    this.#socket.on('end', () => this.#ended());
    this.#socket.on('error', (error) => this.#lost(error.message));
    this.#socket.on('close', () => this.#lost('closed'));
  }

  /** Milliseconds for which the upstream keeps it idle, as far as it has said so. */
  get idleLimit(): number {
    return this.#parser.idleLimit;
  }

  /** Sends the head. A body follows by `sendBody` and `endBody`. */
  start(exchange: Exchange): void {
    this.#exchange = exchange;
    this.#answered = false;
    this.#parser.begin(exchange.request.method === 'HEAD');
    // The first piece of a body mostly comes within this turn of the event loop, and then shares the head's write.
    // It may also wait for a 100 (Continue), so the head waits no longer than that.
    this.#held = exchange.head;
    atEndOfTurn(this);
  }

  endOfTurn(): void {
    const text = this.#takeHeld();
    if (text !== '') this.#socket.write(text, 'latin1');
  }

  #takeHeld(): string {
    const text = this.#held;
    this.#held = '';
    return text;
  }

  /** Whether a piece of a body that was sent is not yet with the operating system. */
  get holdsBytes(): boolean {
    return this.#socket.writableLength > 0;
  }

  /** Returns false when the socket holds more than it should. */
  sendBody(piece: Buffer, chunked: boolean): boolean {
    const socket = this.#socket;
    const head = this.#takeHeld();
    const before = chunked ? `${head}${piece.length.toString(16)}\r\n` : head;
    const behind = chunked ? '\r\n' : '';
    if (before === '') return socket.write(piece);
    // As one string they are one piece for the socket: the list that node makes of several costs more than the copy.
    if (piece.length <= SMALL_PIECE)
      return socket.write(before + piece.toString('latin1') + behind, 'latin1');
    socket.cork();
    socket.write(before, 'latin1');
    socket.write(piece);
    if (chunked) socket.write(behind, 'latin1');
    socket.uncork();
    return socket.writableLength < socket.writableHighWaterMark;
  }

  /** `rest`: what ends a chunked body. */
  endBody(rest: string): void {
    const text = this.#takeHeld() + rest;
    if (text !== '') this.#socket.write(text, 'latin1');
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#socket.resume();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#exchange = null;
    this.#held = '';
    this.#parser.stop();
    this.#pool.forget(this);
    this.#socket.destroy();
  }

  connectTimedOut(): void {
    this.#fail(
      { kind: 'connect-timeout', detail: `no connection to ${this.#pool.authority} in time` },
      false,
    );
  }

  informationalRead(status: number, headers: string[]): void {
    this.#exchange!.events.onInformational(status, headers);
  }

  headRead(status: number, reason: string, headers: string[], length: BodyLength): void {
    this.#exchange!.events.onHead(status, reason, headers, length);
  }

  bodyRead(bytes: Buffer, start: number, end: number): void {
    const { events } = this.#exchange!;
    if (!events.onData(this.#input.lend(bytes, start, end))) this.#paused = true;
    if (events.holdsData) this.#input.giveAway();
  }

  responseEnded(trailers: string[], surplus: boolean): void {
    const exchange = this.#exchange!;
    this.#exchange = null;
    this.#paused = false;
    this.#reused = true;
    const reusable =
      this.#parser.persistent && !surplus && exchange.sent && this.#socket.writableLength === 0;
    exchange.finish();
    if (!reusable) {
      this.close();
    } else if (this.#mayHaveMore || this.#pool.secure) {
      // More bytes may stand right behind those of this read: they come before the next turn of the event loop,
      // and must not meet the next request.
      setImmediate(parkQuiet, this);
    } else {
      this.#pool.park(this);
    }
    exchange.events.onEnd(trailers);
  }

  park(): void {
    if (!this.#closed) this.#pool.park(this);
  }

  #connect(): Socket {
    const { host, port, secure } = this.#pool;
    const onread = {
      buffer: () => this.#input.buffer,
      callback: (length: number) => this.#read(length),
    };
    if (!secure) {
      const options = { host, port, noDelay: true, onread };
      return new UpstreamSocket(options, () => (this.#reset = true)).connect(options);
    }
    const servername = isIP(host) === 0 ? host : '';
    // `onread` works for TLS as for TCP, but the types know it only for the latter.
    const options = { host, port, servername, noDelay: true, ALPNProtocols: ['http/1.1'], onread };
    return connectTls(options);
  }

  /** Returns false to stop reading. */
  #read(length: number): boolean {
    const bytes = this.#input.buffer;
    if (this.#exchange === null || this.#held !== '') {
      this.#fail({ kind: 'invalid', detail: 'bytes that answer no request' }, false);
      return true;
    }
    this.#answered = true;
    this.#mayHaveMore = length === bytes.length;
    try {
      this.#parser.read(bytes, length);
    } catch (error) {
      if (!(error instanceof InvalidMessage)) {
        this.close();
        throw error;
      }
      this.#fail({ kind: 'invalid', detail: error.message }, false);
    }
    this.#input.prepare(length, this.#parser.active);
    return !this.#paused;
  }

  #ended(): void {
    if (this.#reset || !this.#parser.closed()) this.#lost('closed by the upstream');
  }

  #lost(detail: string): void {
    this.#fail({ kind: this.#connected ? 'reset' : 'unreachable', detail }, this.#reused && !this.#answered);
  }

  /** Closes, and tells the exchange if there is one. */
  #fail(failure: UpstreamFailure, stale: boolean): void {
    const exchange = this.#exchange;
    this.close();
    exchange?.lost(failure, stale);
  }
}

function parkQuiet(connection: UpstreamConnection): void {
  connection.park();
}
