import { Agent, request as httpRequest, type IncomingHttpHeaders, type RequestOptions } from 'node:http';
import { connect, type Socket } from 'node:net';
import { WebSocket } from 'ws';
import type { Breakage } from './losses.ts';

/** How long an answer may take as a whole, in ms. */
const PATIENCE = 20_000;

export interface Call {
  readonly method?: string;
  /** Sent as it is, whatever it says. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: { readonly bytes: Buffer; readonly chunked: boolean };
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

type Connection = Pick<Breakage, 'localPort' | 'connectedAt'>;

/** The connection broke before the answer was there as a whole. */
export class Broken extends Error {
  readonly breakage: Breakage;

  constructor(message: string, breakage: Breakage) {
    super(message);
    this.breakage = breakage;
  }
}

/** A client of the soaked gateway. It goes to 127.0.0.1 only, and sends nothing twice. */
export class Client {
  readonly #port: number;
  readonly #agent: Agent;
  readonly #connectedAt = new WeakMap<Socket, number>();

  constructor(port: number, connections: number) {
    this.#port = port;
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections, scheduling: 'fifo' });
  }

  /** Rejects with `Broken`; with an Error when no answer came in time. */
  async call({ method = 'GET', path, headers = {}, body }: Call): Promise<Answer> {
    const startedAt = performance.now();
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const options: RequestOptions = {
      ...{ host: '127.0.0.1', port: this.#port, method, path, agent: this.#agent },
      headers:
        body === undefined || body.chunked ? headers : { ...headers, 'content-length': body.bytes.length },
    };
    let connection: Connection = { localPort: null, connectedAt: Infinity };
    const request = httpRequest(options);
    const broke = (error: Error): void =>
      reject(new Broken(error.message, { ...connection, startedAt, brokeAt: performance.now() }));
    request.on('socket', (socket) => {
      const known = (): void => void (connection = this.#connectionOf(socket));
      if (socket.connecting) socket.once('connect', known);
      else known();
    });
    request.on('response', (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => void pieces.push(piece));
      response.on('error', broke);
      response.on('end', () => {
        if (!response.complete) return;
        const { statusCode: status = 0, headers: answered } = response;
        resolve({ status, headers: answered, body: Buffer.concat(pieces) });
      });
    });
    request.on('error', broke);
    if (body?.chunked === true) for (const piece of piecesOf(body.bytes)) request.write(piece);
    request.end(body?.chunked === false ? body.bytes : undefined);
    const timer = setTimeout(() => {
      reject(new Error(`${method} ${path} had no answer within ${PATIENCE} ms`));
      request.destroy();
    }, PATIENCE);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Opens a WebSocket. Rejects with `Broken`, or with `Refused` when the handshake got another answer than 101. */
  async open(path: string, token: string | null): Promise<EchoSocket> {
    const startedAt = performance.now();
    let connection: Connection = { localPort: null, connectedAt: Infinity };
    const webSocket = new WebSocket(`ws://127.0.0.1:${this.#port}${path}`, {
      headers: token === null ? {} : { authorization: `Bearer ${token}` },
      perMessageDeflate: false,
      createConnection: () => {
        const socket = connect(this.#port, '127.0.0.1');
        // Asked early: a connection that has ended no longer tells its port.
        socket.once('connect', () => void (connection = this.#connectionOf(socket)));
        return socket;
      },
    });
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    webSocket.on('open', () => resolve(undefined));
    webSocket.on('unexpected-response', (request, response) => {
      response.resume();
      request.destroy();
      reject(new Refused(response.statusCode ?? 0));
    });
    webSocket.on('error', (error) =>
      reject(new Broken(error.message, { ...connection, startedAt, brokeAt: performance.now() })),
    );
    const timer = setTimeout(() => {
      reject(new Error(`a handshake had no answer within ${PATIENCE} ms`));
      webSocket.terminate();
    }, PATIENCE);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
    }
    return new EchoSocket(webSocket, connection);
  }

  #connectionOf(socket: Socket): Connection {
    let connectedAt = this.#connectedAt.get(socket);
    if (connectedAt === undefined) this.#connectedAt.set(socket, (connectedAt = performance.now()));
    return { localPort: socket.localPort ?? null, connectedAt };
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** A handshake was answered with this status. */
export class Refused extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`the handshake got ${status}`);
    this.status = status;
  }
}

/** An open WebSocket to a service that sends everything back. */
export class EchoSocket {
  readonly #socket: WebSocket;
  readonly #connection: Connection;
  #closedAt: number | null = null;
  #ended: ((error: Error) => void) | null = null;

  constructor(socket: WebSocket, connection: Connection) {
    this.#socket = socket;
    this.#connection = connection;
    socket.on('close', () => {
      this.#closedAt = performance.now();
      this.#ended?.(this.#broken(this.#closedAt));
    });
  }

  /** Sends a message, and resolves to what comes back. Rejects with `Broken`; with an Error when nothing comes. */
  async echo(message: Buffer): Promise<Buffer> {
    const startedAt = performance.now();
    // Closed since the last message: it is the moment of that which counts.
    if (this.#closedAt !== null) throw this.#broken(this.#closedAt);
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    const timer = setTimeout(
      () => reject(new Error(`a WebSocket gave no answer within ${PATIENCE} ms`)),
      PATIENCE,
    );
    this.#ended = () => reject(this.#broken(startedAt));
    this.#socket.once('message', (data) => resolve(data as Buffer));
    this.#socket.send(message);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#ended = null;
    }
  }

  close(): void {
    this.#socket.close(1000);
  }

  #broken(startedAt: number): Broken {
    const breakage = { ...this.#connection, startedAt, brokeAt: this.#closedAt ?? startedAt };
    return new Broken('a WebSocket was closed', breakage);
  }
}

function* piecesOf(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += 16_000) yield bytes.subarray(at, at + 16_000);
}
