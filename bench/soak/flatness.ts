/** Memory of a group of processes at one moment. */
export interface MemorySample {
  /** Seconds since the start of the run. */
  readonly at: number;
  readonly bytes: number;
}

export interface FlatnessVerdict {
  /** Null = too few samples to judge by. */
  readonly flat: boolean | null;
  /** Median after the warm-up, in bytes. */
  readonly level: number;
  readonly highest: number;
  /** By how much the trend grew from the end of the warm-up to the end, in bytes. */
  readonly growth: number;
}

/** Fewer samples after the warm-up than these tell no trend. */
const FEWEST = 24;

/** Growth that counts as none: what a heap's size varies by. */
const NOISE = { bytes: 16 * 1024 * 1024, share: 0.1 };

/**
 * Whether memory stays level once a run is warm, by the median of the slopes between all pairs of samples (Theil and
 * Sen), so that a single peak is no trend.
 *
 * @param warmup seconds that do not count
 */
export function judgeFlatness(samples: readonly MemorySample[], warmup: number): FlatnessVerdict {
  const warm = samples.filter(({ at }) => at >= warmup);
  const highest = Math.max(0, ...samples.map(({ bytes }) => bytes));
  if (warm.length < FEWEST)
    return { flat: null, level: median(samples.map(({ bytes }) => bytes)), highest, growth: 0 };
  const level = median(warm.map(({ bytes }) => bytes));
  const slopes = warm.flatMap((a, i) => warm.slice(i + 1).map((b) => (b.bytes - a.bytes) / (b.at - a.at)));
  const growth = median(slopes) * (warm.at(-1)!.at - warm[0]!.at);
  return { flat: growth <= Math.max(NOISE.bytes, level * NOISE.share), level, highest, growth };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
}
