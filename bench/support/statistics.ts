/** The lower one of two middle values; NaN of none. */
export function median(values: readonly number[]): number {
  return ascending(values)[(values.length - 1) >> 1] ?? NaN;
}

/** The value below which `share` of the sorted values lie; NaN of none. */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

export function ascending(values: readonly number[]): number[] {
  return [...values].sort((a, b) => a - b);
}
