import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Route } from '../contracts/settings.ts';

/** Failures in a row after which an address gets no more requests; one good answer brings it back. */
const FAILURES = 2;

/** Longest time that an answer may take, in ms; never longer than the interval. */
const PATIENCE = 5_000;

interface Target {
  readonly url: string;
  readonly origin: string;
  readonly interval: number;
}

/**
 * Asks the `health.path` of every address of the routes that have one: 200 to 399 is good. `publish` gets the origins
 * that are not, whenever they change. An address counts as good until it was asked, and as bad while any of its
 * checks fails, where routes ask it for different paths.
 */
export class HealthChecks {
  readonly #publish: (unhealthy: readonly string[]) => void;
  /** By URL and interval, so that a check which routes still want goes on with what it knows. */
  readonly #checks = new Map<string, Check>();
  #published = '';

  constructor(publish: (unhealthy: readonly string[]) => void) {
    this.#publish = publish;
  }

  apply(routes: readonly Route[]): void {
    const wanted = new Map<string, Target>();
    for (const { health, upstream } of routes) {
      if (health === null) continue;
      for (const origin of upstream) {
        const target = { url: origin + health.path, origin, interval: health.interval };
        wanted.set(`${target.url} ${target.interval}`, target);
      }
    }
    for (const [key, check] of this.#checks) {
      if (wanted.has(key)) continue;
      check.stop();
      this.#checks.delete(key);
    }
    for (const [key, target] of wanted) {
      if (!this.#checks.has(key)) this.#checks.set(key, new Check(target, () => this.#tell()));
    }
    this.#tell();
  }

  /** Ends every check with its timer and its connection, and publishes nothing more. */
  stop(): void {
    for (const check of this.#checks.values()) check.stop();
    this.#checks.clear();
  }

  #tell(): void {
    const failing = [...this.#checks.values()].filter((check) => check.failures >= FAILURES);
    const unhealthy = [...new Set(failing.map((check) => check.origin))].sort();
    const text = unhealthy.join(' ');
    if (text === this.#published) return;
    this.#published = text;
    this.#publish(unhealthy);
  }
}

/** Asks one URL, at once and then an interval after each answer. */
class Check {
  readonly origin: string;
  /** In a row. */
  failures = 0;
  readonly #target: Target;
  readonly #told: () => void;
  readonly #stopping = new AbortController();
  #timer: NodeJS.Timeout | undefined;

  constructor(target: Target, told: () => void) {
    this.origin = target.origin;
    this.#target = target;
    this.#told = told;
    void this.#run();
  }

  stop(): void {
    this.#stopping.abort();
    clearTimeout(this.#timer);
  }

  async #run(): Promise<void> {
    const good = await answersWell(this.#target, this.#stopping.signal);
    if (this.#stopping.signal.aborted) return;
    this.failures = good ? 0 : this.failures + 1;
    this.#timer = setTimeout(() => void this.#run(), this.#target.interval);
    this.#told();
  }
}

/** Never rejects. Asks over a connection of its own, which a service that stopped accepting does not give. */
function answersWell({ url, interval }: Target, signal: AbortSignal): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const request = (url.startsWith('https:') ? httpsRequest : httpRequest)(url, { agent: false, signal });
  const timer = setTimeout(() => request.destroy(), Math.min(PATIENCE, interval));
  request.once('response', ({ statusCode = 0 }) => {
    resolve(statusCode >= 200 && statusCode < 400);
    request.destroy();
  });
  request.on('error', () => undefined); // `close` follows
  request.once('close', () => {
    clearTimeout(timer);
    resolve(false);
  });
  request.end();
  return promise;
}
