import { readFileSync } from 'node:fs';
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server as HttpServer,
  ServerResponse,
} from 'node:http';
import {
  createSecureServer,
  type Http2SecureServer,
  Http2ServerRequest,
  Http2ServerResponse,
  type ServerHttp2Session,
} from 'node:http2';
import { createServer as createTcpServer, type Server as TcpServer, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ListenAddress } from '../contracts/settings.ts';
import { Refusal } from '../errors.ts';
import { newRequestId } from '../telemetry/trace-context.ts';
import { ClientConnection } from './client-connection.ts';
import type { Exchange } from './exchange.ts';
import type { UpgradeHandshake } from './forward/upgrade.ts';
import { isWebSocketHandshake } from './forward/web-socket-handshake.ts';
import type { Gateway } from './gateway.ts';
import { handleRequest } from './handle-request.ts';
import { Http1Exchange } from './http1-exchange.ts';
import { Http2Exchange } from './http2-exchange.ts';
import { rawRefusal } from './respond.ts';

/** What node's parser throws, with the bytes that it was reading. */
interface ParserError extends NodeJS.ErrnoException {
  readonly rawPacket?: Buffer;
  /** Where in them it stopped. */
  readonly bytesParsed?: number;
}

const connectionOf = Symbol('client connection');

interface TrackedSocket extends Socket {
  [connectionOf]?: ClientConnection;
}

/** How often node looks for requests whose header section is late, in ms. */
const LATE_HEADER_CHECK = 500;

/**
 * The listening side of a worker. It takes HTTP/1.1 and 1.0 over TCP, and with TLS also HTTP/2, hands complete header
 * sections to `handleRequest`, and answers itself what node's parser could not read.
 */
export class GatewayServer {
  readonly #gateway: Gateway;
  readonly #server: HttpServer | Http2SecureServer;
  readonly #sockets = new Set<Socket>();
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #ticketKeys: Buffer | undefined;
  #listener: TcpServer | null = null;

