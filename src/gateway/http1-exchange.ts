import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ClientConnection } from './client-connection.ts';
import { atEndOfTurn, type HeldWrite } from './end-of-turn.ts';
import { Exchange } from './exchange.ts';

/** Rest of a refused request's body that is read and thrown away to keep the connection, in bytes. */
const SMALL_BODY = 64 * 1024;

/** Bytes up to which copying a body is cheaper than a second piece in its write. */
const SMALL_CHUNK = 4096;

export class Http1Exchange extends Exchange implements HeldWrite {
  readonly method: string;
  readonly target: string;
  readonly rawHeaders: readonly string[];
  readonly httpVersion: string;
  readonly authority = null;
  readonly connection: ClientConnection;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  #closes = false;
  /** The last piece of the answer. */
  #last: Buffer | null = null;

  constructor(request: IncomingMessage, response: ServerResponse, connection: ClientConnection) {
    super();
    this.method = request.method ?? '';
    this.target = request.url ?? '';
    this.rawHeaders = request.rawHeaders;
    this.httpVersion = request.httpVersion;
    this.connection = connection;
    this.#request = request;
    this.#response = response;
  }

  get peer(): string {
    return this.connection.peer;
  }

  get secure(): boolean {
    return this.connection.secure;
  }

  get requestComplete(): boolean {
    return this.#request.complete;
  }

  bodyFraming(announced: 'none' | 'chunked' | number): 'none' | 'chunked' | number {
    return announced;
  }

  sendHead(status: number, reason: string, headers: string[]): void {
    if (this.connection.endsWithCurrent || (this.code !== null && this.#leavesBody())) this.closeConnection();
    if (this.#closes) headers.push('Connection', 'close');
    this.#response.writeHead(status, reason, headers);
    this.status = status;
  }

  inform(status: number, headers: readonly string[]): void {
    if (this.httpVersion === '1.0') return; // RFC 9110 section 15.2
    if (status === 100) this.#response.writeContinue();
    else this.#response.writeInformation(status, headers);
  }

  write(chunk: Buffer): boolean {
    this.bytesOut += chunk.length;
    return this.#response.write(chunk);
  }

  whenWritable(callback: () => void): void {
    this.#response.once('drain', callback);
  }

  end(chunk: Buffer | null, trailers: readonly string[]): void {
    // An answer before the request's last byte: what still comes must not be read as a request.
    if (!this.#closes && this.#leavesBody()) {
      this.connection.closeAfterWriting();
      this.#response.once('finish', () => this.connection.socket.destroySoon());
    }
    if (trailers.length > 0) this.#response.addTrailers(pairs(trailers));
    this.#last = chunk;
    if (chunk !== null) this.bytesOut += chunk.length;
    if (chunk === null || chunk.length <= SMALL_CHUNK) atEndOfTurn(this);
    else this.#response.end(chunk);
    this.settle();
    this.connection.done();
  }

  endOfTurn(): void {
    const chunk = this.#last;
    if (chunk === null) this.#response.end();
    // As a string a small body shares one write with the head, which node would else hand over as a list: 3 µs.
    else this.#response.end(chunk.toString('latin1'), 'latin1');
  }

  cut(): void {
    const { socket } = this.connection;
    this.settle();
    this.connection.refusing = true;
    // A reset, where there is one: the end of the connection alone would complete a response without a length.
    if (this.secure) socket.destroy();
    else socket.resetAndDestroy();
  }

  readBody(onData: (chunk: Buffer) => boolean, onEnd: (trailers: readonly string[]) => void): void {
    const request = this.#request;
    request.on('data', (chunk: Buffer) => {
      this.bytesIn += chunk.length;
      if (!onData(chunk)) request.pause();
    });
    request.once('end', () => {
      if (request.complete) onEnd(request.rawTrailers);
    });
    // The connection's own `close` tells that the client went away.
    request.once('error', () => undefined);
  }

  resumeBody(): void {
    this.#request.resume();
  }

  closeConnection(): void {
    if (this.#closes) return;
    this.#closes = true;
    this.connection.closeAfterWriting();
  }

  /** Calls back once the whole response is with the operating system, or cannot get there any more. */
  whenSent(callback: () => void): void {
    const response = this.#response;
    if (response.writableFinished || response.destroyed) callback();
    else response.once('close', callback);
  }

  /** Whether node is done with the response, so that the connection can carry something else. */
  get sent(): boolean {
    const response = this.#response;
    return response.destroyed || (response.writableFinished && response.socket === null);
  }

  /** Whether an answer now leaves more of the request unread than a small rest that is sure to come. */
  #leavesBody(): boolean {
    if (!this.expectsBody || this.#request.complete) return false;
    const { headers } = this.#request;
    return headers.expect !== undefined || Number(headers['content-length'] ?? Infinity) > SMALL_BODY;
  }
}

function pairs(flat: readonly string[]): [string, string][] {
  const list: [string, string][] = [];
  for (let i = 0; i < flat.length; i += 2) list.push([flat[i]!, flat[i + 1]!]);
  return list;
}
