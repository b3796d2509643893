import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { GitSource } from '../../contracts/service.ts';
import { explainFailure, missingCommit, unexplained } from './explain-failure.ts';
import { GitError } from './git-error.ts';
import type { Operation } from './operation.ts';
import { Places } from './places.ts';
import type { Repository } from './repository.ts';
import { GitFailure } from './run-git.ts';

/** Beside a cached repository while it is made; what has this ending at a start was never finished. */
export const UNFINISHED = '.unfinished';

/** In a cached repository that holds whole histories, and so is fetched without a depth. */
const WHOLE_HISTORY = 'whole-history';

const NOT_BY_NAME = /unadvertised object|find remote ref [0-9a-f]{40}$/m;

/** So many may read a cached repository at once; who changes it is alone. */
const READERS = 8;

/** One cached repository: bare, and as shallow as what was asked of it allows. */
export class BareRepository {
  readonly directory: string;
  readonly places = new Places(READERS);
  /** A run of git may have been killed in it. */
  #unclean = true;

  constructor(directory: string) {
    this.directory = directory;
  }

  /**
   * Brings what `source` names, and resolves to its commit. The caller is alone with the repository. One that is
   * missing or damaged is made anew beside its place, and put there once it is whole.
   */
  async fetch(operation: Operation, repository: Repository, source: GitSource): Promise<string> {
    if (existsSync(this.directory)) {
      try {
        if (this.#unclean) await removeLeftovers(this.directory);
        this.#unclean = true;
        const commit = await fetchInto(this.directory, operation, repository, source);
        this.#unclean = false;
        await this.touch();
        return commit;
      } catch (error) {
        if (!(error instanceof GitFailure)) throw error;
        const explained = explainFailure(error, source);
        if (explained !== null) throw explained;
      }
    }
    return this.remake(operation, repository, source);
  }

  /** As `fetch`, from nothing. What was there stays until its successor is whole. */
  async remake(operation: Operation, repository: Repository, source: GitSource): Promise<string> {
    const beside = `${this.directory}.${randomUUID()}${UNFINISHED}`;
    try {
      const commit = await fetchNew(beside, operation, repository, source);
      await rm(this.directory, { recursive: true, force: true });
      await rename(beside, this.directory);
      this.#unclean = false;
      return commit;
    } catch (error) {
      if (!(error instanceof GitFailure)) throw error;
      throw explainFailure(error, source) ?? unexplained(error, source.repository, operation);
    } finally {
      await rm(beside, { recursive: true, force: true });
    }
  }

  /** Whether the commit is there, as far as can be told without reading its files. */
  async has(operation: Operation, commit: string): Promise<boolean> {
    if (!existsSync(this.directory)) return false;
    try {
      return (await revision(this.directory, operation, commit)) !== null;
    } catch (error) {
      if (error instanceof GitFailure) return false;
      throw error;
    }
  }

  /** It was used now: a repository that is not used for long is forgotten. */
  async touch(): Promise<void> {
    const now = new Date();
    // Where it is gone, who goes on to use it finds out.
    await utimes(this.directory, now, now).catch(() => undefined);
  }
}

async function fetchNew(
  directory: string,
  operation: Operation,
  repository: Repository,
  source: GitSource,
): Promise<string> {
  for (const format of ['sha1', 'sha256']) {
    await operation.git([
      'init',
      '--quiet',
      '--bare',
      '--template=',
      `--object-format=${format}`,
      '--',
      directory,
    ]);
    try {
      return await fetchInto(directory, operation, repository, source);
    } catch (error) {
      const other = error instanceof GitFailure && error.stderr.includes('mismatched algorithms');
      if (!other || format === 'sha256') throw error;
      await rm(directory, { recursive: true });
    }
  }
  throw new Error('unreachable');
}

async function fetchInto(
  directory: string,
  operation: Operation,
  repository: Repository,
  source: GitSource,
): Promise<string> {
  const { branch, commit } = source;
  const deep = existsSync(join(directory, WHOLE_HISTORY));
  const tip = `+${branch === null ? 'HEAD' : `refs/heads/${branch}`}:${kept(branch ?? '')}`;
  const fetch = (depth: readonly string[], refs: readonly string[]): Promise<string> =>
    operation.git(
      [`--git-dir=${directory}`, 'fetch', '--quiet', '--no-tags', ...depth, '--', repository.url, ...refs],
      { protocol: repository.protocol },
    );
  const depth = deep ? [] : ['--depth=1'];
  if (commit === null) {
    await fetch(depth, [tip]);
    const head = /^[0-9a-f]{40,64}/.exec(await readFile(join(directory, 'FETCH_HEAD'), 'utf8'))?.[0];
    if (head === undefined) throw new GitFailure('FETCH_HEAD names no commit', false);
    return head;
  }
  const digits = commit.toLowerCase();
  if (digits.length === 40 || digits.length === 64) {
    try {
      // The branch too, so that one that does not exist is told.
      await fetch(depth, [...(branch === null ? [] : [tip]), `+${digits}:${kept(digits)}`]);
      const found = await revision(directory, operation, digits);
      if (found !== null) return found;
      throw missingCommit(source);
    } catch (error) {
      // Some servers give only what a branch points at, and 40 digits may be a short name in a repository with SHA-256:
      // the commit may still be in a history.
      if (!(error instanceof GitFailure) || !NOT_BY_NAME.test(error.stderr)) throw error;
    }
  }
  const whole = existsSync(join(directory, 'shallow')) ? ['--unshallow'] : [];
  await writeFile(join(directory, WHOLE_HISTORY), '');
  if (branch === null) await fetch([...whole, '--prune'], ['+refs/heads/*:refs/remotes/origin/*']);
  else await fetch(whole, [tip]);
  const found = await revision(directory, operation, digits);
  if (found === null) throw missingCommit(source);
  return found;
}

/**
 * Where a branch or commit is kept. Not by its name: a branch `a/b` that follows a deleted `a` could not be stored,
 * and on some systems neither could `A` beside `a`.
 */
function kept(name: string): string {
  return `refs/realmgate/${createHash('sha256').update(name).digest('hex').slice(0, 40)}`;
}

/** The full name of a commit; null = there is none. Throws `GitError` when there are several. */
async function revision(directory: string, operation: Operation, digits: string): Promise<string | null> {
  try {
    const args = ['rev-parse', '--verify', '--end-of-options', `${digits}^{commit}`];
    return (await operation.git([`--git-dir=${directory}`, ...args])).trim();
  } catch (error) {
    if (!(error instanceof GitFailure)) throw error;
    if (/is ambiguous/.test(error.stderr)) {
      const message = `Several commits begin with "${digits}"; name more digits`;
      throw new GitError('missing', 'git.commit', message);
    }
    if (/Needed a single revision|unknown revision|expected commit type/.test(error.stderr)) return null;
    throw error;
  }
}

/** What a run of git that was killed leaves: locks, which refuse the next run, and half a pack. */
async function removeLeftovers(directory: string): Promise<void> {
  for (const { name, parentPath } of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (/\.lock$|^tmp_|^incoming-/.test(name))
      await rm(join(parentPath, name), { recursive: true, force: true });
  }
}
