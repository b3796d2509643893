import { LRUCache } from 'lru-cache';
import type { RateBucket, RateVerdict } from '../contracts/control-channel.ts';

/** Buckets kept at most. Strangers choose the keys (addresses, user names), so the longest unused go first. */
const MOST_BUCKETS = 200_000;

/** Part of an event. Times are sums of fractions: a bucket must not seem empty by what was lost in them. */
const ROUNDING = 0.001;

/**
 * Rate limits by the generic cell rate algorithm: a bucket holds `count` events and gets one back every
 * `window / count`. One number per bucket, whatever the rate.
 */
export class RateLedger {
  /** Key → the time at which the bucket is full again, in ms. */
  readonly #fullAt = new LRUCache<string, number>({
    // Not `max`: that many places would be made at once, which takes 40 ms of every start.
    maxSize: MOST_BUCKETS,
    sizeCalculation: () => 1,
  });
  readonly #now: () => number;

  /** `now`: milliseconds of any clock, by default one that nobody sets. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Counts one event in each bucket, or in none of them when one is empty. */
  take(buckets: readonly RateBucket[]): RateVerdict {
    const now = this.#now();
    let retryAfter = 0;
    for (const bucket of buckets) {
      const share = bucket.window / bucket.count;
      const missing = this.#fullAgain(bucket, now) + share - now - bucket.window;
      if (missing > ROUNDING * share) retryAfter = Math.max(retryAfter, missing);
    }
    if (retryAfter > 0) return { ok: false, retryAfter };
    for (const bucket of buckets) {
      this.#fullAt.set(bucket.key, this.#fullAgain(bucket, now) + bucket.window / bucket.count);
    }
    return { ok: true };
  }

  /** When the bucket is full again, as it is: never more than empty, whatever the clock did or the limit was before. */
  #fullAgain({ key, window }: RateBucket, now: number): number {
    const fullAt = this.#fullAt.get(key) ?? now;
    if (fullAt <= now + window) return Math.max(fullAt, now);
    this.#fullAt.set(key, now + window);
    return now + window;
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
