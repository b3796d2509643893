import * as http from 'node:http';
import * as https from 'node:https';
import { RealmFault } from './fault.ts';

/** 1 MiB: a hundred keys with certificate chains take a tenth of it. */
const BODY_LIMIT = 1024 * 1024;

/** Connections to one realm at a time; further requests wait for one, within their own time-out. */
const MAX_SOCKETS = 32;

/** What the realm answered, read whole. */
export interface RealmAnswer {
  readonly status: number;
  readonly contentType: string;
  /** As the header has it; null = it has none. */
  readonly date: string | null;
  readonly body: Buffer<ArrayBuffer>;
}

export interface RealmRequest {
  readonly method: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
  /** Ends the request; its reason becomes the error. */
  readonly signal: AbortSignal;
}

/**
 * HTTP towards one realm: no redirects, no content encoding, JSON only, at most 1 MiB.
 * Requests carry `X-Forwarded-Proto/Host/Port` of the public URL, so that a Keycloak with a dynamic host name
 * speaks of the issuer that clients see.
 */
export interface RealmHttp {
  /** Rejects with RealmFault, a system error or the signal's reason. Any status but 3xx resolves. */
  request(url: string, request: RealmRequest): Promise<RealmAnswer>;
  /** Closes idle connections, and those in use after their answer. */
  close(): void;
}

/**
 * @param keepAlive keep connections for the next request. One that the realm closes meanwhile costs a second
 *   request, so this is not for where requests are counted.
 */
export function createRealmHttp(publicUrl: string | null, keepAlive: boolean): RealmHttp {
  const options = { keepAlive, maxSockets: MAX_SOCKETS, maxFreeSockets: 4 };
  const agents = { http: new http.Agent(options), https: new https.Agent(options) };
  const forwarded = publicUrl === null ? {} : forwardedHeaders(new URL(publicUrl));

  function exchange(url: URL, { method, headers, body, signal }: RealmRequest): Promise<RealmAnswer> {
    return new Promise((resolve, reject) => {
      const secure = url.protocol === 'https:';
      const request = (secure ? https : http).request(url, {
        method,
        agent: secure ? agents.https : agents.http,
        headers: {
          ...headers,
          ...forwarded,
          'accept-encoding': 'identity',
          ...(body === null ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
        },
      });
      let answered = false;
      const fail = (error: unknown): void => {
        signal.removeEventListener('abort', abort);
        request.destroy();
        reject(!answered && staleConnection(request, error) ? new StaleConnection() : (error as Error));
      };
      const abort = (): void => fail(signal.reason);
      request.on('error', fail);
      // The rest of an answer that breaks off is noticed where it is read.
      request.on('close', () => {
        if (!answered) fail(new RealmFault('the realm closed the connection without an answer'));
      });
      request.on('response', (response) => {
        answered = true;
        readBody(response).then((bytes) => {
          signal.removeEventListener('abort', abort);
          const { 'content-type': contentType = 'application/octet-stream', date = null } = response.headers;
          resolve({ status: response.statusCode!, contentType, date, body: bytes });
        }, fail);
      });
      if (signal.aborted) abort();
      else signal.addEventListener('abort', abort, { once: true });
      request.end(body ?? undefined);
    });
  }

  return {
    async request(url, request) {
      const target = new URL(url);
      try {
        return await exchange(target, request);
      } catch (error) {
        // The realm closed a kept connection at the moment it was used again. What is sent here changes nothing
        // there, so it may be sent twice.
        if (error instanceof StaleConnection) return exchange(target, request);
        throw error;
      }
    },
    close() {
      agents.http.destroy();
      agents.https.destroy();
    },
  };
}

class StaleConnection extends RealmFault {
  constructor() {
    super('the realm closed the connection without an answer');
  }
}

function staleConnection(request: http.ClientRequest, error: unknown): boolean {
  return request.reusedSocket && error instanceof Error && 'code' in error && error.code === 'ECONNRESET';
}

function forwardedHeaders(publicUrl: URL): Record<string, string> {
  const scheme = publicUrl.protocol.slice(0, -1);
  return {
    'x-forwarded-proto': scheme,
    'x-forwarded-host': publicUrl.host,
    'x-forwarded-port': publicUrl.port !== '' ? publicUrl.port : scheme === 'https' ? '443' : '80',
  };
}

/** Checks the head, then reads the whole body. */
async function readBody(response: http.IncomingMessage): Promise<Buffer<ArrayBuffer>> {
  const status = response.statusCode ?? 0;
  if (status >= 300 && status < 400) throw new RealmFault(`the realm answered with a redirect (${status})`);
  if (status < 200 || status > 599) throw new RealmFault(`the realm answered with status ${status}`);
  if (status === 200 && !isJson(response.headers['content-type'])) {
    throw new RealmFault('the realm answered with something other than JSON');
  }
  if ((response.headers['content-encoding'] ?? 'identity') !== 'identity') {
    throw new RealmFault('the realm answered with a content encoding that was not asked for');
  }
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > BODY_LIMIT) throw new RealmFault(`the realm's answer is longer than ${BODY_LIMIT} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function isJson(contentType: string | undefined): boolean {
  return /^application\/(?:[a-z0-9.-]+\+)?json\s*(?:;|$)/i.test(contentType ?? '');
}

/** The JSON body of a 200, in UTF-8 with or without a byte order mark. */
export function jsonOf({ status, body }: RealmAnswer, what: string): unknown {
  if (status !== 200) throw new RealmFault(`${what}: the realm answered with status ${status}`);
  try {
    return JSON.parse(new TextDecoder().decode(body));
  } catch {
    throw new RealmFault(`${what}: the realm's answer is not valid JSON`);
  }
}
