import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { readTokens } from './load.ts';
import { RawConnection, rawRequest } from './raw-connection.ts';
import { goFirst } from './real-time.ts';
import { sharedClock } from './stalls.ts';
import type { Workspace } from './workspace.ts';

/*
 * An open loop: requests are sent when the schedule says so, however long earlier ones take, and their latency counts
 * from that moment. `node constant-rate.ts JOB FILE FILE`, a RateJob as JSON, writes one line, and
 * what lasted how long to the files.
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

export interface RateCounts {
  /** Those that are counted, and those before them. */
  readonly sent: number;
  /** Answers with a status of 400 or more. */
  readonly refused: number;
  /** Requests whose connection broke. */
  readonly errors: number;
  /** Requests per second that were answered. */
  readonly rate: number;
}

export interface RateResult extends RateCounts {
  /** Each counted request, from when it was due to its last byte. */
  readonly requests: Spans;
  /** Each look at the schedule, from when it was due to when this program came to it. */
  readonly looks: Spans;
}

/** Pairs of a beginning and an end, in milliseconds of `sharedClock`. */
export type Spans = Float64Array;

/**
 * The schedule's grain in ms. A thread that is in time to the microsecond wakes the event loop, whose own timers are up
 * to a millisecond late; with four times as many wake-ups the load takes twice the CPU.
 */
const TICK = 1;

/** Before the service, where both have one core: else its turns would be in every figure. */
const PRIORITY = 10;

/** For so many seconds before, requests are sent and not counted: this program has to get up to speed itself. */
const LEAD = 1;

/** Runs the job in a process of its own on `core`. Rejects when it gives no result. */
export async function runAtRate(
  workspace: Workspace,
  core: number | null,
  job: RateJob,
): Promise<RateResult> {
  const file = fileURLToPath(import.meta.url);
  const spanFiles = SPAN_FILES.map((name) => join(workspace.folder, `${name}-${++runs}.spans`)) as SpanFiles;
  let line = '';
  const onLine = (text: string): void => void (line = text);
  // Helpers of a thread that goes first get no turn beside it, so it may have none; nor may it compile for milliseconds.
  const args = ['--single-threaded', '--no-turbofan', file, JSON.stringify(job), ...spanFiles];
  const program = await workspace.start(process.execPath, args, { core, onLine });
  await new Promise((resolve) => program.child.once('close', resolve));
  await program.stop();
  if (line === '') throw new Error(`the load at a constant rate gave no result: ${program.errors()}`);
  const [requests, looks] = await Promise.all(spanFiles.map(readSpans));
  return { ...(JSON.parse(line) as RateCounts), requests: requests!, looks: looks! };
}

const SPAN_FILES = ['requests', 'looks'] as const;
type SpanFiles = [requests: string, looks: string];

/** Several of them run at a time. */
let runs = 0;

async function readSpans(file: string): Promise<Spans> {
  const bytes = await readFile(file);
  await rm(file);
  // A copy: a file's bytes may begin where no number may.
  return new Float64Array(new Uint8Array(bytes).buffer);
}

async function load(
  { port, path, tokenFile, rate, requests, connections }: RateJob,
  [requestFile, lookFile]: SpanFiles,
): Promise<RateCounts> {
  const all = (await readTokens(tokenFile)).map((token) => Buffer.from(rawRequest(path, token), 'latin1'));
  const open = new Set(
    await Promise.all(Array.from({ length: connections }, () => RawConnection.open(port))),
  );
  const free = [...open];
  const [done, looks] = [new SpanList(requests), new SpanList(4096)];
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  const lead = Math.ceil(rate * LEAD);
  const last = lead + requests;
  let [next, ended, refused, errors] = [0, 0, 0, 0];
  goFirst(PRIORITY); // the ticker, too, since it starts afterwards
  const ticker = new Worker(new URL(import.meta.url));
  let startedAt = NaN;
  /** A request is due with the first tick after its place in the schedule. */
  const dueAt = (number: number): number => startedAt + Math.ceil((number * 1000) / rate / TICK) * TICK;
  const send = (): void => {
    const now = sharedClock();
    // With the first tick: the thread takes its time to start.
    if (Number.isNaN(startedAt)) startedAt = now;
    while (next < last && dueAt(next) <= now) {
      const connection = free.pop();
      if (connection === undefined) return;
      const due = dueAt(next);
      const counts = next >= lead;
      connection.send(all[next++ % all.length]!, (status) => {
        if (counts) done.add(due, sharedClock());
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
    if (next >= lead) looks.add(Number(at) / 1e6, sharedClock());
    send();
  });
  await promise;
  const seconds = (sharedClock() - startedAt) / 1000;
  await ticker.terminate();
  for (const connection of open) connection.close();
  await Promise.all([writeFile(requestFile, done.bytes()), writeFile(lookFile, looks.bytes())]);
  return { sent: last, refused, errors, rate: last / seconds };
}

/** Spans one after the other, without an object for each. */
class SpanList {
  #spans: Spans;
  #length = 0;

  constructor(expected: number) {
    this.#spans = new Float64Array(expected * 2);
  }

  add(from: number, to: number): void {
    if (this.#length === this.#spans.length) {
      const wider = new Float64Array(this.#length * 2);
      wider.set(this.#spans);
      this.#spans = wider;
    }
    this.#spans[this.#length++] = from;
    this.#spans[this.#length++] = to;
  }

  bytes(): Uint8Array {
    return new Uint8Array(this.#spans.buffer, 0, this.#length * Float64Array.BYTES_PER_ELEMENT);
  }
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
  const [job = '', ...spanFiles] = process.argv.slice(2);
  const counts = await load(JSON.parse(job) as RateJob, spanFiles as SpanFiles);
  process.stdout.write(`${JSON.stringify(counts)}\n`);
}
