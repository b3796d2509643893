import type { MetricJson, Sample } from './metric-json.ts';

/** Upper bounds in seconds: from what the gateway alone takes to the longest default time-out. */
const BOUNDS = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
] as const;

/** Durations in seconds, counted in buckets. Observing allocates nothing. */
export class Histogram {
  /** One per bound, not cumulative, and the last for what is beyond all of them. */
  readonly #buckets = new Float64Array(BOUNDS.length + 1);
  #sum = 0;

  /** `seconds` is finite and not negative. */
  observe(seconds: number): void {
    let bucket = 0;
    while (bucket < BOUNDS.length && seconds > BOUNDS[bucket]!) bucket++;
    this.#buckets[bucket]!++;
    this.#sum += seconds;
  }

  /** The samples in Prometheus's form, where each bucket includes the smaller ones. */
  samples(name: string, labels: Readonly<Record<string, string>>): Sample[] {
    const samples: Sample[] = [];
    let count = 0;
    for (const [bucket, entries] of this.#buckets.entries()) {
      count += entries;
      const le = BOUNDS[bucket] ?? '+Inf';
      samples.push({ metricName: `${name}_bucket`, labels: { ...labels, le }, value: count });
    }
    samples.push({ metricName: `${name}_sum`, labels, value: this.#sum });
    samples.push({ metricName: `${name}_count`, labels, value: count });
    return samples;
  }
}

export function histogramMetric(name: string, help: string, values: readonly Sample[]): MetricJson {
  return { name, help, type: 'histogram', aggregator: 'sum', values };
}
