import {
  constants,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Stream,
} from 'node:http2';
import { Refusal } from '../errors.ts';
import { plainAddress } from './client-address.ts';
import { type BodyFraming, Exchange } from './exchange.ts';
import { bodyPassed } from './message/body-garbage.ts';
import { MAX_FIELDS } from './message/field-section.ts';
import { METHOD_NAMES } from './message/methods.ts';
import type { RequestHead } from './request-head.ts';

/** One HTTP/2 stream, always over TLS. */
export class Http2Exchange extends Exchange {
  readonly method: string;
  readonly target: string;
  readonly rawHeaders: readonly string[];
  readonly httpVersion = '2.0';
  readonly authority: string | null;
  readonly peer: string;
  readonly secure = true;
  readonly holdsBytes = true;
  readonly #request: Http2ServerRequest;
  readonly #response: Http2ServerResponse;
  readonly #headerBytes: number;
  /** The response has no body, whatever is written. */
  #bodiless = false;

  /** `headerBytes`: the largest header section, as RFC 9113 section 6.5.2 counts it. */
  constructor(request: Http2ServerRequest, response: Http2ServerResponse, headerBytes: number) {
    super();
    this.method = request.method;
    this.target = request.headers[':path'] ?? ''; // CONNECT has none, which node's types of `url` do not tell
    this.rawHeaders = request.rawHeaders;
    this.authority = request.authority === '' ? null : request.authority;
    this.peer = plainAddress(request.stream.session?.socket.remoteAddress ?? '');
    this.#request = request;
    this.#response = response;
    this.#headerBytes = headerBytes;
    response.once('close', () => this.clientGone());
  }

  get requestComplete(): boolean {
    return this.#request.complete;
  }

  /**
   * A stream needs no length to have a body (RFC 9113 section 8.1). Throws `headers_too_large` and `malformed_request`
   * for what the reader of HTTP/1 refuses before there is an exchange.
   */
  understood({ body }: RequestHead): BodyFraming {
    const { rawHeaders } = this;
    if (rawHeaders.length > 2 * MAX_FIELDS || listSize(rawHeaders) > this.#headerBytes) {
      throw new Refusal('headers_too_large', 'The header fields are too large');
    }
    if (!METHOD_NAMES.has(this.method)) throw new Refusal('malformed_request', 'The method is unknown');
    if (this.#request.stream.endAfterHeaders) return 'none';
    return body === 'none' ? 'chunked' : body;
  }

  /** Throws, with nothing sent, on what HTTP/2 cannot carry. */
  sendHead(status: number, _reason: string, headers: string[]): void {
    const { stream } = this.#response;
    const fields = grouped(headers);
    fields[':status'] = String(status);
    // Not `writeHead`: after it threw, the fields that it choked on would stand in the next head as well.
    if (!stream.destroyed && !stream.closed) stream.respond(fields, { waitForTrailers: true });
    this.status = status;
    this.#bodiless = this.method === 'HEAD' || status === 204 || status === 205 || status === 304;
  }

  inform(status: number, headers: readonly string[]): void {
    const { stream } = this.#response;
    const fields = grouped(headers);
    fields[':status'] = String(status);
    if (!stream.destroyed && !stream.closed) stream.additionalHeaders(fields);
  }

  write(chunk: Buffer): boolean {
    if (this.#bodiless) return true; // node has ended the stream with the head
    this.bytesOut += chunk.length;
    return this.#response.write(chunk);
  }

  whenWritable(callback: () => void): void {
    this.#response.once('drain', callback);
  }

  end(chunk: Buffer | null, trailers: readonly string[]): void {
    const { stream } = this.#response;
    if (trailers.length > 0) this.#response.addTrailers(grouped(trailers));
    // An answer before the request's last byte: the client is told to keep the rest (RFC 9113 section 8.1).
    if (!this.requestComplete) stream.once('wantTrailers', stopUpload);
    if (chunk === null || this.#bodiless) {
      this.#response.end();
    } else {
      this.bytesOut += chunk.length;
      this.#response.end(chunk);
    }
    this.settle();
  }

  cut(): void {
    this.settle();
    this.#response.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  }

  readBody(onData: (chunk: Buffer) => boolean, onEnd: (trailers: readonly string[]) => void): void {
    const request = this.#request;
    request.on('data', (chunk: Buffer) => {
      this.bytesIn += chunk.length;
      bodyPassed(chunk.length);
      if (!onData(chunk)) request.pause();
    });
    request.once('end', () => {
      // A reset with NO_ERROR looks like the end of the body, but is one only of the stream.
      if (!request.stream.aborted) onEnd(request.rawTrailers);
    });
    request.once('error', () => undefined);
  }

  resumeBody(): void {
    this.#request.resume();
  }

  /** A stream ends alone; the connection has others. */
  closeConnection(): void {}
}

/** Node sends the trailers, and with them the end of the response, in a `setImmediate` of its own before this one. */
function stopUpload(this: ServerHttp2Stream): void {
  setImmediate(() => {
    if (!this.destroyed) this.close(constants.NGHTTP2_NO_ERROR);
  });
}

/** Counted for each field beside its name and value, in bytes. */
const FIELD_OVERHEAD = 32;

/** The size of flat fields as RFC 9113 section 6.5.2 counts it. */
function listSize(fields: readonly string[]): number {
  let size = fields.length * (FIELD_OVERHEAD / 2);
  for (const part of fields) size += part.length;
  return size;
}

/** Header fields by name, those that stand more than once as a list. */
function grouped(flat: readonly string[]): Record<string, string | string[]> {
  const fields: Record<string, string | string[]> = Object.create(null) as Record<string, string | string[]>;
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i]!.toLowerCase();
    const before = fields[name];
    if (before === undefined) fields[name] = flat[i + 1]!;
    else if (Array.isArray(before)) before.push(flat[i + 1]!);
    else fields[name] = [before, flat[i + 1]!];
  }
  return fields;
}
