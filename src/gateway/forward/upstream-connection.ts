import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { atEndOfTurn, type HeldWrite } from '../end-of-turn.ts';
import { InvalidResponse } from './invalid-response.ts';
import type { OriginPool } from './origin-pool.ts';
import { ReadBuffer } from './read-buffer.ts';
import { ResponseParser, type ResponseSink } from './response-parser.ts';
import type { BodyLength } from './response-framing.ts';
import type { Exchange } from './upstream-exchange.ts';
import type { UpstreamFailure } from './upstream-types.ts';

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
  /** The head waits in the corked socket for the first piece of the body. */
  #headHeld = false;
  #paused = false;
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
    this.#socket.cork();
    this.#socket.write(exchange.head, 'latin1');
    this.#headHeld = true;
    atEndOfTurn(this);
  }

  endOfTurn(): void {
    this.#releaseHead();
  }

  #releaseHead(): void {
    if (!this.#headHeld) return;
    this.#headHeld = false;
    this.#socket.uncork();
  }

  /** Returns false when the socket holds more than it should. */
  sendBody(piece: Buffer, chunked: boolean): boolean {
    const socket = this.#socket;
    let more: boolean;
    if (chunked) {
      socket.cork();
      socket.write(`${piece.length.toString(16)}\r\n`, 'latin1');
      socket.write(piece);
      more = socket.write('\r\n', 'latin1');
      socket.uncork();
    } else {
      more = socket.write(piece);
    }
    this.#releaseHead();
    return more;
  }

  /** `rest`: what ends a chunked body. */
  endBody(rest: string): void {
    if (rest !== '') this.#socket.write(rest, 'latin1');
    this.#releaseHead();
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
    if (!this.#exchange!.events.onData(this.#input.keep(bytes, start, end))) this.#paused = true;
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
    if (!secure) return connectTcp({ host, port, noDelay: true, onread });
    const servername = isIP(host) === 0 ? host : '';
    // `onread` works for TLS as for TCP, but the types know it only for the latter.
    const options = { host, port, servername, noDelay: true, ALPNProtocols: ['http/1.1'], onread };
    return connectTls(options);
  }

  /** Returns false to stop reading. */
  #read(length: number): boolean {
    const bytes = this.#input.buffer;
    if (this.#exchange === null || this.#headHeld) {
      this.#fail({ kind: 'invalid', detail: 'bytes that answer no request' }, false);
      return true;
    }
    this.#answered = true;
    this.#mayHaveMore = length === bytes.length;
    try {
      this.#parser.read(bytes, length);
    } catch (error) {
      if (!(error instanceof InvalidResponse)) {
        this.close();
        throw error;
      }
      this.#fail({ kind: 'invalid', detail: error.message }, false);
    }
    this.#input.prepare(length, this.#parser.active);
    return !this.#paused;
  }

  #ended(): void {
    if (!this.#parser.closed()) this.#lost('closed by the upstream');
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
