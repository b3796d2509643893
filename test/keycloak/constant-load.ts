/** What a load has seen so far: how often each outcome came. */
export type Tally = Readonly<Record<string, number>>;

export interface ConstantLoad {
  /** Outcomes since the start, or since the last `lap`. */
  readonly tally: Tally;
  /** Resolves to the outcomes so far once what is on its way has come back, and counts anew. */
  lap(): Promise<Tally>;
  /** Sends nothing more; resolves to the outcomes once everything has come back. */
  stop(): Promise<Tally>;
}

/** Calls on their way at a time: a machine that is slower than the load must not be buried under it. */
const MAX_IN_FLIGHT = 8;

/**
 * Calls `send` every `interval` ms, as long as no more than a few calls are on their way, and counts what they
 * resolve to.
 * A call that rejects counts as `failed: MESSAGE`.
 */
export function constantLoad(interval: number, send: (n: number) => Promise<string>): ConstantLoad {
  let tally: Record<string, number> = {};
  let sent = 0;
  const inFlight = new Set<Promise<void>>();
  const timer = setInterval(() => {
    if (inFlight.size >= MAX_IN_FLIGHT) return;
    const counts = tally;
    const done = send(sent++)
      .catch((error: unknown) => `failed: ${error instanceof Error ? error.message : 'unknown'}`)
      .then((outcome) => {
        counts[outcome] = (counts[outcome] ?? 0) + 1;
        inFlight.delete(done);
      });
    inFlight.add(done);
  }, interval);

  async function lap(): Promise<Tally> {
    const counted = tally;
    tally = {};
    await Promise.all([...inFlight]);
    return counted;
  }

  return {
    get tally() {
      return tally;
    },
    lap,
    stop() {
      clearInterval(timer);
      return lap();
    },
  };
}
