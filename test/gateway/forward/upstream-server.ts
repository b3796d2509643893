import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createUpstreamClient } from '../../../src/gateway/forward/upstream-client.ts';
import type {
  UpstreamClient,
  UpstreamClientOptions,
  UpstreamEvents,
  UpstreamExchange,
  UpstreamFailure,
  UpstreamRequest,
} from '../../../src/gateway/forward/upstream-types.ts';

const OPTIONS: UpstreamClientOptions = {
  connectTimeout: 5_000,
  maxIdle: 10,
  idleTimeout: 60_000,
  headBytes: 32 * 1024,
};

/** A raw TCP server that does with each connection what the test says, and a client; both end with the test. */
export class Upstream implements AsyncDisposable {
  /** In the order in which they were accepted. */
  readonly connections: Socket[] = [];
  readonly client: UpstreamClient;
  readonly #server: Server;

  private constructor(server: Server, options: Partial<UpstreamClientOptions>) {
    this.#server = server;
    this.client = createUpstreamClient({ ...OPTIONS, ...options });
    const accepted = server.listenerCount('secureConnection') > 0 ? 'secureConnection' : 'connection';
    server.on(accepted, (socket: Socket) => this.connections.push(socket.on('error', () => undefined)));
  }

  static async start(
    behave: (socket: Socket, number: number) => void,
    options: Partial<UpstreamClientOptions> = {},
    host = '127.0.0.1',
  ): Promise<Upstream> {
    let number = 0;
    return Upstream.on(
      createServer((socket) => behave(socket, number++)),
      options,
      host,
    );
  }

  static async on(
    server: Server,
    options: Partial<UpstreamClientOptions> = {},
    host = '127.0.0.1',
  ): Promise<Upstream> {
    const upstream = new Upstream(server, options);
    server.listen(0, host);
    await once(server, 'listening');
    return upstream;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  send(request: Partial<UpstreamRequest> = {}, origin = this.origin): Answer {
    return new Answer(this.client, origin, {
      method: 'GET',
      target: '/',
      headers: [],
      lines: '',
      body: 'none',
      retryable: false,
      ...request,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client.close();
    for (const socket of this.connections) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

/** Records the events of one exchange, in order and in words. */
export class Answer implements UpstreamEvents {
  readonly events: string[] = [];
  readonly exchange: UpstreamExchange;
  status = 0;
  reason = '';
  headers: string[] = [];
  length: number | string = -1;
  trailers: string[] = [];
  failure: UpstreamFailure | undefined;
  chunks: Buffer[] = [];
  received = 0;
  /** What `onData` returns. */
  flowing = true;
  holdsData = true;
  /** Called after each event is recorded. */
  during: (event: string) => void = () => undefined;
  /** Resolves after `onEnd` or `onFailed`. */
  readonly over: Promise<void>;
  readonly #resolvers = Promise.withResolvers<undefined>();

  constructor(client: UpstreamClient, origin: string, request: UpstreamRequest) {
    this.over = this.#resolvers.promise;
    this.exchange = client.request(origin, request, this);
    if (this.events.length > 0) throw new Error('an event came synchronously');
  }

  get body(): string {
    return Buffer.concat(this.chunks).toString('latin1');
  }

  /** Resolves at the next event of this kind. */
  async next(event: string): Promise<void> {
    const before = this.during;
    await new Promise<void>((resolve) => {
      this.during = (name) => {
        before(name);
        if (name === event) resolve();
      };
    });
    this.during = before;
  }

  onInformational(status: number, headers: string[]): void {
    this.#record(`informational ${status} ${headers.join(' ')}`.trim());
  }

  onHead(status: number, reason: string, headers: string[], length: number | string): void {
    Object.assign(this, { status, reason, headers, length });
    this.#record('head');
  }

  onData(chunk: Buffer): boolean {
    this.received += chunk.length;
    this.chunks.push(chunk);
    this.#record('data');
    return this.flowing;
  }

  onEnd(trailers: string[]): void {
    this.trailers = trailers;
    this.#record('end');
    this.#resolvers.resolve(undefined);
  }

  onFailed(failure: UpstreamFailure): void {
    this.failure = failure;
    this.#record(`failed ${failure.kind}`);
    this.#resolvers.resolve(undefined);
  }

  onDrain(): void {
    this.#record('drain');
  }

  #record(event: string): void {
    this.events.push(event);
    this.during(event);
  }
}

/** Calls `answer` with the text received so far whenever that ends with `end`, and forgets the text. */
export function onMessage(socket: Socket, end: string, answer: (message: string) => void): void {
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1');
    if (!text.endsWith(end)) return;
    const message = text;
    text = '';
    answer(message);
  });
}

/** Answers every request without a body with the same bytes. */
export function always(answer: string): (socket: Socket) => void {
  return (socket) => onMessage(socket, '\r\n\r\n', () => socket.write(answer, 'latin1'));
}

export const HELLO = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello';

/** Resolves when the connection is closed, whether in order or by a reset. */
export async function closed(socket: Socket): Promise<void> {
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve));
}
