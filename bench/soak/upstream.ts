import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';

/** What a service says that it got, so that a mix-up shows. */
export interface Echo {
  readonly instance: string;
  readonly method: string;
  readonly url: string;
  /** `X-Forwarded-User`. */
  readonly user: string | null;
  /** `X-Forwarded-Preferred-Username`. */
  readonly username: string | null;
  /** Whether the token came along; it never may. */
  readonly sawToken: boolean;
}

export interface SoakUpstream {
  readonly origin: string;
  close(): Promise<void>;
}

const PIECE = 64 * 1024;

/**
 * The service behind the soaked gateway: `GET /echo` says what arrived, `POST /body` sends the body back as it comes,
 * `GET /stream?bytes=&seed=` sends `pattern`, and a WebSocket sends every message back.
 */
export async function startSoakUpstream(instance: string): Promise<SoakUpstream> {
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://service');
    // The gateway gives up what its client gave up; that is no fault here.
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    if (url.pathname === '/body') {
      response.writeHead(200, { 'content-type': 'application/octet-stream' });
      request.pipe(response);
    } else if (url.pathname === '/stream') {
      const bytes = Number(url.searchParams.get('bytes'));
      sendPattern(response, bytes, Number(url.searchParams.get('seed')));
    } else {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(echoOf(instance, request)));
    }
  });
  server.keepAliveTimeout = 600_000;
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket) => {
    socket.on('error', () => undefined);
    socket.on('message', (data, isBinary) => socket.send(data as Buffer, { binary: isBinary }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      const closed = once(server, 'close');
      for (const socket of sockets.clients) socket.terminate();
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function echoOf(instance: string, { method = '', url = '', headers }: IncomingMessage): Echo {
  const text = (name: string): string | null => {
    const value = headers[name];
    return typeof value === 'string' ? value : null;
  };
  return {
    ...{ instance, method, url },
    user: text('x-forwarded-user'),
    username: text('x-forwarded-preferred-username'),
    sawToken: headers.authorization !== undefined,
  };
}

function sendPattern(response: ServerResponse, bytes: number, seed: number): void {
  response.writeHead(200, { 'content-type': 'application/octet-stream' });
  let at = 0;
  const send = (): void => {
    while (at < bytes) {
      const size = Math.min(PIECE, bytes - at);
      const more = response.write(pattern(at, size, seed));
      at += size;
      if (!more) {
        response.once('drain', send);
        return;
      }
    }
    response.end();
  };
  send();
}

/** Bytes that differ at every place and for every seed, so that a lost, doubled or foreign piece shows. */
export function pattern(from: number, size: number, seed: number): Buffer {
  const bytes = Buffer.allocUnsafe(size);
  for (let i = 0; i < size; i++) {
    const place = from + i;
    bytes[i] = (place * 31 + (place >> 8) * 17 + (place >> 16) * 7 + seed) & 0xff;
  }
  return bytes;
}
