/** Signals within so many ms are one: a terminal sends Ctrl-C to the whole group, and npm hands it on once more. */
const SAME = 500;

/** SIGTERM and SIGINT from the moment of construction on: the first one asks to end, the next ones insist. */
export class StopSignals {
  readonly #asked = new AbortController();
  #insist: () => void = () => undefined;
  #askedAt = 0;

  constructor() {
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => this.ask());
  }

  /** Aborts with the first signal. */
  get asked(): AbortSignal {
    return this.#asked.signal;
  }

  /** What a later signal does. */
  onInsist(insist: () => void): void {
    this.#insist = insist;
  }

  ask(): void {
    const now = performance.now();
    if (!this.#asked.signal.aborted) {
      this.#askedAt = now;
      this.#asked.abort();
    } else if (now - this.#askedAt > SAME) this.#insist();
  }
}
