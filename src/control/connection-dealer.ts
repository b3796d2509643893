import { createServer, type Socket } from 'node:net';
import type { ListenAddress } from '../contracts/settings.ts';

/** Connections that may wait for a worker, beyond the kernel's own queue; more are closed. */
const MOST_WAITING = 1024;

/** Connections that the kernel completes and keeps while this process is busy. */
const BACKLOG = 1024;

/** Somebody who serves connections: a worker process. */
export interface Taker {
  /** Offers an untouched connection. `took` is called once the other side has it; until then nobody reads from it. */
  offer(socket: Socket): void;
}

/**
 * Holds the listening socket and deals connections out in turn, one at a time to each taker. The socket stays open
 * whatever happens to the takers: without one, connections wait; what was offered to one that died goes to another.
 */
export class ConnectionDealer {
  readonly #server = createServer({ pauseOnConnect: true }, (socket) => this.#accepted(socket));
  /** In the order in which they became free. */
  readonly #free: Taker[] = [];
  readonly #offered = new Map<Taker, Socket>();
  #waiting: Socket[] = [];

  readonly #failed: (error: Error) => void;

  /** `failed` is told when the system refuses a connection, for want of file descriptors for instance. */
  constructor(failed: (error: Error) => void) {
    this.#failed = failed;
  }

  /** Resolves to the bound port; rejects with the system's error. */
  listen({ host, port }: ListenAddress): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.#server.once('error', reject);
    this.#server.listen({ host, port, backlog: BACKLOG }, () => {
      this.#server.removeListener('error', reject).on('error', this.#failed);
      const address = this.#server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
    return promise;
  }

  add(taker: Taker): void {
    this.#free.push(taker);
    this.#deal();
  }

  /** The taker has what it was offered last. */
  took(taker: Taker): void {
    const socket = this.#offered.get(taker);
    if (socket === undefined) return;
    this.#offered.delete(taker);
    socket.destroy(); // this process's handle only: the connection lives on in the taker
    this.add(taker);
  }

  remove(taker: Taker): void {
    const at = this.#free.indexOf(taker);
    if (at !== -1) this.#free.splice(at, 1);
    const socket = this.#offered.get(taker);
    if (socket === undefined) return;
    this.#offered.delete(taker);
    this.#waiting.unshift(socket);
    this.#deal();
  }

  /** Accepts nothing more. Connections that nobody took yet are closed. */
  close(): void {
    this.#server.close();
    for (const socket of this.#waiting) socket.destroy();
    this.#waiting = [];
  }

  #accepted(socket: Socket): void {
    socket.on('error', () => undefined); // whoever takes it finds out
    if (this.#waiting.length >= MOST_WAITING) {
      socket.destroy();
      return;
    }
    this.#waiting.push(socket);
    this.#deal();
  }

  #deal(): void {
    while (this.#waiting.length > 0 && this.#free.length > 0) {
      const taker = this.#free.shift()!;
      const socket = this.#waiting.shift()!;
      this.#offered.set(taker, socket);
      taker.offer(socket);
    }
  }
}
