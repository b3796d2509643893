import { request } from 'node:http';
import { connect, createServer } from 'node:net';

/** Where services listen. */
export const HOST = '127.0.0.1';

/** ms until a port that says nothing counts as one that does not accept, and a health check as failed. */
const CONNECT_TIMEOUT = 1_000;
const HEALTH_TIMEOUT = 5_000;

export function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: HOST, port, timeout: CONNECT_TIMEOUT });
    const settle = (result: boolean): void => {
      socket.destroy();
      resolve(result);
    };
    // A port that the system also gives to outgoing connections may be given to this one: it then meets itself.
    socket.once('connect', () => settle(socket.localPort !== port));
    socket.once('timeout', () => settle(false));
    socket.once('error', () => settle(false));
  });
}

/** Whether `GET path` answers 200 to 399. */
export function isHealthy(port: number, path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const signal = AbortSignal.timeout(HEALTH_TIMEOUT);
    const outgoing = request({ host: HOST, port, path, agent: false, signal }, (response) => {
      const { statusCode = 0 } = response;
      response.destroy();
      resolve(statusCode >= 200 && statusCode < 400);
    });
    outgoing.once('error', () => resolve(false));
    outgoing.end();
  });
}

/** Whether nobody listens there, and we may. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host: HOST, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
