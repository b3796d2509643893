import { request as requestHttp, type IncomingMessage } from 'node:http';
import { request as requestHttps } from 'node:https';
import { text } from 'node:stream/consumers';
import { answerFailure, connectionFailure } from './api-failure.ts';
import { Failure } from './failure.ts';

/** Milliseconds without a byte that a read may take. What starts something may take as long as that does. */
const READ_PATIENCE = 30_000;

interface Exchange {
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

/**
 * Calls to the admin API. Every refusal and every failure to connect is a `Failure` with lines for the user. It does
 * not follow redirects: the token is for this server.
 */
export class ApiClient {
  /** Without a slash at its end. */
  readonly url: string;
  readonly #token: string;

  constructor(url: string, token: string) {
    this.url = url;
    this.#token = token;
  }

  /** The token that is sent, for a caller that asks about it. Never to be shown. */
  get token(): string {
    return this.#token;
  }

  /** JSON of an answer; null where it has no body. Typed by the caller: what the contract says comes. */
  async json(method: string, path: string, exchange: Exchange = {}): Promise<unknown> {
    const body = await this.text(method, path, exchange);
    if (body === '') return null;
    try {
      return JSON.parse(body) as unknown;
    } catch {
      throw answerFailure({ method, path, url: this.url, status: 200, body });
    }
  }

  async text(method: string, path: string, exchange: Exchange = {}): Promise<string> {
    const response = await this.#answer(method, path, exchange);
    try {
      return await text(response);
    } catch (error) {
      throw connectionFailure(error, this.url);
    }
  }

  /** Text as it comes, until it ends or `signal` aborts. */
  async *chunks(path: string, signal: AbortSignal): AsyncGenerator<string> {
    try {
      const response = await this.#answer('GET', path, { signal });
      response.setEncoding('utf8');
      yield* response as AsyncIterable<string>;
    } catch (error) {
      if (signal.aborted) return;
      throw error instanceof Failure ? error : connectionFailure(error, this.url);
    }
  }

  /** A good answer whose body is still to come. */
  async #answer(method: string, path: string, exchange: Exchange = {}): Promise<IncomingMessage> {
    const response = await this.#send(method, path, exchange);
    const status = response.statusCode ?? 0;
    if (status >= 200 && status < 300) return response;
    const body = await text(response).catch(() => '');
    throw answerFailure({ method, path, url: this.url, status, body });
  }

  #send(method: string, path: string, { body, signal }: Exchange): Promise<IncomingMessage> {
    const payload = body === undefined ? null : Buffer.from(JSON.stringify(body));
    const request = (this.url.startsWith('https:') ? requestHttps : requestHttp)(
      `${this.url}/api/v1${path}`,
      {
        method,
        // A connection each: one that was kept may be closed by the server just when the next call begins.
        agent: false,
        headers: {
          authorization: `Bearer ${this.#token}`,
          accept: 'application/json, text/plain;q=0.9, */*;q=0.1',
          ...(payload === null
            ? {}
            : { 'content-type': 'application/json', 'content-length': payload.byteLength }),
        },
        ...(signal === undefined ? {} : { signal }),
      },
    );
    if (method === 'GET' && signal === undefined) {
      request.setTimeout(READ_PATIENCE, () => {
        request.destroy(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' }));
      });
    }
    return new Promise((resolve, reject) => {
      request.on('response', resolve);
      request.on('error', (error) => {
        reject(signal?.aborted === true ? error : connectionFailure(error, this.url));
      });
      request.end(payload ?? undefined);
    });
  }
}
