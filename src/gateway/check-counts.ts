import { Refusal } from '../errors.ts';

/** How a token check can end. */
export const CHECK_RESULTS = [
  'valid_cached',
  'valid',
  'token_invalid',
  'token_expired',
  'token_revoked',
  'keys_unavailable',
  'overloaded',
  'internal_error',
] as const;

type CheckResult = (typeof CHECK_RESULTS)[number];

/** Checks by result since the start, and how many of them found their token known. */
export interface CheckTotals extends Readonly<Record<CheckResult, number>> {
  readonly hits: number;
  readonly misses: number;
}

/** Counts the results of a worker's token checks. */
export class CheckCounts {
  readonly #results: Record<CheckResult, number> = {
    valid_cached: 0,
    valid: 0,
    token_invalid: 0,
    token_expired: 0,
    token_revoked: 0,
    keys_unavailable: 0,
    overloaded: 0,
    internal_error: 0,
  };

  /** The token was known. */
  hit(): void {
    this.#results.valid_cached++;
  }

  good(): void {
    this.#results.valid++;
  }

  bad(error: unknown): void {
    const code = error instanceof Refusal ? error.code : 'internal_error';
    this.#results[isResult(code) ? code : 'internal_error']++;
  }

  /** Counts how the check ends, and ends the same way. */
  async outcomeOf<T>(check: Promise<T>): Promise<T> {
    try {
      const value = await check;
      this.good();
      return value;
    } catch (error) {
      this.bad(error);
      throw error;
    }
  }

  totals(): CheckTotals {
    const { valid_cached: hits, ...others } = this.#results;
    const misses = Object.values(others).reduce((sum, count) => sum + count, 0);
    return { ...this.#results, hits, misses };
  }
}

function isResult(code: string): code is CheckResult {
  return (CHECK_RESULTS as readonly string[]).includes(code);
}
