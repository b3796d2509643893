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

  /** Whether the signature is good; at once where it can be. Rejects with `overloaded` when too many checks wait. */
  check(verifier: SignatureVerifier, signed: Buffer, signature: Buffer): boolean | Promise<boolean> {
    return verifier.brief
      ? this.#brief.run(() => verifier.verify(signed, signature))
      : this.#long.run(() => verifier.verifyInPool(signed, signature));
  }
}
