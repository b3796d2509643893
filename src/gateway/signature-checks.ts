import { signedBytes, type JwtParts } from './compact-jwt.ts';
import type { SignatureVerifier } from './signature-verifier.ts';
import { TurnQueue } from './turn-queue.ts';
import { WorkQueue } from './work-queue.ts';

/** Checks that may wait; of the usual algorithms they take less than a tenth of a second. */
const BACKLOG = 1024;

/** Long checks in the thread pool at a time. It has four threads, which name look-ups for upstreams share. */
const POOLED = 4;

/** Milliseconds of each turn of the event loop for brief checks: what a request with a known token waits for. */
const TURN_SHARE = 0.25;

/** A worker's signature checks: brief ones on its own thread, a few in each turn, the others in the thread pool. */
export class SignatureChecks {
  readonly #brief = new TurnQueue(TURN_SHARE, BACKLOG);
  readonly #long = new WorkQueue(POOLED, BACKLOG);

  /**
   * What `judge` makes of whether the signature of a token is good; at once where it can be. Throws or rejects with what
   * `judge` throws, and rejects with `overloaded` when too many checks wait.
   */
  check<T>(
    verifier: SignatureVerifier,
    token: string,
    parts: JwtParts,
    judge: (good: boolean) => T | Promise<T>,
  ): T | Promise<T> {
    if (verifier.brief) {
      return this.#brief.run(() => {
        const { input, signature } = signedBytes(token, parts);
        return judge(verifier.verify(input, signature));
      });
    }
    return this.#long
      .run(() => {
        const { input, signature } = signedBytes(token, parts);
        return verifier.verifyInPool(Buffer.from(input), Buffer.from(signature));
      })
      .then(judge);
  }
}
