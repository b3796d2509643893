/** The longest delay `setTimeout` takes; it treats a longer one as 1 ms. */
const LONGEST = 2 ** 31 - 1;

/** A single alarm at a time that does not keep the process alive. Delays of any length are kept. */
export interface Alarm {
  /** Replaces what was set before. Milliseconds from now. */
  set(delay: number, ring: () => void): void;
  clear(): void;
}

export function createAlarm(): Alarm {
  let handle: NodeJS.Timeout | undefined;
  const alarm: Alarm = {
    set(delay, ring) {
      clearTimeout(handle);
      const rest = delay - LONGEST;
      handle = setTimeout(
        rest > 0 ? () => alarm.set(rest, ring) : ring,
        Math.min(Math.max(delay, 0), LONGEST),
      );
      handle.unref();
    },
    clear() {
      clearTimeout(handle);
    },
  };
  return alarm;
}

/** A time-out for openid-client, in whole seconds: a little longer than the deadline in ms that ends the request. */
export function backstop(deadline: number): number {
  return Math.min(Math.ceil(deadline / 1000) + 1, Math.floor(LONGEST / 1000));
}

/** Runs `work` with a signal that aborts with `late` once `timeout` milliseconds are over. */
export async function withDeadline<T>(
  timeout: number,
  late: Error,
  work: (signal: AbortSignal) => Promise<T>,
  stop?: AbortSignal,
): Promise<T> {
  const deadline = new AbortController();
  const alarm = createAlarm();
  alarm.set(timeout, () => deadline.abort(late));
  try {
    return await work(stop === undefined ? deadline.signal : AbortSignal.any([deadline.signal, stop]));
  } finally {
    alarm.clear();
  }
}
