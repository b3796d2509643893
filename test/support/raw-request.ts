import { connect, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';

export interface RawOptions {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Ends the sending direction after the bytes, as a client that waits for the rest does. Default false. */
  readonly halfClose?: boolean;
  /** Resolve when this holds for all that came so far, instead of waiting for the other side to close. */
  readonly until?: (text: string) => boolean;
  /** A connected socket to use instead of a new one, such as a TLS socket. It is destroyed at the end all the same. */
  readonly socket?: Socket;
  /** Milliseconds until this gives up and rejects. Default 10,000. */
  readonly patience?: number;
}

export interface RawAnswer {
  /** Every byte received, as latin1. */
  readonly text: string;
  /** The other side ended the connection. */
  readonly closed: boolean;
  /** It ended with a reset, which may have destroyed an answer that was under way. */
  readonly reset: boolean;
}

/**
 * Sends exactly these bytes (a string is latin1) over TCP and collects what comes back until the connection is
 * closed, or until `until` holds. Several pieces are sent one by one, each in a packet of its own as far as TCP
 * allows. Nothing is added: no header, no line end. Rejects when the connection cannot be made, when `until` throws, or
 * with what came so far when nothing ends the wait.
 */
export async function rawRequest(
  port: number,
  bytes: string | Buffer | readonly (string | Buffer)[],
  options: RawOptions = {},
): Promise<RawAnswer> {
  const socket = options.socket ?? connect({ port, host: options.host ?? '127.0.0.1', noDelay: true });
  let text = '';
  let connected = options.socket !== undefined;
  const { promise, resolve, reject } = Promise.withResolvers<RawAnswer>();
  const patience = setTimeout(() => {
    reject(new Error(`the connection stayed open; so far it answered ${JSON.stringify(text)}`));
  }, options.patience ?? 10_000);

  socket.setEncoding('latin1');
  socket.on('connect', () => (connected = true));
  socket.on('data', (chunk: string) => {
    text += chunk;
    try {
      if (options.until?.(text) === true) resolve({ text, closed: false, reset: false });
    } catch (error) {
      reject(error);
    }
  });
  socket.on('end', () => resolve({ text, closed: true, reset: false }));
  socket.on('error', (error) => {
    if (connected) resolve({ text, closed: true, reset: true });
    else reject(error);
  });

  const pieces = Array.isArray(bytes) ? (bytes as readonly (string | Buffer)[]) : [bytes as string | Buffer];
  void sendPieces(socket, pieces, options.halfClose === true);
  try {
    return await promise;
  } finally {
    clearTimeout(patience);
    socket.destroy();
  }
}

async function sendPieces(
  socket: Socket,
  pieces: readonly (string | Buffer)[],
  halfClose: boolean,
): Promise<void> {
  for (const piece of pieces) {
    if (socket.destroyed) return;
    await new Promise((flushed) => socket.write(piece, 'latin1', flushed));
    await turn();
  }
  if (halfClose) socket.end();
}