  /**
   * Throws when the certificate or its key cannot be used. Servers with the same 48 bytes of `ticketKeys` resume each
   * other's TLS sessions.
   */
  constructor(gateway: Gateway, ticketKeys?: Buffer) {
    this.#gateway = gateway;
    this.#ticketKeys = ticketKeys;
    const { tls } = gateway.settings;
    this.#server =
      tls === null ? createHttpServer(this.#options()) : createSecureServer(this.#secureOptions());
    const server = this.#server as HttpServer;
    server.maxHeadersCount = 0; // beyond it node drops fields silently; their bytes are limited instead
    server.headersTimeout = gateway.settings.timeouts.header;
    server.requestTimeout = 0;
    server.timeout = 0;
    this.applyTimeouts();
    server.on(tls === null ? 'connection' : 'secureConnection', (socket: Socket) => this.#connected(socket));
    server.on('request', (request, response) => this.#request(request, response));
    server.on('checkContinue', (request, response) => this.#request(request, response));
    server.on('checkExpectation', (request, response) => this.#request(request, response));
    // Node's server with HTTP/2 replaces the option of this name.
    Object.assign(server, { shouldUpgradeCallback });
    server.on('upgrade', (request: IncomingMessage, _socket, head) => this.#upgrade(request, head));
    server.on('connect', (request: IncomingMessage | Http2ServerRequest, connected: unknown) => {
      if (connected instanceof Http2ServerResponse) this.#request(request, connected);
      else this.#refuseBytes(request.socket, NO_TUNNEL);
    });
    server.on('clientError', (error: ParserError, socket) => this.#unreadable(error, tcp(socket)));
    this.#server.on('session', (session: ServerHttp2Session) => this.#opened(session));
    // Connections are handed in, and node looks for late header sections only on a server that listens.
    this.#server.emit('listening');
  }

  /** Serves a client's connection that nothing was read from yet. */
  take(socket: Socket): void {
    socket.setNoDelay(true);
    // As with node's own servers: over TCP a client may end its side and still get its answer.
    socket.allowHalfOpen = this.#gateway.settings.tls === null;
    this.#server.emit('connection', socket);
  }

  /** Takes every connection to an address, where nobody deals them out. Resolves to the bound port. */
  listen({ host, port }: ListenAddress): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const listener = createTcpServer((socket) => this.take(socket));
    this.#listener = listener;
    listener.once('error', reject);
    listener.listen({ host, port, backlog: 1024 }, () => {
      const address = listener.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
    return promise;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  /** Takes the changed time that a connection may be idle between two requests, from its next answer on. */
  applyTimeouts(): void {
    (this.#server as HttpServer).keepAliveTimeout = this.#gateway.settings.timeouts.idle;
  }

  /** Takes a renewed certificate for new connections. */
  reloadCertificate(): void {
    const { tls } = this.#gateway.settings;
    if (tls === null || !('setSecureContext' in this.#server)) return;
    this.#server.setSecureContext({ cert: readFileSync(tls.cert), key: readFileSync(tls.key) });
  }

  /**
   * Stops accepting, lets requests in progress finish for `timeouts.drain`, tells WebSockets to go, and resolves when
   * every connection is closed; what is left then is cut.
   */
  async drain(): Promise<void> {
    const gateway = this.#gateway;
    gateway.draining = true;
    this.#listener?.close();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const tunnel of gateway.tunnels) tunnel.goAway();
    for (const session of this.#sessions) session.close();
    for (const socket of this.#sockets) {
      (socket as TrackedSocket)[connectionOf]?.goAway();
    }
    for (const hold of gateway.holds) hold.goAway();
    const timer = setTimeout(() => {
      for (const socket of this.#sockets) cutOff(socket);
    }, gateway.settings.timeouts.drain);
    await closed;
    while (this.#sockets.size > 0)
      await new Promise((resolve) => [...this.#sockets][0]!.once('close', resolve));
    clearTimeout(timer);
  }

  #options() {
    const { limits, timeouts } = this.#gateway.settings;
    return {
      maxHeaderSize: limits.headerBytes,
      headersTimeout: timeouts.header,
      requestTimeout: 0,
      connectionsCheckingInterval: LATE_HEADER_CHECK,
      requireHostHeader: false, // answered in our own form
      insecureHTTPParser: false,
      noDelay: true,
      shouldUpgradeCallback,
    };
  }

  #secureOptions() {
    const { tls, limits } = this.#gateway.settings;
    return {
      ...this.#options(),
      allowHTTP1: true,
      cert: readFileSync(tls!.cert),
      key: readFileSync(tls!.key),
      minVersion: 'TLSv1.2' as const,
      ...(this.#ticketKeys === undefined ? {} : { ticketKeys: this.#ticketKeys }),
      strictSingleValueFields: false, // a service's doubled Date is no reason to lose its answer
      settings: { enablePush: false, maxConcurrentStreams: 250, maxHeaderListSize: limits.headerBytes },
    };
  }

  #connected(socket: TrackedSocket): void {
    const sockets = this.#sockets;
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    if ('alpnProtocol' in socket && socket.alpnProtocol === 'h2') return;
    const connection = new ClientConnection(socket, 'encrypted' in socket, (exchange) =>
      this.#start(exchange, null),
    );
    socket[connectionOf] = connection;
    if (sockets.size > this.#gateway.connectionShare)
      connection.refuse(rawRefusal(OVERLOADED, newRequestId()));
  }

  #opened(session: ServerHttp2Session): void {
    this.#sessions.add(session);
    session.once('close', () => this.#sessions.delete(session));
    session.setTimeout(this.#gateway.settings.timeouts.idle, () => session.close());
    if (this.#sockets.size > this.#gateway.connectionShare) session.close();
  }

  #request(
    request: IncomingMessage | Http2ServerRequest,
    response: ServerResponse | Http2ServerResponse,
  ): void {
    if (request instanceof Http2ServerRequest) {
      this.#start(new Http2Exchange(request, response as Http2ServerResponse), null);
      return;
    }
    const connection = (request.socket as TrackedSocket)[connectionOf];
    if (connection === undefined) return;
    if (connection.refusing) {
      connection.stopListening();
      return;
    }
    if (connection.last) connection.refusing = true;
    const exchange = new Http1Exchange(request, response as ServerResponse, connection);
    if (request.httpVersion === '1.1' || request.httpVersion === '1.0') connection.accept(exchange);
    else connection.refuse(rawRefusal(WRONG_VERSION, exchange.requestId));
  }

  #upgrade(request: IncomingMessage, head: Buffer): void {
    const { socket } = request;
    const connection = (socket as TrackedSocket)[connectionOf];
    if (connection === undefined || connection.refusing) return;
    if (connection.answering) {
      connection.refuse(rawRefusal(PIPELINED_HANDSHAKE, newRequestId()));
      return;
    }
    const response = new ServerResponse(request);
    response.assignSocket(socket);
    response.shouldKeepAlive = false;
    response.once('finish', () => socket.destroySoon());
    socket.on('error', () => undefined); // node has taken its own listener away; `close` follows
    const exchange = new Http1Exchange(request, response, connection);
    exchange.closeConnection();
    connection.current = exchange;
    this.#start(exchange, { request, socket, head });
  }

  #start(exchange: Exchange, handshake: UpgradeHandshake | null): void {
    handleRequest(this.#gateway, exchange, handshake);
  }

  /** Bytes that are not HTTP. They may stand behind a good request, inside of its body, or alone. */
  #unreadable(error: ParserError, socket: Socket): void {
    const connection = (socket as TrackedSocket)[connectionOf];
    if (connection === undefined || error.code === 'ECONNRESET') {
      socket.destroy(error);
      return;
    }
    if (error.code === 'HPE_CLOSED_CONNECTION') {
      // Behind a request that said `Connection: close`, whose answer is the last.
      connection.stopListening();
      return;
    }
    const refusal = readingOf(error);
    const broken = connection.receiving;
    if (broken === null || broken !== connection.current) {
      if (broken !== null) connection.dropWaiting(broken);
      connection.refuse(rawRefusal(refusal, newRequestId()));
      return;
    }
    connection.refusing = true;
    broken.breakOff(refusal);
  }

  #refuseBytes(socket: Socket, refusal: Refusal): void {
    const connection = (socket as TrackedSocket)[connectionOf];
    if (connection === undefined) socket.destroy();
    else connection.refuse(rawRefusal(refusal, newRequestId()));
  }
}

const NO_TUNNEL = new Refusal('ambiguous_path', 'The request target is refused: this is not a forward proxy');
const WRONG_VERSION = new Refusal('malformed_request', 'The HTTP version is not 1.0 or 1.1');
const PIPELINED_HANDSHAKE = new Refusal(
  'malformed_request',
  'A handshake has to wait for the answers to the requests before it',
);
const OVERLOADED = new Refusal('overloaded', 'Too many connections', { retryAfter: 1 });

/** node's types allow for servers over other streams; this one listens on TCP, with TLS or without. */
function tcp(stream: Duplex): Socket {
  if (stream instanceof Socket) return stream;
  throw new TypeError('A connection is not a socket');
}

/** Ends a connection with a reset, where there is one: its end alone would complete an answer without a length. */
function cutOff(socket: Socket): void {
  if ('encrypted' in socket) socket.destroy();
  else socket.resetAndDestroy();
}

/**
 * Whether an upgrade is a WebSocket handshake. Every other one is ignored, as RFC 9110 section 7.8 allows; h2c in
 * particular would go around all checks.
 */
function shouldUpgradeCallback(request: IncomingMessage): boolean {
  const isHandshake = request.httpVersion === '1.1' && isWebSocketHandshake(request.method, request.headers);
  const connection = (request.socket as TrackedSocket)[connectionOf];
  if (!isHandshake && connection !== undefined) connection.last = true;
  return isHandshake;
}

function isControl(byte: number | undefined): boolean {
  return byte !== undefined && byte < 0x20;
}

/** What an error of node's parser means to the client. */
function readingOf({ code, rawPacket, bytesParsed = 0 }: ParserError): Refusal {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new Refusal('headers_too_large', 'The request line and header fields are too large');
    case 'HPE_INVALID_URL':
      // A control character would break the request line; anything else makes an ambiguous target of it. The parser
      // stops at it, or behind a CR that should have had its LF.
      return isControl(rawPacket?.[bytesParsed]) || isControl(rawPacket?.[bytesParsed - 1])
        ? new Refusal('malformed_request', 'The request line has a control character')
        : new Refusal('ambiguous_path', 'The request target is refused: it is not a path of printable ASCII');
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new Refusal('request_timeout', 'The header section took too long to arrive');
    default:
      return new Refusal('malformed_request', 'The request is not valid HTTP/1.1');
  }
}
