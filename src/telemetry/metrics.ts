import { Histogram, histogramMetric } from './histogram.ts';
import { counter, gauge, type MetricJson, type Sample, sample } from './metric-json.ts';
import { ProcessMetrics } from './process-metrics.ts';

/** Routes with a series of their own; requests of any further one are counted under `other`. */
const MAX_ROUTES = 1000;
/** Likewise for outcomes, which are error codes: a bug that makes them up must not fill the memory. */
const MAX_OUTCOMES = 64;
const OTHER = 'other';

/** What the worker's parts already count for themselves; read when metrics are collected. */
export interface WorkerSources {
  /** Result (`valid`, or an error code) → token checks so far. */
  tokenChecks(): ReadonlyMap<string, number>;
  tokenCache(): {
    readonly entries: number;
    readonly bytes: number;
    /** Look-ups so far that found, and did not find, the token. */
    readonly hits: number;
    readonly misses: number;
  };
  upstreamConnections(): { readonly active: number; readonly idle: number };
  requestsInFlight(): number;
  clientConnections(): number;
}

/** The counters of one worker process. */
export class WorkerMetrics {
  /** Those in use, and past ones that were ever asked for. */
  readonly #routes = new Map<string, RouteMetrics>();
  /** Names of routes that are gone, the longest gone first: their series stay until another route needs the room. */
  readonly #past = new Set<string>();
  #openSeries = 0;
  readonly #other = new Series(OTHER);
  readonly #process: ProcessMetrics;
  #sources: WorkerSources | null = null;

  /** `name` of the process, such as `worker-1`: a slot that a replacement takes over, not a number that only grows. */
  constructor(name: string) {
    this.#process = new ProcessMetrics(name);
  }

  /** What counts for itself; until then its metrics are absent. */
  attach(sources: WorkerSources): void {
    this.#sources = sources;
  }

  /**
   * The counters of the route of this name, the same ones each time; `none` for requests that match no route. To be
   * released as often as it was called.
   */
  route(name: string): RouteMetrics {
    let route = this.#routes.get(name);
    if (route === undefined) {
      route = new RouteMetrics((released) => this.#open(name, released));
      this.#routes.set(name, route);
    }
    this.#past.delete(name);
    route.uses++;
    return route;
  }

  /** A route of this name is gone. */
  release(name: string): void {
    const route = this.#routes.get(name);
    if (route === undefined || --route.uses > 0) return;
    if (route.series === null || route.series === this.#other) this.#routes.delete(name);
    else this.#past.add(name);
  }

  toJSON(): MetricJson[] {
    const series = [...this.#routes.values()].flatMap((route) =>
      route.series === null || route.series === this.#other ? [] : [route.series],
    );
    if (this.#other.used) series.push(this.#other);
    const duration = 'realmgate_request_duration_seconds';
    const upstream = 'realmgate_upstream_duration_seconds';
    return [
      counter(
        'realmgate_requests_total',
        'Requests answered, by route, status (0 = the client left first) and outcome (ok or the error code).',
        series.flatMap((one) => one.requests()),
      ),
      histogramMetric(
        duration,
        'Time from the request to the end of its answer.',
        series.flatMap((one) => one.duration.samples(duration, { route: one.route })),
      ),
      histogramMetric(
        upstream,
        'Time until the first byte of the upstream answer.',
        series.flatMap((one) => one.upstream.samples(upstream, { route: one.route })),
      ),
      ...(this.#sources === null ? [] : sourceMetrics(this.#sources)),
      ...this.#process.toJSON(),
    ];
  }

  #open(name: string, released: boolean): Series {
    if (released || !this.#hasRoom()) return this.#other;
    this.#openSeries++;
    return new Series(name);
  }

  #hasRoom(): boolean {
    if (this.#openSeries < MAX_ROUTES) return true;
    const [gone] = this.#past;
    if (gone === undefined) return false;
    this.#past.delete(gone);
    this.#routes.delete(gone);
    this.#openSeries--;
    return true;
  }
}

/** The counters of one route. A route that was never asked for has no series. */
export class RouteMetrics {
  /** How many routes use it. */
  uses = 0;
  series: Series | null = null;
  readonly #open: (released: boolean) => Series;

  constructor(open: (released: boolean) => Series) {
    this.#open = open;
  }

  /**
   * Counts one request. `outcome` is `ok` or the error's code; `upstreamSeconds` is 0 where no upstream answered.
   * Allocates nothing once this pair of status and outcome was seen.
   */
  observe(status: number, outcome: string, seconds: number, upstreamSeconds: number): void {
    this.series ??= this.#open(this.uses === 0);
    this.series.observe(status, outcome, seconds, upstreamSeconds);
  }
}

class Series {
  readonly route: string;
  readonly duration = new Histogram();
  readonly upstream = new Histogram();
  readonly #outcomes = new Map<string, Map<number, Count>>();

  constructor(route: string) {
    this.route = route;
  }

  get used(): boolean {
    return this.#outcomes.size > 0;
  }

  observe(status: number, outcome: string, seconds: number, upstreamSeconds: number): void {
    this.#count(status, outcome).n++;
    if (seconds >= 0 && seconds < Infinity) this.duration.observe(seconds);
    if (upstreamSeconds > 0 && upstreamSeconds < Infinity) this.upstream.observe(upstreamSeconds);
  }

  requests(): Sample[] {
    const samples: Sample[] = [];
    for (const [outcome, statuses] of this.#outcomes) {
      for (const [status, count] of statuses) {
        samples.push(sample(count.n, { route: this.route, status, outcome }));
      }
    }
    return samples;
  }

  #count(status: number, outcome: string): Count {
    const statuses = this.#statuses(outcome);
    // An upstream may answer with any three digits; whatever is not a status counts as 0.
    const key = status >= 100 && status <= 999 ? status : 0;
    let count = statuses.get(key);
    if (count === undefined) statuses.set(key, (count = { n: 0 }));
    return count;
  }

  #statuses(outcome: string): Map<number, Count> {
    let statuses = this.#outcomes.get(outcome);
    if (statuses !== undefined) return statuses;
    if (this.#outcomes.size >= MAX_OUTCOMES && outcome !== OTHER) return this.#statuses(OTHER);
    statuses = new Map();
    this.#outcomes.set(outcome, statuses);
    return statuses;
  }
}

interface Count {
  n: number;
}

function sourceMetrics(sources: WorkerSources): MetricJson[] {
  const cache = sources.tokenCache();
  const connections = sources.upstreamConnections();
  return [
    counter(
      'realmgate_token_checks_total',
      'Tokens checked, by result.',
      [...sources.tokenChecks()].map(([result, count]) => sample(count, { result })),
    ),
    gauge('realmgate_token_cache_entries', 'Verified tokens in the caches.', [sample(cache.entries)]),
    gauge('realmgate_token_cache_bytes', 'Size of the caches of verified tokens.', [sample(cache.bytes)]),
    counter('realmgate_token_cache_hits_total', 'Look-ups that found a verified token.', [
      sample(cache.hits),
    ]),
    counter('realmgate_token_cache_misses_total', 'Look-ups that found none.', [sample(cache.misses)]),
    gauge('realmgate_upstream_connections', 'Open connections to upstreams, by state.', [
      sample(connections.active, { state: 'active' }),
      sample(connections.idle, { state: 'idle' }),
    ]),
    gauge('realmgate_requests_in_flight', 'Requests in progress.', [sample(sources.requestsInFlight())]),
    gauge('realmgate_client_connections', 'Open connections from clients.', [
      sample(sources.clientConnections()),
    ]),
  ];
}
