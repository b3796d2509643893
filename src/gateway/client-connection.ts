import type { Socket } from 'node:net';
import { plainAddress } from './client-address.ts';
import type { Http1Exchange } from './http1-exchange.ts';

/** How long a refused client may go on sending before the connection is cut, in ms. */
const LINGER = 2_000;

/** Pipelined requests that may wait before the socket is no longer read, and a client that leaves not noticed. */
const MOST_WAITING = 100;

/**
 * One HTTP/1 connection of a client. Requests on it are handled one after the other: node hands over everything
 * that was pipelined at once, but a service must see the second request only after the first was answered.
 */
export class ClientConnection {
  readonly socket: Socket;
  readonly peer: string;
  readonly secure: boolean;
  /** No further request is taken: what stands behind a refused one is not to be trusted. */
  refusing = false;
  /** The request being read is the last that is taken: the parser loses what stands behind an upgrade it ignores. */
  last = false;
  current: Http1Exchange | null = null;
  /** The answer to unreadable bytes, given once the requests before them were served. */
  #lastWords: string | null = null;
  #answered: Http1Exchange | null = null;
  /** What ends the connection is under way: no further byte of an answer may follow it. */
  #ending = false;
  #lingering = false;
  #starting = false;
  #heldBack = false;
  readonly #waiting: Http1Exchange[] = [];
  readonly #start: (exchange: Http1Exchange) => void;

  constructor(socket: Socket, secure: boolean, start: (exchange: Http1Exchange) => void) {
    this.socket = socket;
    this.secure = secure;
    this.peer = plainAddress(socket.remoteAddress ?? '');
    this.#start = start;
    // Node takes its own listener away with an upgrade and with CONNECT; `close` follows in any case.
    socket.on('error', () => undefined);
    socket.once('close', () => this.#closed());
  }

  accept(exchange: Http1Exchange): void {
    if (this.current !== null) {
      this.#waiting.push(exchange);
      if (this.#waiting.length >= MOST_WAITING) this.#holdBack();
      return;
    }
    this.current = exchange;
    this.#run();
  }

  /** The current exchange has been answered, or given up. */
  done(): void {
    this.#answered = this.current;
    this.current = this.#waiting.shift() ?? null;
    if (!this.#starting) this.#run();
  }

  /** The newest exchange whose request is not complete yet, and so the one that unreadable bytes belong to. */
  get receiving(): Http1Exchange | null {
    const newest = this.#waiting.at(-1) ?? this.current;
    return newest === null || newest.requestComplete ? null : newest;
  }

  /** Answers what cannot be read as a request with `response`, after everything before it, and closes. */
  refuse(response: string): void {
    this.refusing = true;
    if (this.#ending || this.#lastWords !== null) return;
    this.#lastWords = response;
    if (this.current === null) this.#sayLastWords();
  }

  /** Takes no further request and answers nothing but what was taken before. */
  stopListening(): void {
    this.refusing = true;
    // The bodies of all requests are in by then, so nothing that is still of use is held back.
    if (this.current !== null) this.#holdBack();
  }

  /** Takes no further request: the connection closes with the last answer to those at hand, or now. */
  goAway(): void {
    this.refusing = true;
    const newest = this.#waiting.at(-1) ?? this.current;
    const close = () => this.socket.destroySoon();
    if (newest === null) {
      // The answer before may still wait for the end of the event loop's turn.
      if (this.#answered === null) close();
      else this.#answered.whenSent(close);
    } else if (newest.status !== 101) newest.whenSent(close);
  }

  /** Whether an answer is still to be given, or on its way to the operating system. */
  get answering(): boolean {
    return this.current !== null || this.#answered?.sent === false;
  }

  /** Whether the answer to the current exchange is the last one. */
  get endsWithCurrent(): boolean {
    return this.refusing && this.#waiting.length === 0 && this.#lastWords === null;
  }

  /** Forgets a waiting exchange whose request turned out to be unreadable. */
  dropWaiting(exchange: Http1Exchange): void {
    const at = this.#waiting.indexOf(exchange);
    if (at !== -1) this.#waiting.splice(at, 1);
  }

  /**
   * Closes once the answer to the current exchange has been sent, and lets the client finish its sentence meanwhile:
   * closing with unread bytes makes the kernel reset the connection, and the client would lose the answer.
   */
  closeAfterWriting(): void {
    this.refusing = true;
    this.#ending = true;
    this.#waiting.length = 0;
    this.#lastWords = null;
    this.socket.destroySoon = () => this.#linger();
  }

  /** Starts what waits. A loop, since a request may be answered at once: thousands of them must not nest. */
  #run(): void {
    this.#starting = true;
    try {
      let started: Http1Exchange | null = null;
      while (this.current !== null && this.current !== started) {
        started = this.current;
        this.#start(started);
      }
    } finally {
      this.#starting = false;
    }
    if (this.current === null && this.#lastWords !== null) {
      this.#sayLastWords();
    } else if (this.#heldBack && !this.refusing && this.#waiting.length === 0) {
      this.#heldBack = false;
      this.socket.resume();
    }
  }

  /** Stops reading the socket, once the bytes at hand are parsed: node starts it again at the end of every message. */
  #holdBack(): void {
    if (this.#heldBack) return;
    this.#heldBack = true;
    process.nextTick(() => {
      if (this.#heldBack && !this.#lingering) this.socket.pause();
    });
  }

  #sayLastWords(): void {
    const words = this.#lastWords!;
    this.closeAfterWriting();
    const say = (): void => {
      if (this.socket.writable) this.socket.write(words, 'latin1');
      this.#linger();
    };
    // Node may still hold back the answer before this one, until the one before that was sent.
    if (this.#answered === null) say();
    else this.#answered.whenSent(say);
  }

  #linger(): void {
    const { socket } = this;
    if (socket.destroyed || this.#lingering) return;
    this.#lingering = true;
    socket.end();
    // Node starts to read again on `resume`, but only as long as its parser has the socket.
    if (socket.isPaused()) socket.once('resume', () => this.#discard()).resume();
    else this.#discard();
    const timer = setTimeout(() => socket.destroy(), LINGER);
    socket.once('end', () => socket.destroy());
    socket.once('close', () => clearTimeout(timer));
  }

  /** Takes the socket away from node's parser: the rest is thrown away unread. */
  #discard(): void {
    this.socket.removeAllListeners('data');
    this.socket.on('data', () => undefined);
  }

  #closed(): void {
    this.refusing = true;
    this.#ending = true;
    this.#waiting.length = 0;
    this.current?.clientGone();
  }
}
