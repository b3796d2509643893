/**
 * Work that several want at the same time is done once for all of them. Whoever asks while it is being done waits for
 * the next round, so that nobody gets what was found out before they asked. Rounds of one key follow each other.
 */
export class SharedWork<T> {
  /** By key: the round that has not begun. */
  readonly #waiting = new Map<string, Round<T>>();
  /** By key: settles with the last round so far. */
  readonly #last = new Map<string, Promise<unknown>>();

  /**
   * Resolves and rejects as the round does, or rejects with the signal's reason. The signal that `work` gets aborts once
   * all who wanted it have left; the last of them waits for its end.
   */
  join(key: string, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const waiting = this.#waiting.get(key);
    const round = waiting === undefined || waiting.left.aborted ? this.#add(key, work) : waiting;
    return round.join(signal);
  }

  #add(key: string, work: (signal: AbortSignal) => Promise<T>): Round<T> {
    const turn = this.#last.get(key) ?? Promise.resolve();
    const round: Round<T> = new Round(turn, (left) => {
      if (this.#waiting.get(key) === round) this.#waiting.delete(key);
      left.throwIfAborted();
      return work(left);
    });
    this.#waiting.set(key, round);
    const last = round.settled.then(() => {
      if (this.#last.get(key) === last) this.#last.delete(key);
    });
    this.#last.set(key, last);
    return round;
  }
}

class Round<T> {
  readonly settled: Promise<unknown>;
  readonly #result: Promise<T>;
  readonly #left = new AbortController();
  #members = 0;
  #begun = false;

  /** `work` begins when it is its `turn`. */
  constructor(turn: Promise<unknown>, work: (left: AbortSignal) => Promise<T>) {
    this.#result = turn.then(() => {
      this.#begun = true;
      return work(this.#left.signal);
    });
    this.settled = this.#result.catch(() => undefined);
  }

  /** Aborts once there is nobody any more who wants it. */
  get left(): AbortSignal {
    return this.#left.signal;
  }

  async join(signal: AbortSignal): Promise<T> {
    this.#members++;
    const { promise, reject } = Promise.withResolvers<never>();
    const leave = (): void => {
      if (--this.#members === 0) this.#left.abort(signal.reason);
      if (this.#members > 0 || !this.#begun) reject(signal.reason as Error);
    };
    signal.addEventListener('abort', leave, { once: true });
    if (signal.aborted) leave();
    try {
      return await Promise.race([promise, this.#result]);
    } finally {
      signal.removeEventListener('abort', leave);
    }
  }
}
