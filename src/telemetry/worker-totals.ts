import type { MetricJson, Sample } from './metric-json.ts';

/** Dead workers whose last message may still arrive: their totals are kept apart for so long. */
const RECENT = 16;

/**
 * What the workers have reported, kept by the primary so that no counter falls when a worker dies and another takes
 * its place: the last known counters of dead workers stay in the sum, their gauges do not.
 */
export class WorkerTotals {
  readonly #living = new Map<number, readonly MetricJson[]>();
  /** Counters of the dead, youngest last. A last report can be read from the channel after the exit was noticed. */
  readonly #recent = new Map<number, readonly MetricJson[]>();
  #older: readonly MetricJson[] = [];

  /** Replaces what is known of a worker. `workerId` is never used again for another process. */
  update(workerId: number, metrics: readonly MetricJson[]): void {
    if (this.#recent.has(workerId)) this.#recent.set(workerId, countersOf(metrics));
    else this.#living.set(workerId, metrics);
  }

  /** The worker is gone. */
  retire(workerId: number): void {
    const metrics = this.#living.get(workerId) ?? [];
    this.#living.delete(workerId);
    if (this.#recent.has(workerId)) return;
    this.#recent.set(workerId, countersOf(metrics));
    const [oldest] = this.#recent;
    if (this.#recent.size <= RECENT || oldest === undefined) return;
    this.#recent.delete(oldest[0]);
    this.#older = add(this.#older, oldest[1]);
  }

  /** Reports whose sum is the totals since the start, for `renderMetrics`. */
  reports(): (readonly MetricJson[])[] {
    return [...this.#living.values(), ...this.#recent.values(), this.#older];
  }
}

function countersOf(metrics: readonly MetricJson[]): MetricJson[] {
  return metrics.filter((metric) => metric.type !== 'gauge');
}

function add(left: readonly MetricJson[], right: readonly MetricJson[]): MetricJson[] {
  const sums = new Map<string, { metric: MetricJson; samples: Map<string, Sample> }>();
  for (const metric of [...left, ...right]) {
    let sum = sums.get(metric.name);
    if (sum === undefined) sums.set(metric.name, (sum = { metric, samples: new Map() }));
    for (const sample of metric.values) {
      const key = JSON.stringify([sample.metricName, Object.entries(sample.labels)]);
      const before = sum.samples.get(key)?.value ?? 0;
      sum.samples.set(key, { ...sample, value: before + sample.value });
    }
  }
  return [...sums.values()].map(({ metric, samples }) => ({ ...metric, values: [...samples.values()] }));
}
