import type { Writable } from 'node:stream';
import { Refusal } from '../errors.ts';

const REFUSED = 'Realmgate is ending; ask again once it runs';
const LATE = 'Realmgate ends before this is done; once it runs again, it shows whether it was';

/** Seconds, for `Retry-After`: about what a restart takes. */
const RETRY_AFTER = 5;

/** The requests that have to be answered before the program ends. */
export class Drain {
  readonly #begun = new AbortController();
  readonly #over = new AbortController();
  readonly #open = new Set<Writable>();
  #settled: () => void = () => undefined;

  /** Aborts when no answer shall be awaited that may never end. */
  get begun(): AbortSignal {
    return this.#begun.signal;
  }

  /** Counts a request until its answer is sent or nobody wants it. Throws `service_unavailable` once it has begun. */
  admit(answer: Writable): void {
    if (this.#begun.signal.aborted) {
      throw new Refusal('service_unavailable', REFUSED, { retryAfter: RETRY_AFTER });
    }
    this.#open.add(answer);
    answer.once('close', () => {
      this.#open.delete(answer);
      if (this.#open.size === 0) this.#settled();
    });
  }

  /** What the work comes to; `service_unavailable` where there is no more time for it. It goes on all the same. */
  async inTime<T>(work: T | Promise<T>): Promise<T> {
    const { promise, reject } = Promise.withResolvers<never>();
    const { signal } = this.#over;
    const late = (): void => reject(new Refusal('service_unavailable', LATE, { retryAfter: RETRY_AFTER }));
    signal.addEventListener('abort', late);
    if (signal.aborted) late();
    try {
      return await Promise.race([work, promise]);
    } finally {
      signal.removeEventListener('abort', late);
    }
  }

  /** Admits nothing more. Resolves once all is answered; what is not when `over` aborts is then refused. */
  async run(over: AbortSignal): Promise<void> {
    this.#begun.abort();
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.#settled = () => resolve(undefined);
    if (this.#open.size === 0) return;
    const end = (): void => {
      this.#over.abort();
      resolve(undefined);
    };
    over.addEventListener('abort', end, { once: true });
    if (over.aborted) end();
    await promise;
    over.removeEventListener('abort', end);
  }
}
