import {
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from 'node:http2';
import { createServer as createTcpServer, type Server as TcpServer, type Socket } from 'node:net';
import type { ListenAddress } from '../contracts/settings.ts';
import { Refusal } from '../errors.ts';
import { Deadlines } from './deadlines.ts';
import type { Gateway } from './gateway.ts';
import { handleRequest } from './handle-request.ts';
import { ClientConnection, type ConnectionContext } from './http1/client-connection.ts';
import { Http2Exchange } from './http2-exchange.ts';
import { MAX_FIELDS } from './message/field-section.ts';

/** What is spoken over TLS, the best first (RFC 7301). */
const PROTOCOLS = ['h2', 'http/1.1'];

/**
 * How much more than is allowed node reads of an HTTP/2 header section, in bytes: beyond that it just resets the stream,
 * and the client is not told why.
 */
const HEADER_MARGIN = 64 * 1024;

/** How often connections without a request are looked at, in ms. */
const CONNECTION_TICK = 250;

/**
 * The listening side of a worker. It takes HTTP/1.1 and 1.0 over TCP, and with TLS also HTTP/2, and hands complete
 * header sections to `handleRequest`.
 */
export class GatewayServer {
  readonly #gateway: Gateway;
  /** Null = no TLS. */
  readonly #secure: Http2SecureServer | null;
  readonly #deadlines = new Deadlines(CONNECTION_TICK);
  readonly #context: ConnectionContext;
  readonly #sockets = new Set<Socket>();
  readonly #connections = new Set<ClientConnection>();
  readonly #sessions = new Set<ServerHttp2Session>();
  #listener: TcpServer | null = null;

  /**
   * Throws when the certificate or its key cannot be used. Servers with the same 48 bytes of `ticketKeys` resume each
   * other's TLS sessions.
   */
  constructor(gateway: Gateway, ticketKeys?: Buffer) {
    this.#gateway = gateway;
    this.#context = {
      gateway,
      deadlines: this.#deadlines,
      start: (exchange) => handleRequest(gateway, exchange),
    };
    this.#secure = gateway.settings.tls === null ? null : this.#createSecure(ticketKeys);
  }

  /** Serves a client's connection that nothing was read from yet. */
  take(socket: Socket): void {
    socket.setNoDelay(true);
    if (this.#secure !== null) {
      this.#secure.emit('connection', socket);
      return;
    }
    const connection = new ClientConnection(socket, false, this.#context);
    this.#opened(connection.socket);
    this.#serve(connection);
  }

  /** Takes every connection to an address, where nobody deals them out. Resolves to the bound port. */
  listen({ host, port }: ListenAddress): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const listener = createTcpServer({ pauseOnConnect: true }, (socket) => this.take(socket));
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

  /** Takes a renewed certificate for new connections. */
  reloadCertificate(): void {
    const { tls } = this.#gateway.settings;
    if (tls === null || this.#secure === null) return;
    this.#secure.setSecureContext(tls);
  }

  /**
   * Stops accepting, lets requests in progress finish for `timeouts.drain`, tells WebSockets to go, and resolves when
   * every connection is closed; what is left then is cut.
   */
  async drain(): Promise<void> {
    const gateway = this.#gateway;
    gateway.draining = true;
    this.#listener?.close();
    for (const tunnel of gateway.tunnels) tunnel.goAway();
    for (const session of this.#sessions) session.close();
    for (const connection of this.#connections) connection.goAway();
    for (const hold of gateway.holds) hold.goAway();
    const timer = setTimeout(() => {
      for (const socket of this.#sockets) cutOff(socket);
    }, gateway.settings.timeouts.drain);
    while (this.#sockets.size > 0)
      await new Promise((resolve) => [...this.#sockets][0]!.once('close', resolve));
    clearTimeout(timer);
    this.#deadlines.stop();
  }

  #createSecure(ticketKeys: Buffer | undefined): Http2SecureServer {
    const { tls, limits, timeouts } = this.#gateway.settings;
    const server = createSecureServer({
      // HTTP/1 is not node's to speak: it tells of such a connection by `unknownProtocol`.
      ALPNCallback: ({ protocols }) => PROTOCOLS.find((name) => protocols.includes(name)),
      ...tls,
      minVersion: 'TLSv1.2' as const,
      handshakeTimeout: timeouts.header,
      ...(ticketKeys === undefined ? {} : { ticketKeys }),
      strictSingleValueFields: false, // a service's doubled Date is no reason to lose its answer
      maxHeaderListPairs: 2 * MAX_FIELDS,
      settings: {
        enablePush: false,
        maxConcurrentStreams: 250,
        maxHeaderListSize: limits.headerBytes + HEADER_MARGIN,
      },
    });
    server.on('secureConnection', (socket: Socket) => this.#opened(socket));
    server.on('unknownProtocol', (socket: Socket) =>
      this.#serve(new ClientConnection(socket, true, this.#context)),
    );
    server.on('session', (session: ServerHttp2Session) => {
      this.#sessions.add(session);
      session.once('close', () => this.#sessions.delete(session));
      session.setTimeout(this.#gateway.settings.timeouts.idle, () => session.close());
      if (this.#isFull) session.close();
    });
    const start = (request: Http2ServerRequest, response: Http2ServerResponse): void => {
      const { headerBytes } = this.#gateway.settings.limits;
      handleRequest(this.#gateway, new Http2Exchange(request, response, headerBytes));
    };
    server.on('request', start);
    server.on('checkContinue', start);
    server.on('checkExpectation', start); // node would answer a 417 of its own
    server.on('connect', start);
    return server;
  }

  #opened(socket: Socket): void {
    const sockets = this.#sockets;
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  }

  get #isFull(): boolean {
    return this.#sockets.size > this.#gateway.connectionShare;
  }

  #serve(connection: ClientConnection): void {
    const connections = this.#connections;
    connections.add(connection);
    connection.socket.once('close', () => connections.delete(connection));
    if (this.#isFull) connection.refuse(OVERLOADED);
  }
}

const OVERLOADED = new Refusal('overloaded', 'Too many connections', { retryAfter: 1 });

/** Ends a connection with a reset, where there is one: its end alone would complete an answer without a length. */
function cutOff(socket: Socket): void {
  if ('encrypted' in socket) socket.destroy();
  else socket.resetAndDestroy();
}
