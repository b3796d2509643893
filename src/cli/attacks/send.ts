import { connect, isIP, type Socket } from 'node:net';
import { readAnswers, type Read } from './read-answers.ts';

/** Where the gateway listens. */
export interface Place {
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
}

/** What came back over one connection. */
export interface Outcome extends Read {
  /** The gateway ended the connection. */
  readonly closed: boolean;
}

/** Milliseconds until a gateway that says nothing is given up. */
const PATIENCE = 5_000;

/** Milliseconds in which a connection that has to close closes, or another answer follows. */
const LINGER = 1_500;

/** Milliseconds in which another answer may follow one that is wrong already. */
const GLANCE = 200;

/** Bytes that are read of an answer. */
const ENOUGH = 1024 * 1024;

export interface SendOptions {
  /** How long the connection is watched once the first answer is there, by that answer. */
  readonly watch?: (status: number) => 'closing' | 'glance' | 'no';
}

/**
 * Sends exactly these bytes over a connection of their own, and collects what comes. Rejects when no connection can be
 * made; whatever happens later is an outcome.
 */
export async function send(
  place: Place,
  bytes: string,
  { watch = () => 'no' }: SendOptions = {},
): Promise<Outcome> {
  const socket = await open(place);
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  let text = '';
  let timer = setTimeout(() => finish(false), PATIENCE);
  const finish = (closed: boolean): void => resolve({ ...readAnswers(text, closed), closed });
  const settleIn = (ms: number): void => {
    clearTimeout(timer);
    timer = setTimeout(() => finish(false), ms);
  };
  socket.setEncoding('latin1');
  socket.on('data', (chunk: string) => {
    text += chunk;
    const [first, second] = readAnswers(text, false).answers;
    if (first === undefined) {
      if (text.length > ENOUGH) finish(false);
      return;
    }
    const next = watch(first.status);
    if (next === 'no' || second !== undefined) finish(false);
    else settleIn(next === 'closing' ? LINGER : GLANCE);
  });
  socket.on('end', () => finish(true));
  socket.on('close', () => finish(true));
  socket.on('error', () => undefined); // `close` follows
  socket.write(bytes, 'latin1');
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

async function open({ host, port, secure }: Place): Promise<Socket> {
  // Only who attacks over TLS pays for loading it.
  const socket = secure
    ? (await import('node:tls')).connect({
        host,
        port,
        ALPNProtocols: ['http/1.1'],
        ...(isIP(host) === 0 ? { servername: host } : {}),
      })
    : connect({ host, port, noDelay: true });
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  const timer = setTimeout(
    () => socket.destroy(Object.assign(new Error('timed out'), { code: 'ETIMEDOUT' })),
    PATIENCE,
  );
  socket.once(secure ? 'secureConnect' : 'connect', () => resolve(undefined));
  socket.once('error', reject);
  socket.once('close', () => reject(Object.assign(new Error('closed'), { code: 'ECONNRESET' })));
  try {
    await promise;
    return socket;
  } finally {
    clearTimeout(timer);
    socket.off('error', reject);
  }
}
