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
 * that are not, whenever they change. An address counts as good until it was asked.
 */
export class HealthChecks {
  readonly #publish: (unhealthy: readonly string[]) => void;
  readonly #running = new Map<string, { stop(): void }>();
  readonly #failures = new Map<string, number>();
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
    for (const [key, check] of this.#running) {
      if (wanted.has(key)) continue;
      check.stop();
      this.#running.delete(key);
    }
    const origins = new Set([...wanted.values()].map(({ origin }) => origin));
    for (const origin of this.#failures.keys()) if (!origins.has(origin)) this.#failures.delete(origin);
    for (const [key, target] of wanted) {
      if (!this.#running.has(key)) this.#running.set(key, this.#watch(target));
    }
    this.#tell();
  }

  stop(): void {
    for (const check of this.#running.values()) check.stop();
    this.#running.clear();
  }

  #watch(target: Target): { stop(): void } {
    const stopping = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    const check = async (): Promise<void> => {
      const good = await answersWell(target, stopping.signal);
      if (stopping.signal.aborted) return;
      this.#failures.set(target.origin, good ? 0 : (this.#failures.get(target.origin) ?? 0) + 1);
      this.#tell();
      timer = setTimeout(() => void check(), target.interval);
    };
    void check();
    return {
      stop: () => {
        stopping.abort();
        clearTimeout(timer);
      },
    };
  }

  #tell(): void {
    const unhealthy = [...this.#failures].filter(([, count]) => count >= FAILURES).map(([origin]) => origin);
    const text = unhealthy.join(' ');
    if (text === this.#published) return;
    this.#published = text;
    this.#publish(unhealthy);
  }
}

async function answersWell({ url, interval }: Target, stopping: AbortSignal): Promise<boolean> {
  const signal = AbortSignal.any([stopping, AbortSignal.timeout(Math.min(PATIENCE, interval))]);
  try {
    const response = await fetch(url, { redirect: 'manual', signal });
    await response.body?.cancel();
    return response.status >= 200 && response.status < 400;
  } catch {
    return false;
  }
}
