import { ByText } from './by-text.ts';
import type { CheckedHeader } from './token-checks.ts';

/** More than the keys of all realms, with both spellings that an issuer may use for each. */
const MOST = 64;

/**
 * Headers of tokens whose signature was good, as they stand in the token: all tokens of one key share theirs, and what
 * was read and checked once need not be again (3 µs). Strangers put nothing in.
 */
export class KnownHeaders {
  readonly #headers = new ByText<CheckedHeader>();

  get(encoded: string): CheckedHeader | undefined {
    return this.#headers.get(encoded);
  }

  add(encoded: string, header: CheckedHeader): void {
    if (this.#headers.size >= MOST) this.#headers.clear();
    this.#headers.set(encoded, header);
  }
}
