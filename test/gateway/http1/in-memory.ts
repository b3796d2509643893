import { createServer, type RequestListener, type Server } from 'node:http';
import type { Socket } from 'node:net';
import { type Duplex, duplexPair } from 'node:stream';
import { Refusal } from '../../../src/errors.ts';
import { Deadlines } from '../../../src/gateway/deadlines.ts';
import { ClientConnection } from '../../../src/gateway/http1/client-connection.ts';
import type { Http1Exchange } from '../../../src/gateway/http1/exchange.ts';
import { readHead } from '../../../src/gateway/request-head.ts';
import { asRefusal, refuse } from '../../../src/gateway/respond.ts';

/** A request that was read to its end. */
export interface ReadRequest {
  readonly method: string;
  readonly target: string;
  readonly version: string;
  /** Flat, as on the wire. */
  readonly fields: readonly string[];
  readonly body: string;
  readonly trailers: readonly string[];
}

export interface Reading {
  /** In order, up to the first one that was refused or not complete. */
  readonly requests: readonly ReadRequest[];
  /** All that was answered, as latin1. */
  readonly answers: string;
}

const HEADER_BYTES = 32 * 1024;
const TIMEOUTS = { header: 10_000, connect: 2_000, response: 60_000, idle: 300_000, drain: 30_000 };
const LIMITS = { headerBytes: HEADER_BYTES, tokenBytes: 16 * 1024, bodyBytes: null, connections: 1 };

/** Reads what one connection carries with the gateway's reader. Each request is answered 200 when it has ended. */
export async function readByGateway(pieces: readonly Buffer[]): Promise<Reading> {
  const deadlines = new Deadlines();
  try {
    return await carry(pieces, (socket, taken) => {
      // As if it were TLS: what is not a socket of the operating system is read by its events.
      new ClientConnection(socket as unknown as Socket, true, {
        gateway: { settings: { limits: LIMITS, timeouts: TIMEOUTS } },
        deadlines,
        start: (exchange) => take(exchange, taken),
      });
    });
  } finally {
    deadlines.stop();
  }
}

function take(exchange: Http1Exchange, taken: (request: ReadRequest) => void): void {
  exchange.owner = {
    settled: () => undefined,
    broken: (refusal) => refuse(exchange, refusal, 'demo'),
  };
  try {
    const head = readHead(exchange.rawHeaders, exchange.httpVersion === '1.0', null);
    exchange.understood(head);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    refuse(exchange, asRefusal(error), 'demo');
    return;
  }
  const body: Buffer[] = [];
  exchange.readBody(
    (chunk) => {
      body.push(chunk);
      return true;
    },
    (trailers) => {
      const { method, target, httpVersion: version, rawHeaders: fields } = exchange;
      taken({ method, target, version, fields, body: Buffer.concat(body).toString('latin1'), trailers });
      exchange.sendHead(200, 'OK', ['Content-Length', '0']);
      exchange.end(null, []);
    },
    () => true,
  );
}

/** The same with node's server in its strict mode, which is what read clients' requests before. */
export class NodeReader {
  readonly #server: Server;
  #taken: (request: ReadRequest) => void = () => undefined;

  constructor() {
    this.#server = createServer({ insecureHTTPParser: false, maxHeaderSize: HEADER_BYTES });
    this.#server.maxHeadersCount = 0;
    const answer = (...[request, response]: Parameters<RequestListener>): void => {
      const body: Buffer[] = [];
      request.on('data', (chunk: Buffer) => void body.push(chunk));
      request.on('end', () => {
        const {
          method = '',
          url: target = '',
          httpVersion: version,
          rawHeaders: fields,
          rawTrailers,
        } = request;
        const text = Buffer.concat(body).toString('latin1');
        this.#taken({ method, target, version, fields, body: text, trailers: rawTrailers });
        response.end();
      });
    };
    this.#server.on('request', answer);
    this.#server.on('checkContinue', answer);
    this.#server.on('checkExpectation', answer);
    // A client's end of its side does not keep what came before from being read.
    Object.assign(this.#server, { httpAllowHalfOpen: true });
  }

  read(pieces: readonly Buffer[]): Promise<Reading> {
    return carry(pieces, (socket, taken) => {
      this.#taken = taken;
      this.#server.emit('connection', socket);
    });
  }

  close(): void {
    this.#server.close();
  }
}

/** Sends the pieces over a connection in memory, then ends it. Resolves when the server has ended it too. */
async function carry(
  pieces: readonly Buffer[],
  serve: (socket: Duplex, taken: (request: ReadRequest) => void) => void,
): Promise<Reading> {
  const [client, server] = duplexPair();
  Object.assign(server, {
    remoteAddress: '127.0.0.1',
    setNoDelay: () => server,
    setTimeout: () => server,
    setKeepAlive: () => server,
    resetAndDestroy: () => server.destroy(),
  });
  const requests: ReadRequest[] = [];
  let answers = '';
  const over = Promise.withResolvers<undefined>();
  const end = (): void => over.resolve(undefined);
  client.on('end', end).on('close', end).on('error', end);
  server.on('close', end).on('error', end);
  client.setEncoding('latin1').on('data', (text: string) => (answers += text));
  serve(server, (request) => requests.push(request));
  // Both readers change what they are given in place.
  for (const piece of pieces) client.write(Buffer.from(piece));
  client.end();
  await over.promise;
  client.destroy();
  server.destroy();
  return { requests, answers };
}
