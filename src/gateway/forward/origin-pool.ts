import { UpstreamConnection } from './upstream-connection.ts';
import type { UpstreamClientOptions } from './upstream-types.ts';

/**
 * An upstream's `Keep-Alive: timeout` is counted from when it sent the response; a connection is given up this much
 * earlier, in milliseconds, so that no request meets it closing.
 */
const IDLE_MARGIN = 1000;

/** The connections to one origin. The one that was used last is used next, so that the others can go idle and close. */
export class OriginPool {
  /** `Host` for this origin. */
  readonly authority: string;
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;

  readonly #options: UpstreamClientOptions;
  readonly #open = new Set<UpstreamConnection>();
  readonly #connecting = new Set<UpstreamConnection>();
  /** The longest idle first. */
  readonly #idle: UpstreamConnection[] = [];
  /** performance.now() at the last sweep: near enough for what is idle, and the clock costs 50 ns. */
  #now = performance.now();
  #closed = false;

  /** Throws TypeError when `origin` is not `http://host[:port]` or `https://host[:port]`. */
  constructor(origin: string, options: UpstreamClientOptions) {
    const url = new URL(origin);
    if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new TypeError('not an HTTP origin');
    this.secure = url.protocol === 'https:';
    this.authority = url.host;
    this.host = url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname;
    this.port = url.port === '' ? (this.secure ? 443 : 80) : Number(url.port);
    this.#options = options;
  }

  get open(): number {
    return this.#open.size;
  }

  get idle(): number {
    return this.#idle.length;
  }

  /** An idle connection, or else a new one. */
  take(): UpstreamConnection {
    for (let connection = this.#idle.pop(); connection !== undefined; connection = this.#idle.pop()) {
      if (connection.idleUntil > this.#now) return connection;
      connection.close();
    }
    return this.connect();
  }

  connect(): UpstreamConnection {
    const deadline = performance.now() + this.#options.connectTimeout;
    const connection = new UpstreamConnection(this, this.#options.headBytes, deadline);
    this.#open.add(connection);
    this.#connecting.add(connection);
    return connection;
  }

  connected(connection: UpstreamConnection): void {
    this.#connecting.delete(connection);
  }

  /** Keeps a connection that can serve again, or closes it. */
  park(connection: UpstreamConnection): void {
    const idleTime = Math.min(this.#options.idleTimeout, connection.idleLimit - IDLE_MARGIN);
    if (this.#closed || idleTime <= 0 || this.#idle.length >= this.#options.maxIdle) {
      connection.close();
      return;
    }
    connection.idleUntil = this.#now + idleTime;
    this.#idle.push(connection);
  }

  /** The connection is closed. */
  forget(connection: UpstreamConnection): void {
    this.#open.delete(connection);
    this.#connecting.delete(connection);
    const at = this.#idle.lastIndexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
  }

  /** Closes what has been idle, or connecting, for too long. */
  sweep(now: number): void {
    this.#now = now;
    for (const connection of this.#connecting) {
      if (connection.connectDeadline <= now) connection.connectTimedOut();
    }
    for (const connection of this.#idle.filter(({ idleUntil }) => idleUntil <= now)) connection.close();
  }

  /** Keeps no connection from now on. */
  close(): void {
    this.#closed = true;
    for (const connection of [...this.#idle]) connection.close();
  }
}
