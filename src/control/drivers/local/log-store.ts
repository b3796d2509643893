import { mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { LogQuery } from '../../../contracts/driver.ts';
import { Follower } from './follower.ts';
import { LogSource, type Stretch } from './log-source.ts';
import { ReplicaLog } from './replica-log.ts';

/** Replicas of one service whose logs are kept; those of the longest silence go. */
const MOST_KEPT = 20;

/** Characters of a line in an event. */
const LONGEST_QUOTED = 1000;

const ENDING = '.log';

/** An id as deployments and services have it. Anything else names no log. */
const ID = /^[a-z0-9-]+$/;

/** The logs of all services: `directory`/SERVICE/REPLICA.log, in lines that begin with their time. */
export class LogStore {
  readonly #directory: string;
  readonly #failed: (service: string, error: unknown) => void;
  /** Service → replica → its log while somebody writes it. */
  readonly #open = new Map<string, Map<string, ReplicaLog>>();
  readonly #followers = new Map<string, Set<Follower>>();

  constructor(directory: string, failed: (service: string, error: unknown) => void) {
    this.#directory = directory;
    this.#failed = failed;
  }

  /** Goes on where the replica's log ended, if there is one. */
  async open(service: string, replica: string): Promise<ReplicaLog> {
    const folder = join(this.#directory, service);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const log = new ReplicaLog(
      join(folder, replica + ENDING),
      replica,
      (from, lines) => {
        for (const follower of this.#followers.get(service) ?? []) follower.push(from, lines);
      },
      (error) => this.#failed(service, error),
    );
    const logs = this.#open.get(service) ?? new Map<string, ReplicaLog>();
    this.#open.set(service, logs.set(replica, log));
    await this.#discardOldest(service);
    return log;
  }

  async close(service: string, log: ReplicaLog): Promise<void> {
    await log.settled();
    const logs = this.#open.get(service);
    logs?.delete(log.replica);
    if (logs?.size === 0) this.#open.delete(service);
  }

  /** What all that is kept of a service takes. */
  async bytes(service: string): Promise<number> {
    if (!ID.test(service)) return 0;
    const folder = join(this.#directory, service);
    const names = await readdir(folder).catch(() => []);
    const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size));
    return sizes.reduce((sum, size) => sum + size, 0);
  }

  async forget(service: string): Promise<void> {
    if (!ID.test(service)) return;
    await rm(join(this.#directory, service), { recursive: true, force: true });
  }

  /** At most so many of the last lines that were written since a time, each cut to what an event can carry. */
  async lastLines(service: string, log: ReplicaLog, count: number, since: string): Promise<string[]> {
    const source = await log.exclusive(() => this.#source(service, log.replica));
    try {
      const lines: string[] = [];
      await source.seekTail(count);
      for (let line = await source.peek(); line !== null; line = await source.peek()) {
        source.take();
        if (line.at >= since) lines.push(line.text.slice(0, LONGEST_QUOTED));
      }
      return lines;
    } finally {
      await source.close();
    }
  }

  async *read(service: string, query: LogQuery): AsyncGenerator<string, void, void> {
    if (!ID.test(service)) return;
    const { follow, replica, signal, over } = query;
    const follower = new Follower(replica);
    const seen = new Set<string>();
    const format = (from: string, text: string): string => {
      seen.add(from);
      return replica === null && seen.size > 1 ? `[${from}] ${text}` : text;
    };
    const sources = await this.#sources(service, replica, follow ? follower : null);
    try {
      for (const source of sources) seen.add(source.replica);
      for await (const [from, text] of inOrder(sources, query.tail)) {
        if (signal.aborted) return;
        yield format(from, text);
      }
      const ending = AbortSignal.any([signal, over]);
      while (follow && !signal.aborted) {
        const news = await follower.next(ending);
        if (news.length === 0) return;
        for (const line of news) yield format(line.replica, line.text);
      }
    } finally {
      this.#followers.get(service)?.delete(follower);
      if (this.#followers.get(service)?.size === 0) this.#followers.delete(service);
      await Promise.all(sources.map((source) => source.close()));
    }
  }

  /** What is kept. A follower is then left with exactly those lines that come after it. */
  async #sources(service: string, only: string | null, follower: Follower | null): Promise<LogSource[]> {
    if (follower !== null) {
      const followers = this.#followers.get(service) ?? new Set<Follower>();
      this.#followers.set(service, followers.add(follower));
    }
    const kept = await this.#kept(service);
    const wanted = kept.filter((replica) => only === null || replica === only);
    return Promise.all(
      wanted.map((replica) => {
        const log = this.#open.get(service)?.get(replica);
        if (log === undefined) return this.#source(service, replica);
        return log.exclusive(() => {
          follower?.drop(log);
          return this.#source(service, replica);
        });
      }),
    );
  }

  async #source(service: string, replica: string): Promise<LogSource> {
    const path = join(this.#directory, service, replica + ENDING);
    const stretches = await Promise.all([stretchOf(`${path}.1`), stretchOf(path)]);
    return new LogSource(
      replica,
      stretches.filter((stretch) => stretch !== null),
    );
  }

  /** Replicas that have a log. */
  async #kept(service: string): Promise<string[]> {
    const names = await readdir(join(this.#directory, service)).catch(() => []);
    return names.filter((name) => name.endsWith(ENDING)).map((name) => name.slice(0, -ENDING.length));
  }

  async #discardOldest(service: string): Promise<void> {
    const kept = await this.#kept(service);
    const closed = kept.filter((replica) => this.#open.get(service)?.has(replica) !== true);
    const surplus = kept.length + 1 - MOST_KEPT;
    if (surplus <= 0) return;
    const path = (replica: string): string => join(this.#directory, service, replica + ENDING);
    const ages = await Promise.all(
      closed.map(async (replica) => ({ replica, at: (await stat(path(replica))).mtimeMs })),
    );
    ages.sort((a, b) => a.at - b.at);
    for (const { replica } of ages.slice(0, surplus)) {
      await rm(path(replica), { force: true });
      await rm(`${path(replica)}.1`, { force: true });
    }
  }
}

async function stretchOf(path: string): Promise<Stretch | null> {
  try {
    const file = await open(path, 'r');
    return { file, end: (await file.stat()).size };
  } catch {
    return null; // not there
  }
}

/** The last lines of all sources in the order of their time; null = every line. */
async function* inOrder(
  sources: readonly LogSource[],
  tail: number | null,
): AsyncGenerator<readonly [replica: string, text: string], void, void> {
  let surplus = 0;
  if (tail !== null) {
    const found = await Promise.all(sources.map((source) => source.seekTail(tail)));
    surplus = Math.max(found.reduce((sum, lines) => sum + lines, 0) - tail, 0);
  }
  for (;;) {
    let oldest: { source: LogSource; at: string; text: string } | null = null;
    for (const source of sources) {
      const line = await source.peek();
      if (line !== null && (oldest === null || line.at < oldest.at)) oldest = { source, ...line };
    }
    if (oldest === null) return;
    oldest.source.take();
    if (surplus > 0) surplus--;
    else yield [oldest.source.replica, oldest.text];
  }
}
