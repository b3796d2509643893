import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { onTestFinished } from 'vitest';
import type { TestGateway, TestGatewayOptions } from '../support/gateway.ts';
import type { Route } from '../../src/contracts/settings.ts';
import { gatewayTo } from './forward/client.ts';

const file = (name: string): string =>
  readFileSync(new URL(`../fixtures/tls/${name}`, import.meta.url), 'utf8');
export const TLS = { cert: file('localhost.crt'), key: file('localhost.key') };
export const CA = TLS.cert;

/** A gateway that speaks TLS, with one public route `/` to this origin. */
export function secureGatewayTo(
  origin: string,
  options: TestGatewayOptions & { route?: Partial<Route> } = {},
): Promise<TestGateway> {
  return gatewayTo([origin], { ...options, settings: { tls: TLS, ...options.settings } });
}

export function openSession(port: number): ClientHttp2Session {
  const session = connectHttp2(`https://localhost:${port}`, { ca: CA });
  session.on('error', () => undefined);
  onTestFinished(() => session.destroy());
  return session;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly trailers: IncomingHttpHeaders;
  readonly informational: IncomingHttpHeaders[];
  /** How the stream ended: 0 = NO_ERROR. */
  readonly reset: number;
}

/** Sends a request; a body ends the stream. */
export function ask(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders = {},
  body?: string | Buffer,
): Promise<Answer> {
  const stream = session.request({ ':path': '/', ...headers }, { endStream: body === undefined });
  if (body !== undefined) stream.end(body);
  return answerOf(stream);
}

/** What comes back on a stream, whole or cut. */
export async function answerOf(stream: ClientHttp2Stream): Promise<Answer> {
  let headers: IncomingHttpHeaders = {};
  let trailers: IncomingHttpHeaders = {};
  const informational: IncomingHttpHeaders[] = [];
  let body = '';
  stream.on('error', () => undefined);
  stream.on('response', (given) => (headers = given));
  stream.on('headers', (given) => void informational.push(given));
  stream.on('trailers', (given) => (trailers = given));
  stream.setEncoding('latin1');
  stream.on('data', (chunk: string) => (body += chunk));
  await new Promise((resolve) => stream.once('close', resolve));
  const status = Number(headers[':status'] ?? 0);
  return { status, headers, body, trailers, informational, reset: stream.rstCode };
}

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
export const FRAME = { data: 0, headers: 1, reset: 3, settings: 4, goAway: 7 } as const;
const END_STREAM = 0x1;
const END_HEADERS = 0x4;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** A connection that says frame by frame what no client library would. */
export class RawHttp2 {
  readonly frames: Frame[] = [];
  readonly socket: TLSSocket;
  #rest = Buffer.alloc(0);

  private constructor(socket: TLSSocket) {
    this.socket = socket;
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    onTestFinished(() => void socket.destroy());
  }

  static async open(port: number): Promise<RawHttp2> {
    const socket = connectTls({ port, host: 'localhost', ca: CA, ALPNProtocols: ['h2'] });
    await once(socket, 'secureConnect');
    const raw = new RawHttp2(socket);
    socket.write(Buffer.concat([Buffer.from(PREFACE), frame(FRAME.settings, 0, 0, Buffer.alloc(0))]));
    return raw;
  }

  /** A request without a body; every field as a literal that is not indexed (RFC 7541 section 6.2.2). */
  request(stream: number, fields: readonly (readonly [string, string])[], end = true): void {
    const flags = END_HEADERS | (end ? END_STREAM : 0);
    this.socket.write(frame(FRAME.headers, flags, stream, Buffer.concat(fields.map(literal))));
  }

  send(type: number, flags: number, stream: number, payload: Buffer): void {
    this.socket.write(frame(type, flags, stream, payload));
  }

  /** Resolves at the frame that ends the stream or the connection: a reset, GOAWAY, or END_STREAM. */
  async ended(stream: number): Promise<Frame | null> {
    for (;;) {
      const last = this.frames.find(
        ({ type, flags, stream: of }) =>
          (of === stream && (type === FRAME.reset || (flags & END_STREAM) !== 0)) || type === FRAME.goAway,
      );
      if (last !== undefined) return last;
      if (this.socket.destroyed) return null;
      await Promise.race([once(this.socket, 'data'), once(this.socket, 'close')]).catch(() => undefined);
    }
  }

  #read(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= 9) {
      const length = this.#rest.readUIntBE(0, 3);
      if (this.#rest.length < 9 + length) return;
      this.frames.push({
        type: this.#rest[3]!,
        flags: this.#rest[4]!,
        stream: this.#rest.readUInt32BE(5),
        payload: this.#rest.subarray(9, 9 + length),
      });
      this.#rest = this.#rest.subarray(9 + length);
    }
  }
}

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

function literal([name, value]: readonly [string, string]): Buffer {
  if (name.length > 126 || value.length > 126) throw new RangeError('too long for a length of one byte');
  return Buffer.concat([
    Buffer.from([0, name.length]),
    Buffer.from(name, 'latin1'),
    Buffer.from([value.length]),
    Buffer.from(value, 'latin1'),
  ]);
}
