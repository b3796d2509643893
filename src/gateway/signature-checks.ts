import { signedBytes, type JwtParts } from './compact-jwt.ts';
import { invalidToken, TokenRefusal } from './token-refusal.ts';
import type { SignatureVerifier } from './signature-verifier.ts';
import { TurnQueue } from './turn-queue.ts';
import { WorkQueue } from './work-queue.ts';

/** Checks that may wait; of the usual algorithms they take less than a tenth of a second. */
const BACKLOG = 1024;

/** Long checks in the thread pool at a time. It has four threads, which name look-ups for upstreams share. */
const POOLED = 4;

/** Milliseconds of a turn of the event loop for brief checks. Beside requests with known tokens it is far less. */
const TURN_SHARE = 0.5;

/** A worker's signature checks: brief ones on its own thread, a few in each turn, the others in the thread pool. */
export class SignatureChecks {
  readonly #brief = new TurnQueue(TURN_SHARE, BACKLOG);
  readonly #long = new WorkQueue(POOLED, BACKLOG);

  /** A request that needs no check was let in: those like it shall not wait for a burst of checks. */
  giveWay(): void {
    this.#brief.giveWay();
  }

  /**
   * What `judge` makes of the signature's fault, null for a good one; at once where it can be. Throws or rejects with what
   * `judge` throws, and rejects with `overloaded` when too many checks wait.
   */
  check<T>(
    verifier: SignatureVerifier,
    token: string,
    parts: JwtParts,
    judge: (fault: TokenRefusal | null) => T | Promise<T>,
  ): T | Promise<T> {
    if (verifier.brief) {
      return this.#brief.run(() => {
        const bytes = signedBytes(token, parts);
        if (bytes instanceof TokenRefusal) return judge(bytes);
        return judge(faultOf(verifier.verify(bytes.input, bytes.signature)));
      });
    }
    return this.#long
      .run(async () => {
        const bytes = signedBytes(token, parts);
        if (bytes instanceof TokenRefusal) return bytes;
        return faultOf(await verifier.verifyInPool(Buffer.from(bytes.input), Buffer.from(bytes.signature)));
      })
      .then(judge);
  }
}

function faultOf(good: boolean): TokenRefusal | null {
  return good ? null : invalidToken('signature', 'the signature is wrong');
}
