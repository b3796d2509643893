/** Calls `each` with the numbers from 0 on, so many at a time, and resolves to the results in their order. */
export async function inBatches<T>(
  count: number,
  atOnce: number,
  each: (number: number) => Promise<T>,
): Promise<T[]> {
  const results: T[] = [];
  while (results.length < count) {
    const size = Math.min(atOnce, count - results.length);
    const from = results.length;
    results.push(...(await Promise.all(Array.from({ length: size }, (_, i) => each(from + i)))));
  }
  return results;
}
