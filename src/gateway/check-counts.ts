import { Refusal } from '../errors.ts';
import { refusalOf, type Verdict } from './token-refusal.ts';

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

  ended(verdict: Verdict): Verdict {
    if (verdict instanceof Refusal) this.#results[isResult(verdict.code) ? verdict.code : 'internal_error']++;
    else this.#results.valid++;
    return verdict;
  }

  /** A bug kept the check from ending. */
  broken(): void {
    this.#results.internal_error++;
  }

  /** Counts how the check ends, and ends the same way; a refusal that it rejects with is its verdict. */
  outcomeOf(check: Promise<Verdict>): Promise<Verdict> {
    return check.then(
      (verdict) => this.ended(verdict),
      (error: unknown) => {
        if (!(error instanceof Refusal)) this.broken();
        return this.ended(refusalOf(error));
      },
    );
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
