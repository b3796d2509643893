import { LRUCache } from 'lru-cache';
import type { RateBucket, RateVerdict } from '../contracts/control-channel.ts';

/** Buckets kept at most. Strangers choose the keys (addresses, user names), so the longest unused go first. */
const MOST_BUCKETS = 200_000;

/**
 * Rate limits by the generic cell rate algorithm: a bucket holds `count` events and gets one back every
 * `window / count`. One number per bucket, whatever the rate.
 */
export class RateLedger {
  /** Key → the time at which the bucket is full again, in ms. */
  readonly #fullAt = new LRUCache<string, number>({ max: MOST_BUCKETS });
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** Counts one event in each bucket, or in none of them when one is empty. */
  take(buckets: readonly RateBucket[]): RateVerdict {
    const now = this.#now();
    let retryAfter = 0;
    for (const { key, count, window } of buckets) {
      const fullAt = Math.max(this.#fullAt.get(key) ?? now, now) + window / count;
      retryAfter = Math.max(retryAfter, fullAt - now - window);
    }
    // Times are floating-point sums; a bucket must not be empty by a rounding error.
    if (retryAfter > 1e-6) return { ok: false, retryAfter };
    for (const { key, count, window } of buckets) {
      this.#fullAt.set(key, Math.max(this.#fullAt.get(key) ?? now, now) + window / count);
    }
    return { ok: true };
  }
}

/** Concurrency limits: who holds how many places under which key. */
export class ConcurrencyLedger {
  readonly #taken = new Map<string, number>();
  readonly #byHolder = new Map<number, Map<string, number>>();

  /** False = no place is free. `holder` is the worker that asks. */
  enter(holder: number, key: string, limit: number): boolean {
    const taken = this.#taken.get(key) ?? 0;
    if (taken >= limit) return false;
    this.#taken.set(key, taken + 1);
    let held = this.#byHolder.get(holder);
    if (held === undefined) {
      held = new Map<string, number>();
      this.#byHolder.set(holder, held);
    }
    held.set(key, (held.get(key) ?? 0) + 1);
    return true;
  }

  leave(holder: number, key: string): void {
    const held = this.#byHolder.get(holder);
    if (held === undefined || (held.get(key) ?? 0) === 0) return;
    lower(held, key, 1);
    lower(this.#taken, key, 1);
  }

  /** Gives back every place of a worker that died. */
  leaveAll(holder: number): void {
    const held = this.#byHolder.get(holder);
    this.#byHolder.delete(holder);
    if (held === undefined) return;
    for (const [key, count] of held) lower(this.#taken, key, count);
  }
}

function lower(counts: Map<string, number>, key: string, by: number): void {
  const left = (counts.get(key) ?? 0) - by;
  if (left <= 0) counts.delete(key);
  else counts.set(key, left);
}
