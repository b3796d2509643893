import { mkdir, realpath, rm, stat } from 'node:fs/promises';
import { dirname, resolve, sep } from 'node:path';
import type { GitSource } from '../../contracts/service.ts';
import { CachedRepositories } from './cached-repositories.ts';
import { cloneCommit, type Submodule, submodulesOf } from './clone.ts';
import { credentialsProblem } from './credentials.ts';
import { missingRepository, unexplained } from './explain-failure.ts';
import { GitError, type GitField } from './git-error.ts';
import { look, type TreeEntry } from './look.ts';
import { Operation } from './operation.ts';
import { parseRepository, type Repository, submoduleUrl } from './repository.ts';
import { RETENTION, type RetentionLimits } from './retention.ts';
import { GitFailure } from './run-git.ts';
import { SharedWork } from './shared-work.ts';
import { sourceProblems } from './source-problems.ts';

/** So many submodules one clone may have, those of submodules counted in. */
const MOST_SUBMODULES = 100;

type SecretValues = Readonly<Record<string, string>> | null;

export interface GitCacheOptions {
  /** Its own: made where it is missing, and used by one process at a time. */
  readonly directory: string;
  /** Where programs, certificates and proxies are, as variables of the environment: `gitEnvironment()`. */
  readonly environment: Readonly<Record<string, string>>;
  readonly retention?: RetentionLimits;
}

export interface FetchResult {
  /** Full name. */
  readonly commit: string;
  /** The repository did not answer, and the commit is the last one that was used. */
  readonly offline: boolean;
}

/**
 * Brings the repositories that users name to this machine, through the system's git. What was fetched stays in bare
 * repositories, one for each repository and secret, so that who may not name the secret cannot read what it opens.
 *
 * Calls reject with `GitError`, with the signal's reason, or with the system's error where a directory cannot be used.
 * `credentials` are the values of the secret that the source names. Fetches of one repository take turns; those that
 * wait for the same branch or commit share one.
 */
export class GitCache {
  readonly #directory: string;
  readonly #environment: Readonly<Record<string, string>>;
  readonly #cached: CachedRepositories;
  readonly #fetches = new SharedWork<string>();

  constructor({ directory, environment, retention = RETENTION }: GitCacheOptions) {
    this.#directory = resolve(directory);
    this.#environment = environment;
    this.#cached = new CachedRepositories(this.#directory, retention);
  }

