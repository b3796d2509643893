/**
 * Runs `work` until it settles or the user presses Ctrl-C, which aborts the signal. A second Ctrl-C ends the process,
 * should `work` not heed the first.
 */
export async function untilInterrupted<T>(work: (interrupted: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const stop = (): void => controller.abort();
  process.once('SIGINT', stop);
  try {
    return await work(controller.signal);
  } finally {
    process.off('SIGINT', stop);
  }
}
