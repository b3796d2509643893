import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises';
import type { ServiceView } from '../../src/contracts/service.ts';
import { markdownTable } from '../support/markdown-table.ts';
import { runsWith } from './admin-client.ts';
import { Losses } from './losses.ts';
import { OpenLoop } from './open-loop.ts';
import type { PartContext, PartResult } from './part.ts';
import { atMost } from '../support/requirement.ts';
import { broken, type Phase, type PhaseSummary, type Rule, summarize } from './phases.ts';
import { type Platform, startPlatform } from './platform.ts';
import { TELLING_SERVER } from './programs.ts';
import { makeRepository } from './repository.ts';
import { findServiceProcess, parentOf } from './service-process.ts';

const RATE = 200;

/** ms that a request takes in the service: with that, some are under way at any moment. */
const WORK = 10;

/** ms before something is done, and after it is done, that still belong to its phase. */
const BEFORE = 500;
const AFTER = 2_000;

/** ms in which nothing is done. */
const STEADY = 4_000;

/** ms within which the access log of a request is written. */
const LOG_DELAY = 1_500;

const NAME = 'steady';

/** One service under constant load, while everything that may happen to it does. */
export async function zeroFailures(
  { workspace, say }: PartContext,
  replicas: number,
  workers: number,
): Promise<PartResult> {
  const name = `zero-${replicas}`;
  const arrivals = join(workspace.folder, `${name}-arrivals`);
  mkdirSync(arrivals);
  const losses = new Losses(arrivals);
  const platform = await startPlatform(workspace, {
    ...{ name, ports: 60, workers },
    onLog: (line) => losses.log(line),
  });
  await platform.admin.create({
    ...{ name: NAME, endpoint: `/${NAME}`, path: 'run.sh', minReplicas: replicas, maxReplicas: replicas },
    git: { repository: makeRepository(join(workspace.folder, `${name}-source`), TELLING_SERVER.files) },
    parameters: { version: '1', arrivals, work: String(WORK) },
  });
  await platform.admin.until(NAME, runsWith(replicas));
  const load = new OpenLoop({
    url: `${platform.realmgate.gatewayUrl}/${NAME}`,
    token: platform.token,
    rate: RATE,
  });
  const run = new Run(platform, load, losses, { arrivals, replicas, say });
  try {
    await run.everything();
  } finally {
    await load.stop();
  }
  await delay(LOG_DELAY);
  await platform.stop();
  return run.result(workers);
}

