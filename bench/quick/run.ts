import { createHistogram } from 'node:perf_hooks';
import autocannon from 'autocannon';
import type { Target } from './target.ts';

export interface RunOptions {
  readonly seconds: number;
  readonly connections: number;
  /** Called once a second, with the requests answered in it. */
  readonly onSecond: (second: number, requests: number) => void;
}

export interface RunResult {
  readonly seconds: number;
  readonly requests: number;
  readonly bytes: number;
  /** Answers with another status than 2xx, by status. */
  readonly non2xx: ReadonlyMap<number, number>;
  /** Connections that failed or broke; requests without an answer in time are among them. */
  readonly errors: number;
  readonly timeouts: number;
  /** Milliseconds. */
  readonly latency: {
    readonly p50: number;
    readonly p90: number;
    readonly p99: number;
    readonly max: number;
  };
}

/** Puts the target under load, with as many requests at a time as there are connections. */
export async function runLoadTest(
  target: Target,
  { seconds, connections, onSecond }: RunOptions,
): Promise<RunResult> {
  const clients: autocannon.Client[] = [];
  let token = await target.token();
  // autocannon rounds to whole milliseconds.
  const microseconds = createHistogram();
  const statuses = new Map<number, number>();
  let second = 0;
  const { promise, resolve, reject } = Promise.withResolvers<autocannon.Result>();
  const options: autocannon.Options = {
    ...{ url: target.url, connections, duration: seconds, timeout: 10 },
    headers: headersFor(token),
    setupClient: (client) => void clients.push(client),
  };
  const started = performance.now();
  const instance = autocannon(options, (error: Error | null, result: autocannon.Result) => {
    if (error === null) resolve(result);
    else reject(error);
  });
  instance.on('response', (_client, status, _bytes, milliseconds) => {
    microseconds.record(Math.max(1, Math.round(milliseconds * 1000)));
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
  });
  let told = 0;
  const ticking = setInterval(() => {
    onSecond(++second, microseconds.count - told);
    told = microseconds.count;
  }, 1_000);
  const renewal = setInterval(
    () => {
      target
        .token()
        .then((renewed) => {
          token = renewed;
          for (const client of clients) client.setHeaders(headersFor(token));
        })
        // The old one is good for as long again; if not, its 401s will tell.
        .catch(() => undefined);
    },
    Math.min(((token?.life ?? Infinity) * 1000) / 2, 2 ** 30),
  );
  try {
    const { errors, timeouts, throughput } = await promise;
    return {
      seconds: (performance.now() - started) / 1000,
      requests: microseconds.count,
      bytes: throughput.total,
      non2xx: new Map([...statuses].filter(([status]) => status < 200 || status > 299)),
      errors,
      timeouts,
      latency: {
        p50: microseconds.percentile(50) / 1000,
        p90: microseconds.percentile(90) / 1000,
        p99: microseconds.percentile(99) / 1000,
        max: microseconds.max / 1000,
      },
    };
  } finally {
    clearInterval(ticking);
    clearInterval(renewal);
  }
}

function headersFor(token: { readonly value: string } | null): Record<string, string> {
  return token === null ? {} : { authorization: `Bearer ${token.value}` };
}

/** What was not as it should be; empty = nothing. */
export function failuresOf({ requests, non2xx, errors, timeouts }: RunResult): string[] {
  const failures = [...non2xx].map(([status, count]) => `${count} answers were ${status}${hint(status)}`);
  if (timeouts > 0) failures.push(`${timeouts} requests had no answer within 10 s`);
  if (errors > timeouts) failures.push(`${errors - timeouts} connections failed`);
  if (requests === 0) failures.push('nothing was answered');
  return failures;
}

function hint(status: number): string {
  if (status === 401) return ': is the token right, and still good?';
  if (status === 403) return ': the token may not call this';
  if (status === 404) return ': is there such a route?';
  return '';
}

export function renderResult(result: RunResult): string {
  const { seconds, requests, bytes, latency, non2xx, errors } = result;
  const count = (value: number): string => Math.round(value).toLocaleString('en-US');
  const ms = (value: number): string => `${value.toFixed(2)} ms`;
  const rows: readonly (readonly [string, string])[] = [
    ['requests/s', count(requests / seconds)],
    ['requests', count(requests)],
    ['latency p50', ms(latency.p50)],
    ['latency p90', ms(latency.p90)],
    ['latency p99', ms(latency.p99)],
    ['latency max', ms(latency.max)],
    ['bytes/s', count(bytes / seconds)],
    ['bytes', count(bytes)],
    ['non-2xx', count([...non2xx.values()].reduce((sum, value) => sum + value, 0))],
    ['errors', count(errors)],
  ];
  const width = Math.max(...rows.map(([, value]) => value.length));
  const rule = `+${'-'.repeat(13)}+${'-'.repeat(width + 2)}+`;
  return [
    rule,
    ...rows.map(([name, value]) => `| ${name.padEnd(11)} | ${value.padStart(width)} |`),
    rule,
  ].join('\n');
}
