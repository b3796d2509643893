import { createHistogram } from 'node:perf_hooks';
import autocannon from 'autocannon';
import { readTokens, type LoadJob } from './load.ts';

/*
 * The load where wrk is missing: `node autocannon-load.ts JOB`, a LoadJob as JSON. It writes the same line as
 * wrk.lua. It takes several times the CPU of wrk, so a gateway is not saturated; its CPU per request still counts.
 */

const job = JSON.parse(process.argv[2] ?? '') as LoadJob;
const tokens = await readTokens(job.tokenFile);
const body = job.bodyBytes === 0 ? {} : { body: 'x'.repeat(job.bodyBytes) };
// Every client goes through a list of its own, so no token is sent by two of them.
const clients = Math.min(job.connections, tokens.length);
let next = 0;
const histogram = createHistogram();
let refused = 0;
let bytes = 0;

const { promise, resolve, reject } = Promise.withResolvers<autocannon.Result>();
const done = (error: Error | null, result: autocannon.Result): void => {
  if (error === null) resolve(result);
  else reject(error);
};
const options: autocannon.Options = {
  url: job.url,
  method: job.method,
  connections: clients,
  timeout: 20,
  ...(job.requests === 0 ? { duration: job.seconds } : { amount: Math.max(clients, job.requests) }),
  setupClient: (client) => {
    const mine = tokens.filter((_, i) => i % clients === next);
    next++;
    client.setRequests(mine.map((token) => ({ ...body, headers: { authorization: `Bearer ${token}` } })));
  },
};
const started = performance.now();
autocannon(options, done).on('response', (_client, status, size, milliseconds) => {
  histogram.record(Math.max(1, Math.round(milliseconds * 1000)));
  bytes += size;
  if (status >= 400) refused++;
});
const { errors } = await promise;
const result = {
  requests: histogram.count,
  microseconds: (performance.now() - started) * 1000,
  bytes,
  refused,
  errors,
  latency: {
    p50: histogram.percentile(50),
    p90: histogram.percentile(90),
    p99: histogram.percentile(99),
    max: histogram.max,
  },
};
process.stdout.write(`RESULT ${JSON.stringify(result)}\n`);
