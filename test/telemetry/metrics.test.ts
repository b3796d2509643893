import { beforeAll, describe, expect, it } from 'vitest';
import type { MetricJson } from '../../src/telemetry/metric-json.ts';
import { WorkerMetrics, type WorkerSources } from '../../src/telemetry/metrics.ts';
import { ProcessMetrics } from '../../src/telemetry/process-metrics.ts';
import { type PrimaryMetrics, renderMetrics } from '../../src/telemetry/render-metrics.ts';
import { WorkerTotals } from '../../src/telemetry/worker-totals.ts';
import { type Family, parsePrometheus } from './fixtures/prometheus-text.ts';

const sources: WorkerSources = {
  tokenChecks: () =>
    new Map([
      ['valid', 5],
      ['token_expired', 2],
    ]),
  tokenCache: () => ({ entries: 3, bytes: 3000, hits: 90, misses: 10 }),
  upstreamConnections: () => ({ active: 2, idle: 4 }),
  requestsInFlight: () => 7,
  clientConnections: () => 9,
};

let primary: PrimaryMetrics;
beforeAll(() => {
  primary = {
    realms: [
      { name: 'demo', keysFetchedAt: Date.now() - 60_000, fetchFailures: 3 },
      { name: 'never', keysFetchedAt: null, fetchFailures: 8 },
    ],
    workerRestarts: 1,
    configReloads: { applied: 4, refused: 2 },
    process: new ProcessMetrics('primary'),
  };
});

/** As it arrives in the primary. */
function sent(metrics: WorkerMetrics): MetricJson[] {
  return JSON.parse(JSON.stringify(metrics)) as MetricJson[];
}

async function render(...reports: (readonly MetricJson[])[]): Promise<Map<string, Family>> {
  return parsePrometheus(await renderMetrics(reports, primary));
}

