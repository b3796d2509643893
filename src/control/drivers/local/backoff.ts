import type { LocalDriverSettings } from '../../../contracts/settings.ts';

/** Pauses between one run and the next: doubled from the first to the longest, and short again after a long run. */
export class Backoff {
  readonly #settings: LocalDriverSettings['restartBackoff'];
  #next: number;

  constructor(settings: LocalDriverSettings['restartBackoff']) {
    this.#settings = settings;
    this.#next = settings.first;
  }

  /** After a run, or an attempt at one, of so many ms: ms until the next. */
  after(ranFor: number): number {
    const { first, max, resetAfter } = this.#settings;
    const pause = ranFor >= resetAfter ? first : this.#next;
    this.#next = Math.min(pause * 2, max);
    return pause;
  }
}
