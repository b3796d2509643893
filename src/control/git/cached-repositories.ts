import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { GitSource } from '../../contracts/service.ts';
import { BareRepository, UNFINISHED } from './bare-repository.ts';
import { unexplained } from './explain-failure.ts';
import { type Operation, OPERATION_PREFIX } from './operation.ts';
import { Places } from './places.ts';
import type { Repository } from './repository.ts';
import { type RetentionLimits, toForget } from './retention.ts';
import { GitFailure } from './run-git.ts';

/** So many repositories are asked at once. */
const FETCHES = 4;

const NEVER = new AbortController().signal;

/** The bare repositories in the cache's directory, and whose turn it is to use which. */
export class CachedRepositories {
  readonly #directory: string;
  readonly #retention: RetentionLimits;
  readonly #network = new Places(FETCHES);
  readonly #entries = new Map<string, BareRepository>();
  #prepared: Promise<void> | null = null;

  constructor(directory: string, retention: RetentionLimits) {
    this.#directory = directory;
    this.#retention = retention;
  }

  /** Once: makes the directory, and removes what an earlier process did not finish. */
  prepare(): Promise<void> {
    this.#prepared ??= this.#sweep().catch((error: unknown) => {
      this.#prepared = null;
      throw error;
    });
    return this.#prepared;
  }

  /** Fetches what the source names, and resolves to its commit. Rejects with `GitError`. */
  fetch(operation: Operation, repository: Repository, source: GitSource): Promise<string> {
    return this.#alone(operation, repository, source, (entry) => entry.fetch(operation, repository, source));
  }

  /** Whether the commit is there; it then counts as used. */
  has(operation: Operation, repository: Repository, source: GitSource, commit: string): Promise<boolean> {
    const entry = this.#entry(repository, source);
    return entry.places.use(1, operation.signal, async () => {
      const has = await entry.has(operation, commit);
      if (has) await entry.touch();
      return has;
    });
  }

  /**
   * Reads `source.commit`. A repository that lacks it or is damaged is mended, and read once more. Rejects with
   * `GitError`.
   */
  async read<T>(
    operation: Operation,
    repository: Repository,
    source: GitSource & { readonly commit: string },
    work: (directory: string) => Promise<T>,
  ): Promise<T> {
    const entry = this.#entry(repository, source);
    const attempt = (): Promise<T> =>
      entry.places.use(1, operation.signal, async () => {
        await entry.touch();
        return work(entry.directory);
      });
    try {
      if (existsSync(entry.directory)) {
        try {
          return await attempt();
        } catch (error) {
          if (!(error instanceof GitFailure) || error.timedOut) throw error;
        }
      }
      const damaged = await this.has(operation, repository, source, source.commit);
      // Its branch may have moved on, or be gone.
      const wanted = { ...source, branch: null };
      await this.#alone(operation, repository, source, () =>
        damaged ? entry.remake(operation, repository, wanted) : entry.fetch(operation, repository, wanted),
      );
      return await attempt();
    } catch (error) {
      throw error instanceof GitFailure ? unexplained(error, source.repository, operation) : error;
    }
  }

  async #alone(
    { signal }: Operation,
    repository: Repository,
    source: GitSource,
    work: (entry: BareRepository) => Promise<string>,
  ): Promise<string> {
    const entry = this.#entry(repository, source);
    const isNew = !existsSync(entry.directory);
    const commit = await entry.places.use(entry.places.capacity, signal, () =>
      this.#network.use(1, signal, () => work(entry)),
    );
    if (isNew) await this.#forget();
    return commit;
  }

  #entry(repository: Repository, source: GitSource): BareRepository {
    const key = JSON.stringify([repository.url, source.credentials]);
    return this.#entryNamed(createHash('sha256').update(key).digest('hex').slice(0, 40));
  }

  #entryNamed(name: string): BareRepository {
    let entry = this.#entries.get(name);
    if (entry === undefined) {
      entry = new BareRepository(join(this.#directory, name));
      this.#entries.set(name, entry);
    }
    return entry;
  }

  async #sweep(): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    for (const name of await readdir(this.#directory)) {
      if (!name.endsWith(UNFINISHED) && !name.startsWith(OPERATION_PREFIX)) continue;
      await rm(join(this.#directory, name), { recursive: true, force: true });
    }
    await this.#forget();
  }

  /** Removes repositories that were not used for long, or that are too much together. */
  async #forget(): Promise<void> {
    const names = (await readdir(this.#directory)).filter((name) => /^[0-9a-f]{40}$/.test(name));
    for (const name of await toForget(this.#directory, names, this.#retention)) {
      const { places, directory } = this.#entryNamed(name);
      if (!places.idle) continue;
      await places.use(places.capacity, NEVER, () => rm(directory, { recursive: true, force: true }));
    }
  }
}
