import { setPriority } from 'node:os';
import { createHistogram } from 'node:perf_hooks';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { readTokens } from './load.ts';
import { RawConnection, rawRequest } from './raw-connection.ts';
import type { Workspace } from './workspace.ts';

/*
 * An open loop: requests are sent when the schedule says so, however long earlier ones take, and their latency counts
 * from that moment. `node constant-rate.ts JOB`, a RateJob as JSON, writes one line.
 */

export interface RateJob {
  readonly port: number;
  readonly path: string;
  /** One token per line, sent in turn. */
  readonly tokenFile: string;
  /** Requests per second. */
  readonly rate: number;
  /** How many are counted. */
  readonly requests: number;
  /** Requests that find all of them taken wait, and their latency goes on. */
  readonly connections: number;
}

export interface RateResult {
  /** Those that the latency is of. */
  readonly requests: number;
  /** Those before them are among these, and among what follows. */
  readonly sent: number;
  /** Answers with a status of 400 or more. */
  readonly refused: number;
  /** Requests whose connection broke. */
  readonly errors: number;
  /** Requests per second that were answered. */
  readonly rate: number;
  /** From when a request was due to its last byte, in microseconds. */
  readonly latency: Quantiles;
  /** How much too late this program itself came to look at its schedule, in microseconds. */
  readonly late: Quantiles;
}

interface Quantiles {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** The schedule's grain in ms: event loops sleep for whole milliseconds, so a thread that can do better wakes it. */
const TICK = 0.25;

/** As nice(1) has it. */
const PRIORITY = -10;

/** For so many seconds before, requests are sent and not counted: this program has to get up to speed itself. */
const LEAD = 1;

/** Runs the job in a process of its own on `core`. Rejects when it gives no result. */
export async function runAtRate(
  workspace: Workspace,
  core: number | null,
  job: RateJob,
): Promise<RateResult> {
  const file = fileURLToPath(import.meta.url);
  let line = '';
  const onLine = (text: string): void => void (line = text);
  const program = await workspace.start(process.execPath, [file, JSON.stringify(job)], { core, onLine });
  await new Promise((resolve) => program.child.once('close', resolve));
  await program.stop();
  if (line === '') throw new Error(`the load at a constant rate gave no result: ${program.errors()}`);
  return JSON.parse(line) as RateResult;
}

async function load({ port, path, tokenFile, rate, requests, connections }: RateJob): Promise<RateResult> {
  const all = (await readTokens(tokenFile)).map((token) => Buffer.from(rawRequest(path, token), 'latin1'));
  const open = new Set(
    await Promise.all(Array.from({ length: connections }, () => RawConnection.open(port))),
  );
  const free = [...open];
  const [latency, late] = [createHistogram(), createHistogram()];
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  const lead = Math.ceil(rate * LEAD);
  const last = lead + requests;
  let [next, ended, refused, errors] = [0, 0, 0, 0];
  const ticker = new Worker(new URL(import.meta.url));
  let startedAt = NaN;
  /** A request is due with the first tick after its place in the schedule. */
  const dueAt = (number: number): number => startedAt + Math.ceil((number * 1000) / rate / TICK) * TICK;
  const send = (): void => {
    const now = performance.now();
    // With the first tick: the thread takes its time to start.
    if (Number.isNaN(startedAt)) startedAt = now;
    while (next < last && dueAt(next) <= now) {
      const connection = free.pop();
      if (connection === undefined) return;
      const due = dueAt(next);
      const counts = next >= lead;
      connection.send(all[next++ % all.length]!, (status) => {
        if (counts) latency.record(microseconds(performance.now() - due));
        if (status === 0) errors++;
        else if (status >= 400) refused++;
        if (++ended === last) resolve(undefined);
        else if (connection.usable) back(connection);
        else replace(connection);
      });
    }
  };
  const back = (connection: RawConnection): void => {
    free.push(connection);
    send();
  };
  const replace = (broken: RawConnection): void => {
    open.delete(broken);
    RawConnection.open(port).then((connection) => {
      open.add(connection);
      back(connection);
    }, reject);
  };
  ticker.on('message', (at: bigint) => {
    if (next >= lead) late.record(microseconds(Number(process.hrtime.bigint() - at) / 1e6));
    send();
  });
  await promise;
  const seconds = (performance.now() - startedAt) / 1000;
  await ticker.terminate();
  for (const connection of open) connection.close();
  return {
    ...{ requests: latency.count, sent: last, refused, errors, rate: last / seconds },
    latency: quantiles(latency),
    late: quantiles(late),
  };
}

function quantiles(histogram: ReturnType<typeof createHistogram>): Quantiles {
  return { p50: histogram.percentile(50), p99: histogram.percentile(99), max: histogram.max };
}

/** Histograms take whole numbers from 1 on. */
function microseconds(milliseconds: number): number {
  return Math.max(1, Math.round(milliseconds * 1000));
}

function tick(): void {
  const never = new Int32Array(new SharedArrayBuffer(4));
  const grain = BigInt(TICK * 1e6);
  // The clock of both threads, in nanoseconds.
  for (let at = process.hrtime.bigint(); ; at += grain) {
    Atomics.wait(never, 0, 0, Math.max(0.01, Number(at - process.hrtime.bigint()) / 1e6));
    parentPort!.postMessage(at);
  }
}

if (!isMainThread) tick();
else if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  try {
    // Before the service, where both have one core: else its turns would be in every figure.
    setPriority(PRIORITY);
  } catch {
    // Only root may.
  }
  process.stdout.write(`${JSON.stringify(await load(JSON.parse(process.argv[2] ?? '') as RateJob))}\n`);
}
