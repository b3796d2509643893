import type { Socket } from 'node:net';
import { plainAddress } from './client-address.ts';
import type { Http1Exchange } from './http1-exchange.ts';

/** How long a refused client may go on sending before the connection is cut, in ms. */
const LINGER = 2_000;

/** Pipelined requests that may wait before the socket is no longer read. */
const MOST_WAITING = 8;

/**
 * One HTTP/1 connection of a client. Requests on it are handled one after the other: node hands over everything
 * that was pipelined at once, but a service must see the second request only after the first was answered.
 */
export class ClientConnection {
  readonly socket: Socket;
  readonly peer: string;
  readonly secure: boolean;
  /** Nothing more is read as a request: what stands behind a refused one is not to be trusted. */
  refusing = false;
  current: Http1Exchange | null = null;
  /** What the last, unreadable bytes are answered with once the requests before them were served. */
  #lastWords: string | null = null;
  readonly #waiting: Http1Exchange[] = [];
  readonly #start: (exchange: Http1Exchange) => void;

  constructor(socket: Socket, secure: boolean, start: (exchange: Http1Exchange) => void) {
    this.socket = socket;
    this.secure = secure;
    this.peer = plainAddress(socket.remoteAddress ?? '');
    this.#start = start;
    socket.once('close', () => this.#closed());
  }

  accept(exchange: Http1Exchange): void {
    if (this.current !== null) {
      this.#waiting.push(exchange);
      if (this.#waiting.length === MOST_WAITING) this.socket.pause();
      return;
    }
    this.current = exchange;
    this.#start(exchange);
  }

  /** The current exchange has been answered, or given up. */
  done(): void {
    this.current = null;
    if (this.refusing) {
      this.#waiting.length = 0;
      if (this.#lastWords !== null) this.#say(this.#lastWords);
      return;
    }
    const next = this.#waiting.shift();
    if (next === undefined) return;
    if (this.#waiting.length === 0) this.socket.resume();
    this.current = next;
    this.#start(next);
  }

  /** The newest exchange whose request is not complete yet, and so the one that unreadable bytes belong to. */
  get receiving(): Http1Exchange | null {
    const newest = this.#waiting.at(-1) ?? this.current;
    return newest === null || newest.requestComplete ? null : newest;
  }

  /** Answers what cannot be read as a request with `response`, after everything before it, and closes. */
  refuse(response: string): void {
    this.refusing = true;
    if (this.current === null) this.#say(response);
    else this.#lastWords = response;
  }

  /** Forgets a waiting exchange whose request turned out to be unreadable. */
  dropWaiting(exchange: Http1Exchange): void {
    const at = this.#waiting.indexOf(exchange);
    if (at !== -1) this.#waiting.splice(at, 1);
  }

  /**
   * Closes once what was written has been sent, and lets the client finish its sentence meanwhile: closing with
   * unread bytes makes the kernel reset the connection, and the client would lose the answer.
   */
  closeAfterWriting(): void {
    this.refusing = true;
    this.socket.destroySoon = () => this.#linger();
  }

  #say(response: string): void {
    this.closeAfterWriting();
    this.socket.write(response, 'latin1');
    this.#linger();
  }

  #linger(): void {
    const { socket } = this;
    if (socket.destroyed) return;
    socket.end();
    socket.resume();
    const timer = setTimeout(() => socket.destroy(), LINGER);
    socket.once('end', () => socket.destroy());
    socket.once('close', () => clearTimeout(timer));
  }

  #closed(): void {
    this.refusing = true;
    this.#waiting.length = 0;
    this.current?.clientGone();
  }
}
