import { STATUS_CODES } from 'node:http';
import { Exchange, type BodyFraming, type UpgradeHandshake } from '../exchange.ts';
import { lastChunk } from '../forward/serialize-request.ts';
import { asksForUpgrade, isWebSocketHandshake } from '../forward/web-socket-handshake.ts';
import type { RequestHead } from '../request-head.ts';
import type { ClientConnection } from './client-connection.ts';
import { requireLines } from '../message/require-lines.ts';
import { hasField, responseHead } from './response-head.ts';

/** Rest of a refused request's body that is read and thrown away to keep the connection, in bytes. */
const SMALL_BODY = 64 * 1024;

/** Bytes up to which copying a body is cheaper than a second piece in its write. */
const SMALL_CHUNK = 4096;

const CLOSE = 'Connection: close\r\n';
const CHUNKED = 'Transfer-Encoding: chunked\r\n';

/** One request on an HTTP/1 connection, and its response. */
export class Http1Exchange extends Exchange {
  readonly method: string;
  readonly target: string;
  readonly rawHeaders: readonly string[];
  readonly httpVersion: '1.0' | '1.1';
  readonly authority = null;
  override handshake: UpgradeHandshake | null = null;
  requestComplete = false;
  readonly #connection: ClientConnection;
  /** null = the head was not understood so far. */
  #framing: BodyFraming | null = null;
  #expectsContinue = false;
  #onData: ((chunk: Buffer) => boolean) | null = null;
  #onEnd: ((trailers: readonly string[]) => void) | null = null;
  #holdsData: (() => boolean) | null = null;
  #trailers: readonly string[] = [];
  #paused = false;
  #bodiless = false;
  #chunked = false;

  constructor(
    connection: ClientConnection,
    method: string,
    target: string,
    rawHeaders: readonly string[],
    http10: boolean,
  ) {
    super();
    this.method = method;
    this.target = target;
    this.rawHeaders = rawHeaders;
    this.httpVersion = http10 ? '1.0' : '1.1';
    this.#connection = connection;
  }

  get peer(): string {
    return this.#connection.peer;
  }

  get secure(): boolean {
    return this.#connection.secure;
  }

  /** Whether what follows the head is known. Where it is not, nothing behind this request can be read. */
  get framed(): boolean {
    return this.#framing !== null;
  }

  understood(head: RequestHead): BodyFraming {
    this.#framing = head.body;
    this.#expectsContinue = head.expectsContinue;
    if (!persists(head, this.httpVersion === '1.0')) this.closeConnection();
    if (asksForUpgrade(head)) {
      // One that the gateway does not take is ignored, as RFC 9110 section 7.8 allows; h2c in particular would go
      // around all checks. The client may have meant what stands behind it for the other protocol.
      this.closeConnection();
      if (this.httpVersion === '1.1' && isWebSocketHandshake(this.method, head)) {
        this.handshake = this.#connection;
      }
    }
    this.#connection.bodyFollows(head.body);
    return head.body;
  }

  /** A piece of the request's body. Returns whether it may still be needed. */
  bodyCame(chunk: Buffer): boolean {
    if (this.settled) return false;
    this.bytesIn += chunk.length;
    if (!this.#onData!(chunk)) this.#paused = true;
    return this.#holdsData!();
  }

  bodyEnded(trailers: readonly string[]): void {
    this.requestComplete = true;
    this.#trailers = trailers;
    if (!this.settled) this.#onEnd?.(trailers);
  }

  /** Whether the body's next piece has somewhere to go. */
  get takesBody(): boolean {
    return this.settled || (this.#onData !== null && !this.#paused);
  }

  sendHead(status: number, reason: string, headers: string[]): void {
    const connection = this.#connection;
    if (!this.framed || (this.code !== null && this.#leavesBody())) this.closeConnection();
    this.#bodiless = this.method === 'HEAD' || status === 204 || status === 304;
    const endless = !this.#bodiless && !hasField(headers, 'content-length');
    this.#chunked = endless && this.httpVersion === '1.1';
    if (endless && !this.#chunked) this.closeConnection();
    let own = connection.last ? CLOSE : connection.keepAliveFields;
    let ownLines = connection.last ? 1 : 2;
    if (this.#chunked) {
      own += CHUNKED;
      ownLines++;
    }
    connection.send(responseHead(status, reason, headers, own, ownLines, connection.now));
    this.status = status;
  }

  inform(status: number, headers: readonly string[]): void {
    if (this.httpVersion === '1.0') return; // RFC 9110 section 15.2
    let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`;
    for (let i = 0; i < headers.length; i += 2) head += `${headers[i]!}: ${headers[i + 1]!}\r\n`;
    head += '\r\n';
    requireLines(head, headers.length / 2 + 2);
    this.#connection.send(head);
  }

  write(chunk: Buffer): boolean {
    if (this.#bodiless) return true;
    this.bytesOut += chunk.length;
    return this.#send(chunk);
  }

  get holdsBytes(): boolean {
    return this.#connection.socket.writableLength > 0;
  }

  whenWritable(callback: () => void): void {
    this.#connection.whenWritable(callback);
  }

  end(chunk: Buffer | null, trailers: readonly string[]): void {
    const connection = this.#connection;
    // An answer before the request's last byte: what still comes must not be read as a request.
    if (this.#leavesBody()) this.closeConnection();
    if (chunk !== null && chunk.length > 0 && !this.#bodiless) {
      this.bytesOut += chunk.length;
      this.#send(chunk);
    }
    if (this.#chunked) connection.send(lastChunk(trailers));
    this.settle();
    connection.done();
  }

  cut(): void {
    this.settle();
    this.#connection.cut();
  }

  readBody(
    onData: (chunk: Buffer) => boolean,
    onEnd: (trailers: readonly string[]) => void,
    holdsData: () => boolean,
  ): void {
    this.#onData = onData;
    this.#onEnd = onEnd;
    this.#holdsData = holdsData;
    if (this.requestComplete) onEnd(this.#trailers);
    else this.#connection.advance();
  }

  resumeBody(): void {
    this.#paused = false;
    this.#connection.advance();
  }

  closeConnection(): void {
    this.#connection.last = true;
  }

  #send(chunk: Buffer): boolean {
    const connection = this.#connection;
    const small = chunk.length <= SMALL_CHUNK;
    if (!this.#chunked)
      return small ? connection.send(chunk.toString('latin1')) : connection.sendBytes(chunk, '');
    const size = `${chunk.length.toString(16)}\r\n`;
    if (small) return connection.send(`${size}${chunk.toString('latin1')}\r\n`);
    connection.send(size);
    return connection.sendBytes(chunk, '\r\n');
  }

  /** Whether an answer now leaves more of the request unread than a small rest that is sure to come. */
  #leavesBody(): boolean {
    if (this.requestComplete) return false;
    const framing = this.#framing;
    return this.#expectsContinue || typeof framing !== 'number' || framing > SMALL_BODY;
  }
}

/** Whether the client keeps the connection after this request (RFC 9112 section 9.3). */
function persists({ connection }: RequestHead, http10: boolean): boolean {
  if (connection === null) return !http10;
  const options = connection.toLowerCase();
  if (options === 'keep-alive') return true;
  return !hasOption(options, 'close') && (!http10 || hasOption(options, 'keep-alive'));
}

function hasOption(options: string, wanted: string): boolean {
  return options.split(',').some((option) => option.trim() === wanted);
}
