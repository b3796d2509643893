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
  type Http2ServerResponse,
  type ServerHttp2Session,
} from 'node:http2';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ListenAddress } from '../contracts/settings.ts';
import { Refusal } from '../errors.ts';
import { newRequestId } from '../telemetry/trace-context.ts';
import { ClientConnection } from './client-connection.ts';
import type { Exchange } from './exchange.ts';
import type { UpgradeHandshake } from './forward/upgrade.ts';
import type { Gateway } from './gateway.ts';
import { handleRequest } from './handle-request.ts';
import { Http1Exchange } from './http1-exchange.ts';
import { Http2Exchange } from './http2-exchange.ts';
import { rawRefusal } from './respond.ts';

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

  /** Throws when the certificate or its key cannot be used. */
  constructor(gateway: Gateway) {
    this.#gateway = gateway;
    const { tls } = gateway.settings;
    this.#server =
      tls === null ? createHttpServer(this.#options()) : createSecureServer(this.#secureOptions());
    const server = this.#server as HttpServer;
    server.maxHeadersCount = 0; // beyond it node drops fields silently; their bytes are limited instead
    server.headersTimeout = gateway.settings.timeouts.header;
    server.requestTimeout = 0;
    server.keepAliveTimeout = gateway.settings.timeouts.idle;
    server.timeout = 0;
    server.on(tls === null ? 'connection' : 'secureConnection', (socket: Socket) => this.#connected(socket));
    server.on('request', (request, response) => this.#request(request, response));
    server.on('checkContinue', (request, response) => this.#request(request, response));
    server.on('checkExpectation', (request, response) => this.#request(request, response));
    server.on('upgrade', (request: IncomingMessage, socket, head) =>
      this.#upgrade(request, tcp(socket), head),
    );
    server.on('connect', (_request, socket) => this.#refuseBytes(tcp(socket), NO_TUNNEL));
    server.on('clientError', (error: NodeJS.ErrnoException, socket) => this.#unreadable(error, tcp(socket)));
    this.#server.on('session', (session: ServerHttp2Session) => this.#opened(session));
  }

  /** Resolves to the bound port once connections are accepted. Rejects with the system's error. */
  listen({ host, port }: ListenAddress): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.#server.once('error', reject);
    this.#server.listen({ host, port, backlog: 1024 }, () => {
      this.#server.removeListener('error', reject);
      const address = this.#server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
    return promise;
  }

  get connections(): number {
    return this.#sockets.size;
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
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const tunnel of gateway.tunnels) tunnel.goAway();
    for (const session of this.#sessions) session.close();
    for (const socket of this.#sockets) {
      if ((socket as TrackedSocket)[connectionOf]?.current === null) socket.destroySoon();
    }
    const timer = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
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
      shouldUpgradeCallback: isWebSocket,
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
    if (sockets.size > this.#share()) connection.refuse(rawRefusal(OVERLOADED, newRequestId()));
  }

  /** This worker's part of the connections that the gateway takes at a time; they are dealt out evenly. */
  #share(): number {
    const { limits, workers } = this.#gateway.settings;
    return Math.ceil(limits.connections / workers);
  }

  #opened(session: ServerHttp2Session): void {
    this.#sessions.add(session);
    session.once('close', () => this.#sessions.delete(session));
    session.setTimeout(this.#gateway.settings.timeouts.idle, () => session.close());
    if (this.#sockets.size > this.#share()) session.close();
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
    if (connection === undefined || connection.refusing) return;
    const exchange = new Http1Exchange(request, response as ServerResponse, connection);
    if (request.httpVersion === '1.1' || request.httpVersion === '1.0') connection.accept(exchange);
    else connection.refuse(rawRefusal(WRONG_VERSION, exchange.requestId));
  }

  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    const connection = (socket as TrackedSocket)[connectionOf];
    if (connection === undefined || connection.refusing || connection.current !== null) {
      // A handshake behind an unanswered request: nobody does that, and node has let go of the first one's socket.
      socket.destroy();
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
  #unreadable(error: NodeJS.ErrnoException, socket: Socket): void {
    const connection = (socket as TrackedSocket)[connectionOf];
    if (connection === undefined || !socket.writable || error.code === 'ECONNRESET') {
      socket.destroy(error);
      return;
    }
    const refusal = readingOf(error.code ?? '');
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
const OVERLOADED = new Refusal('overloaded', 'Too many connections', { retryAfter: 1 });

/** node's types allow for servers over other streams; this one listens on TCP, with TLS or without. */
function tcp(stream: Duplex): Socket {
  if (stream instanceof Socket) return stream;
  throw new TypeError('A connection is not a socket');
}

/** Every other upgrade is ignored, as RFC 9110 section 7.8 allows; h2c in particular would go around all checks. */
function isWebSocket(request: IncomingMessage): boolean {
  const { headers, method, httpVersion } = request;
  return (
    method === 'GET' &&
    httpVersion === '1.1' &&
    headers.upgrade?.toLowerCase() === 'websocket' &&
    headers['content-length'] === undefined &&
    headers['transfer-encoding'] === undefined
  );
}

/** What an error of node's parser means to the client. */
function readingOf(code: string): Refusal {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new Refusal('headers_too_large', 'The request line and header fields are too large');
    case 'HPE_INVALID_URL':
      return new Refusal(
        'ambiguous_path',
        'The request target is refused: it is not a path of printable ASCII',
      );
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new Refusal('request_timeout', 'The header section took too long to arrive');
    default:
      return new Refusal('malformed_request', 'The request is not valid HTTP/1.1');
  }
}
