import type { MetricObject } from 'prom-client';
import { counter, gauge, type MetricJson, sample } from './metric-json.ts';
import type { ProcessMetrics } from './process-metrics.ts';

/** `Content-Type` of what `renderMetrics` returns. */
export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** What only the primary knows. */
export interface PrimaryMetrics {
  readonly realms: readonly {
    readonly name: string;
    /** When the keys were last fetched, in ms since the epoch; null = never. */
    readonly keysFetchedAt: number | null;
    /** Fetches of keys or the discovery document that failed, so far. */
    readonly fetchFailures: number;
  }[];
  /** Workers that died and were replaced, so far. */
  readonly workerRestarts: number;
  /** Reloads of the configuration so far. */
  readonly configReloads: { readonly applied: number; readonly refused: number };
  readonly process: ProcessMetrics;
}

/** The Prometheus text (format 0.0.4) of all processes: the workers' reports summed, and the primary's own. */
export async function renderMetrics(
  workers: readonly (readonly MetricJson[])[],
  primary: PrimaryMetrics,
): Promise<string> {
  // prom-client takes 30 ms to load, which nobody needs to wait for at the start.
  const { AggregatorRegistry } = await import('prom-client');
  const reports = [...workers, primaryMetrics(primary)] as unknown as MetricObject[];
  return AggregatorRegistry.aggregate(reports).metrics();
}

function primaryMetrics(primary: PrimaryMetrics): MetricJson[] {
  const { realms, configReloads } = primary;
  const now = Date.now();
  return [
    gauge(
      'realmgate_realm_keys_age_seconds',
      'Time since the keys of each realm were last fetched.',
      realms.flatMap(({ name, keysFetchedAt }) =>
        keysFetchedAt === null ? [] : [sample(Math.max(0, now - keysFetchedAt) / 1000, { realm: name })],
      ),
    ),
    counter(
      'realmgate_realm_fetch_failures_total',
      'Failed fetches of keys or the discovery document, by realm.',
      realms.map(({ name, fetchFailures }) => sample(fetchFailures, { realm: name })),
    ),
    counter('realmgate_worker_restarts_total', 'Workers that died and were replaced.', [
      sample(primary.workerRestarts),
    ]),
    counter('realmgate_config_reloads_total', 'Reloads of the configuration, by result.', [
      sample(configReloads.applied, { result: 'applied' }),
      sample(configReloads.refused, { result: 'refused' }),
    ]),
    ...primary.process.toJSON(),
  ];
}