  /**
   * Brings the commit that the source names into the cache. A repository that does not answer is no error while
   * `lastCommit` fits the source and is in the cache. A source with a commit asks no repository at all then: that
   * commit never changes, and its branch may be gone.
   */
  async fetch(
    source: GitSource,
    credentials: SecretValues,
    { signal, lastCommit }: { readonly signal: AbortSignal; readonly lastCommit: string | null },
  ): Promise<FetchResult> {
    const last = lastCommit !== null && fits(lastCommit, source) ? lastCommit : null;
    const hasLast = (commit: string): Promise<boolean> =>
      this.#operation(source, credentials, signal, (operation, repository) =>
        this.#cached.has(operation, repository, source, commit),
      );
    if (last !== null && source.commit !== null && (await hasLast(last))) {
      return { commit: last, offline: false };
    }
    try {
      const commit = await this.#fetches.join(JSON.stringify([source, credentials]), signal, (wanted) =>
        this.#operation(source, credentials, wanted, (operation, repository) =>
          this.#cached.fetch(operation, repository, source),
        ),
      );
      return { commit, offline: false };
    } catch (error) {
      const unreachable = error instanceof GitError && error.kind === 'unreachable';
      if (last === null || !unreachable || !(await hasLast(last))) throw error;
      return { commit: last, offline: true };
    }
  }

  /**
   * Makes a clone of the commit in `directory`, which must not exist yet, with all submodules. It is on the branch of the
   * source, or on none, and its origin is the repository. A commit that the cache no longer has is fetched again.
   * Nothing is left of a clone that fails.
   */
  checkout(
    source: GitSource,
    credentials: SecretValues,
    commit: string,
    directory: string,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<void> {
    return this.#operation(source, credentials, signal, async (operation, repository) => {
      const place = resolve(directory);
      await mkdir(dirname(place), { recursive: true });
      await mkdir(place);
      try {
        await this.#clone(operation, repository, source, commit, place, { submodules: 0 });
      } catch (error) {
        await rm(place, { recursive: true, force: true });
        throw error;
      }
    });
  }

  /** What a path of a commit is, from the root and with `/`, and the text of a file of at most `textLimit` bytes. */
  look(
    source: GitSource,
    credentials: SecretValues,
    commit: string,
    path: string,
    { signal, textLimit }: { readonly signal: AbortSignal; readonly textLimit: number },
  ): Promise<TreeEntry> {
    return this.#operation(source, credentials, signal, (operation, repository) =>
      this.#cached.read(operation, repository, { ...source, commit }, (cached) =>
        look(operation, cached, commit, path, textLimit),
      ),
    );
  }

  async #operation<T>(
    source: GitSource,
    credentials: SecretValues,
    signal: AbortSignal,
    work: (operation: Operation, repository: Repository) => Promise<T>,
  ): Promise<T> {
    await this.#cached.prepare();
    const repository = await this.#check(source);
    if (source.credentials !== null) {
      const lacks = credentialsProblem(source.repository, Object.keys(credentials ?? {}));
      if (lacks !== null) throw new GitError('refused', 'git.credentials', lacks);
    }
    return Operation.run(
      { parent: this.#directory, environment: this.#environment, repository, credentials, signal },
      async (operation) => {
        try {
          return await work(operation, repository);
        } catch (error) {
          throw error instanceof GitFailure ? unexplained(error, source.repository, operation) : error;
        }
      },
    );
  }

  /** Refuses what git must not be given. */
  async #check(source: GitSource): Promise<Repository> {
    const [problem] = sourceProblems(source);
    if (problem !== undefined) throw new GitError('invalid', problem.field as GitField, problem.message);
    const repository = parseRepository(source.repository) as Repository;
    if (repository.path === null) return repository;
    const place = await realpath(repository.path).catch(() => null);
    if (place === null || !(await stat(place)).isDirectory()) throw missingRepository(source.repository);
    // Everything that any secret opened lies there.
    if (`${place}${sep}`.startsWith(`${await realpath(this.#directory)}${sep}`)) {
      throw new GitError('invalid', 'git.repository', 'The repository lies where Realmgate keeps its own');
    }
    return repository;
  }

  async #clone(
    operation: Operation,
    repository: Repository,
    source: GitSource,
    commit: string,
    directory: string,
    count: { submodules: number },
  ): Promise<void> {
    const { url } = repository;
    const { branch } = source;
    await this.#cached.read(operation, repository, { ...source, commit }, async (from) => {
      await cloneCommit(operation, { from, directory, url, branch, commit });
    });
    const submodules = await submodulesOf(operation, directory);
    count.submodules += submodules.length;
    if (count.submodules > MOST_SUBMODULES) {
      const message = `The repository ${source.repository} has more than ${MOST_SUBMODULES} submodules`;
      throw new GitError('invalid', 'git.repository', message);
    }
    for (const submodule of submodules) {
      try {
        await this.#cloneSubmodule(operation, repository, source, submodule, count);
      } catch (error) {
        if (!(error instanceof GitError)) throw error;
        const field = error.field === 'git.credentials' ? error.field : 'git.repository';
        throw new GitError(error.kind, field, `Submodule "${submodule.path}": ${error.message}`);
      }
    }
  }

  async #cloneSubmodule(
    operation: Operation,
    parent: Repository,
    source: GitSource,
    submodule: Submodule,
    count: { submodules: number },
  ): Promise<void> {
    const { commit, directory } = submodule;
    const inner = { ...source, repository: submoduleUrl(parent, submodule.url), branch: null, commit };
    // What others may push to shall not read the disk of this machine, nor find out what is there.
    if (parent.protocol !== 'file' && inner.repository.startsWith('file:')) {
      const message = 'Only a repository of this machine may have one of this machine as a submodule';
      throw new GitError('invalid', 'git.repository', message);
    }
    const repository = await this.#check(inner);
    await this.#clone(operation, repository, inner, commit, directory, count);
  }
}

function fits(commit: string, source: GitSource): boolean {
  if (!/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(commit)) return false;
  return source.commit === null || commit.startsWith(source.commit.toLowerCase());
}
