import type { MetricJson, Sample } from '../contracts/metric-json.ts';

export type { MetricJson, Sample } from '../contracts/metric-json.ts';

export function counter(name: string, help: string, values: readonly Sample[]): MetricJson {
  return { name, help, type: 'counter', aggregator: 'sum', values };
}

export function gauge(name: string, help: string, values: readonly Sample[]): MetricJson {
  return { name, help, type: 'gauge', aggregator: 'sum', values };
}

export function sample(value: number, labels: Readonly<Record<string, string | number>> = {}): Sample {
  return { labels, value };
}
