/**
 * Makes or catches an error whose stack nobody reads. Taking the stack costs up to 10 us, which a flood of bad tokens
 * would cost each time.
 */
export function withoutStack<T>(work: () => T): T {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return work();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}