class Run {
  readonly #platform: Platform;
  readonly #load: OpenLoop;
  readonly #losses: Losses;
  readonly #about: {
    readonly arrivals: string;
    readonly replicas: number;
    readonly say: (line: string) => void;
  };
  readonly #phases: Phase[] = [];
  readonly #rules: Rule[] = [];

  constructor(
    platform: Platform,
    load: OpenLoop,
    losses: Losses,
    about: { arrivals: string; replicas: number; say: (line: string) => void },
  ) {
    this.#platform = platform;
    this.#load = load;
    this.#losses = losses;
    this.#about = about;
  }

  async everything(): Promise<void> {
    const { admin } = this.#platform;
    const { replicas } = this.#about;
    const onlyVersion = (version: string) => (attempt: { version: string | null }) =>
      attempt.version === version;
    await this.#phase('nothing', () => delay(STEADY), onlyVersion('1'), true);

    let before = new Set<string | null>();
    await this.#phase(
      'restart',
      () => {
        before = this.#instances();
        return admin.act(NAME, 'restart');
      },
      ({ instance }) => !before.has(instance),
    );
    await this.#phase('update', () => admin.update(NAME, { parameters: { version: '2' } }), onlyVersion('2'));
    await this.#phase(
      'failing update',
      () =>
        admin.update(NAME, { parameters: { version: '3', crash: 'yes' } }).then(
          () => Promise.reject(new Error('an update that cannot work was accepted')),
          () => undefined,
        ),
      onlyVersion('2'),
      true,
    );
    await this.#phase('rollback', () => admin.act(NAME, 'rollback', { revision: 1 }), onlyVersion('1'));
    const more = replicas + 2;
    await this.#phase('scale up', () => this.#scale(more), onlyVersion('1'), true);
    await this.#phase('scale down', () => this.#scale(replicas), onlyVersion('1'), true);
    await this.#phase('kill -9', () => this.#kill((pid) => pid), onlyVersion('1'), true);
    await this.#phase('kill -9 of its guard', () => this.#kill(parentOf), onlyVersion('1'), true);
  }

  /** `holds` is asked of all that is sent after `act`; `throughout`: also of what is sent while it is under way. */
  async #phase(
    name: string,
    act: () => Promise<unknown>,
    holds: Rule['holds'],
    throughout = false,
  ): Promise<void> {
    const from = performance.now();
    await delay(BEFORE);
    const begun = performance.now();
    await act();
    const done = performance.now();
    await delay(AFTER);
    const to = performance.now();
    const took = name === 'nothing' ? null : done - begun;
    this.#phases.push({ name, from, to, took });
    this.#rules.push({ what: `after ${name}`, from: throughout ? begun : done, to, holds });
    this.#about.say(`${this.#about.replicas} replicas, ${name}: ${((done - begun) / 1000).toFixed(2)} s`);
  }

  async #scale(replicas: number): Promise<void> {
    const { admin } = this.#platform;
    await admin.update(NAME, { minReplicas: replicas, maxReplicas: replicas });
    await admin.until(NAME, runsWith(replicas));
  }

  /** Ends a replica that answers, by the process that `which` picks; resolves once it is there again. */
  async #kill(which: (pid: number) => number): Promise<void> {
    const { admin } = this.#platform;
    const { arrivals, replicas } = this.#about;
    const instance = this.#load.attempts.findLast(({ fault }) => fault === null)!.instance!;
    const port = instance.split('-', 1)[0]!;
    const pid = findServiceProcess('node\0server.mjs\0', { PORT: port, ARRIVALS: arrivals });
    if (pid === null) throw new Error(`the process of the replica ${instance} cannot be found`);
    const before = restartsOf(await admin.get(NAME));
    const at = performance.now();
    process.kill(which(pid), 'SIGKILL');
    while (existsSync(`/proc/${pid}`)) await nextTurn();
    this.#losses.killed({ instance, at, deadAt: performance.now() });
    await admin.until(NAME, (service) => runsWith(replicas)(service) && restartsOf(service) > before);
  }

  /** Those that answered lately. */
  #instances(): Set<string | null> {
    return new Set(this.#load.attempts.slice(-2 * RATE).map(({ instance }) => instance));
  }

  result(workers: number): PartResult {
    const { attempts } = this.#load;
    const { replicas } = this.#about;
    const summaries = this.#phases.map((phase) => summarize(phase, attempts, this.#losses));
    const stale = broken(this.#rules, attempts);
    const wrong = [...summaries.flatMap((summary) => summary.wrong), ...stale];
    const of = (name: string): PhaseSummary => summaries.find(({ phase }) => phase === name)!;
    const lateness = Math.max(...attempts.map(({ dueAt, sentAt }) => sentAt - dueAt));
    const named = `${replicas} ${replicas === 1 ? 'replica' : 'replicas'}`;
    return {
      title: `${RATE} requests/s to ${named}, ${workers} workers`,
      text: [
        table(summaries),
        `${attempts.length} requests, the latest sent ${lateness.toFixed(0)} ms after it was due.`,
        ...wrong.map((fault) => `WRONG: ${fault}`),
      ],
      requirements: [
        atMost(
          `${named}: requests that failed, other than those in flight on the killed replica`,
          sum(summaries, ({ failures }) => failures.wrong),
          0,
          'requests',
        ),
        atMost(`${named}: answers by what is no longer in force`, stale.length, 0, 'answers'),
        atMost(`${named}: without a good answer in a restart`, of('restart').gap, 1_000, 'ms'),
      ],
      figures: { replicas, workers, rate: RATE, work: WORK, lateness, phases: summaries, stale },
    };
  }
}

function restartsOf({ replicas }: ServiceView): number {
  return replicas.reduce((all, { restarts }) => all + restarts, 0);
}

function sum<T>(of: readonly T[], value: (one: T) => number): number {
  return of.reduce((all, one) => all + value(one), 0);
}

function table(summaries: readonly PhaseSummary[]): string {
  const head = ['phase', 'took s', 'requests', 'in flight', 'unread', 'wrong'];
  head.push('p50 ms', 'p99 ms', 'max ms', 'longest gap ms');
  return markdownTable(
    head,
    summaries.map(({ phase, took, requests, failures, latency, gap }) => [
      phase,
      took === null ? '' : (took / 1000).toFixed(2),
      String(requests),
      ...[failures.inFlight, failures.unread, failures.wrong].map(String),
      ...[latency.p50, latency.p99, latency.max, gap].map((value) => value.toFixed(0)),
    ]),
    1,
  );
}
