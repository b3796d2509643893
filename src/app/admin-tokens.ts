import type { Principal } from '../contracts/principal.ts';
import type { RealmSnapshot } from '../contracts/snapshot.ts';
import type { RealmQuestions } from '../control/worker-pool.ts';
import { Refusal } from '../errors.ts';
import type { Authenticator } from '../gateway/authenticate.ts';

/** Bytes of verified tokens that are kept: few people administer. */
const CACHE_BYTES = 1024 * 1024;

/** Checks the tokens of who administers, by the rules and the code that the gateway has for everybody. */
export class AdminTokens {
  readonly #questions: RealmQuestions;
  readonly #realms: () => readonly RealmSnapshot[];
  #authenticator: Authenticator | null = null;

  /** `realms`: as they are in force now. */
  constructor(questions: RealmQuestions, realms: () => readonly RealmSnapshot[]) {
    this.#questions = questions;
    this.#realms = realms;
  }

  /** Realms, keys or revocations are others than before. At once: a token may be waiting for a new key. */
  changed(): void {
    this.#authenticator?.apply(this.#realms());
  }

  /** Rejects with `token_invalid`, `token_expired`, `token_revoked`, `keys_unavailable` or `overloaded`. */
  async authenticate(token: string, realm: string): Promise<Principal> {
    if (this.#authenticator === null) {
      // The primary checks no tokens until somebody administers: its start need not wait for this code.
      const { Authenticator } = await import('../gateway/authenticate.ts');
      this.#authenticator ??= this.#ready(
        new Authenticator({ control: this.#questions, cacheBytes: CACHE_BYTES }),
      );
    }
    const verdict = await this.#authenticator.authenticate(token, realm);
    if (verdict instanceof Refusal) throw verdict;
    return verdict;
  }

  #ready(authenticator: Authenticator): Authenticator {
    authenticator.apply(this.#realms());
    return authenticator;
  }
}