function value(families: Map<string, Family>, key: string): number | undefined {
  const name = key.replace(/\{.*/, '');
  return (
    families.get(name.replace(/_(?:bucket|sum|count)$/, ''))?.samples.get(key) ??
    families.get(name)?.samples.get(key)
  );
}

describe('metrics', () => {
  it('of two workers and the primary are one Prometheus text, with sums', async () => {
    const [one, two] = [new WorkerMetrics('worker-1'), new WorkerMetrics('worker-2')];
    one.attach(sources);
    two.attach(sources);
    one.route('hello').observe(200, 'ok', 0.003, 0.002);
    two.route('hello').observe(200, 'ok', 0.3, 0.2);
    two.route('none').observe(401, 'token_missing', 0.0001, 0);
    const families = await render(sent(one), sent(two));
    expect(value(families, 'realmgate_requests_total{outcome="ok",route="hello",status="200"}')).toBe(2);
    expect(
      value(families, 'realmgate_requests_total{outcome="token_missing",route="none",status="401"}'),
    ).toBe(1);
    expect(value(families, 'realmgate_request_duration_seconds_bucket{le="0.005",route="hello"}')).toBe(1);
    expect(value(families, 'realmgate_request_duration_seconds_bucket{le="+Inf",route="hello"}')).toBe(2);
    expect(value(families, 'realmgate_request_duration_seconds_sum{route="hello"}')).toBeCloseTo(0.303);
    expect(value(families, 'realmgate_upstream_duration_seconds_count{route="hello"}')).toBe(2);
    expect(value(families, 'realmgate_upstream_duration_seconds_count{route="none"}')).toBe(0);
    expect(value(families, 'realmgate_token_checks_total{result="token_expired"}')).toBe(4);
    expect(value(families, 'realmgate_token_cache_entries')).toBe(6);
    expect(value(families, 'realmgate_token_cache_bytes')).toBe(6000);
    expect(value(families, 'realmgate_token_cache_hits_total')).toBe(180);
    expect(value(families, 'realmgate_token_cache_misses_total')).toBe(20);
    expect(value(families, 'realmgate_upstream_connections{state="active"}')).toBe(4);
    expect(value(families, 'realmgate_upstream_connections{state="idle"}')).toBe(8);
    expect(value(families, 'realmgate_requests_in_flight')).toBe(14);
    expect(value(families, 'realmgate_client_connections')).toBe(18);
    expect(value(families, 'realmgate_realm_keys_age_seconds{realm="demo"}')).toBeGreaterThanOrEqual(60);
    expect(value(families, 'realmgate_realm_keys_age_seconds{realm="never"}')).toBeUndefined();
    expect(value(families, 'realmgate_realm_fetch_failures_total{realm="never"}')).toBe(8);
    expect(value(families, 'realmgate_worker_restarts_total')).toBe(1);
    expect(value(families, 'realmgate_config_reloads_total{result="refused"}')).toBe(2);
    for (const name of ['primary', 'worker-1', 'worker-2']) {
      expect(value(families, `realmgate_process_resident_memory_bytes{process="${name}"}`)).toBeGreaterThan(
        1e6,
      );
      expect(value(families, `realmgate_process_cpu_seconds_total{process="${name}"}`)).toBeGreaterThan(0);
      expect(
        value(families, `realmgate_process_event_loop_lag_seconds{process="${name}"}`),
      ).toBeGreaterThanOrEqual(0);
    }
    for (const [name, family] of families) {
      expect(name).toMatch(/^realmgate_/);
      expect(name.endsWith('_total')).toBe(family.type === 'counter');
    }
  });

  it('are valid text before any worker reported', async () => {
    expect((await render()).has('realmgate_config_reloads_total')).toBe(true);
    expect((await render(sent(new WorkerMetrics('worker-1')))).has('realmgate_requests_total')).toBe(true);
  });

  it.each([
    [0.0005, '0.0005'],
    [0.00050001, '0.001'],
    [0, '0.0005'],
    [60, '60'],
    [60.1, '+Inf'],
  ])('count %d s in the bucket up to %s', async (seconds, le) => {
    const metrics = new WorkerMetrics('worker-1');
    metrics.route('r').observe(200, 'ok', seconds, 0);
    const samples = [...(await render(sent(metrics))).get('realmgate_request_duration_seconds')!.samples];
    const first = samples.find(([key, count]) => key.includes('_bucket') && count === 1);
    expect(first![0]).toContain(`le="${le}"`);
  });

  it('stay valid with hostile names and numbers', async () => {
    const metrics = new WorkerMetrics('worker-1');
    metrics.route('a"b\\c\nd{}').observe(200, 'o"k\n', 0.1, 0.1);
    metrics.route('x').observe(NaN, 'ok', NaN, Infinity);
    metrics.route('x').observe(-5, 'ok', -1, -1);
    const families = await render(sent(metrics));
    expect(
      value(families, 'realmgate_requests_total{outcome="o\\"k\\n",route="a\\"b\\\\c\\nd{}",status="200"}'),
    ).toBe(1);
    expect(value(families, 'realmgate_requests_total{outcome="ok",route="x",status="0"}')).toBe(2);
    expect(value(families, 'realmgate_request_duration_seconds_count{route="x"}')).toBe(0);
  });

  it('have a bounded number of series', async () => {
    const metrics = new WorkerMetrics('worker-1');
    for (let n = 0; n < 1500; n++) metrics.route(`route-${n}`).observe(200, 'ok', 0.1, 0);
    for (let n = 0; n < 1000; n++) metrics.route('route-0').observe(400, `made-up-${n}`, 0.1, 0);
    const families = await render(sent(metrics));
    expect(value(families, 'realmgate_requests_total{outcome="ok",route="other",status="200"}')).toBe(500);
    expect(families.get('realmgate_requests_total')!.samples.size).toBeLessThan(1100);
    const counts = [...families.get('realmgate_requests_total')!.samples.values()];
    expect(counts.reduce((sum, count) => sum + count)).toBe(2500);
  });

  it('show no series for a route that nobody asked for', () => {
    const metrics = new WorkerMetrics('worker-1');
    metrics.route('idle');
    expect(JSON.stringify(metrics)).not.toContain('idle');
  });

  it('of a route are the same by the same name', () => {
    const metrics = new WorkerMetrics('worker-1');
    expect(metrics.route('a')).toBe(metrics.route('a'));
  });
});

describe('WorkerTotals', () => {
  const REQUESTS = 'realmgate_requests_total{outcome="ok",route="hello",status="200"}';
  const SECONDS = 'realmgate_request_duration_seconds_count{route="hello"}';

  function worker(requests: number): MetricJson[] {
    const metrics = new WorkerMetrics('worker-1');
    metrics.attach({ ...sources, tokenChecks: () => new Map([['valid', requests]]) });
    for (let n = 0; n < requests; n++) metrics.route('hello').observe(200, 'ok', 0.1, 0.1);
    return sent(metrics);
  }

  async function counted(totals: WorkerTotals): Promise<(number | undefined)[]> {
    const families = await render(...totals.reports());
    return [REQUESTS, SECONDS, 'realmgate_requests_in_flight'].map((key) => value(families, key));
  }

  it('counts a living worker once, by its latest report', async () => {
    const totals = new WorkerTotals();
    totals.update(1, worker(3));
    totals.update(1, worker(5));
    expect(await counted(totals)).toEqual([5, 5, 7]);
  });

  it('keeps the counters of dead workers, and drops their gauges', async () => {
    const totals = new WorkerTotals();
    totals.update(1, worker(5));
    totals.update(2, worker(10));
    totals.retire(1);
    expect(await counted(totals)).toEqual([15, 15, 7]);
    totals.update(3, worker(1));
    expect(await counted(totals)).toEqual([16, 16, 14]);
  });

  it('never lets a counter fall over hundreds of replacements, and stays small', async () => {
    const totals = new WorkerTotals();
    for (let id = 1; id <= 300; id++) {
      totals.update(id, worker(2));
      totals.retire(id);
      if (id % 50 === 0) expect(await counted(totals)).toEqual([id * 2, id * 2, undefined]);
    }
    expect(JSON.stringify(totals.reports()).length).toBeLessThan(20 * JSON.stringify(worker(2)).length);
  });

  it('counts a last report that arrives after the exit, once', async () => {
    const totals = new WorkerTotals();
    totals.update(1, worker(5));
    totals.retire(1);
    totals.update(1, worker(6));
    totals.retire(1);
    expect(await counted(totals)).toEqual([6, 6, undefined]);
  });

  it('takes the end of a worker that never reported', async () => {
    const totals = new WorkerTotals();
    totals.retire(1);
    expect(await counted(totals)).toEqual([undefined, undefined, undefined]);
  });
});

it('a route that is gone is shown until another one needs its room', () => {
  const metrics = new WorkerMetrics('worker-1');
  const routes = () =>
    metrics
      .toJSON()
      .find(({ name }) => name === 'realmgate_requests_total')!
      .values.map(({ labels }) => labels['route']);
  const use = (name: string) => metrics.route(name).observe(200, 'ok', 0.1, 0);
  use('stays');
  for (let n = 0; n < 5000; n++) {
    use(`gone-${n}`);
    metrics.release(`gone-${n}`);
  }
  expect(routes()).toHaveLength(1000);
  expect(routes()).toContain('stays');
  expect(routes()).toContain('gone-4999');
  expect(routes()).not.toContain('gone-0');
  expect(routes()).not.toContain('other');
});

it('a route that comes back counts on; one that several use is gone with the last of them', () => {
  const metrics = new WorkerMetrics('worker-1');
  const first = metrics.route('a');
  first.observe(200, 'ok', 0.1, 0);
  metrics.release('a');
  expect(metrics.route('a')).toBe(first);
  metrics.route('a');
  metrics.release('a');
  for (let n = 0; n < 2000; n++) metrics.route(`other-${n}`).observe(200, 'ok', 0.1, 0);
  expect(metrics.route('a')).toBe(first);
});

it('a route that was never asked for leaves nothing behind; its last request still counts', () => {
  const metrics = new WorkerMetrics('worker-1');
  const late = metrics.route('a');
  metrics.release('a');
  metrics.release('a');
  expect(metrics.route('a')).not.toBe(late);
  late.observe(200, 'ok', 0.1, 0);
  const { values } = metrics.toJSON().find(({ name }) => name === 'realmgate_requests_total')!;
  expect(values).toMatchObject([{ labels: { route: 'other' }, value: 1 }]);
});
