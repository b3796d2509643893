import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { onTestFinished } from 'vitest';
import type { GitSource } from '../../../src/contracts/service.ts';
import { GitCache, type GitCacheOptions } from '../../../src/control/git/git-cache.ts';

/** For git of the tests: no configuration of who runs them. */
const ENVIRONMENT = {
  PATH: process.env['PATH'] ?? '',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_AUTHOR_NAME: 'Ada',
  GIT_AUTHOR_EMAIL: 'ada@example.com',
  GIT_COMMITTER_NAME: 'Ada',
  GIT_COMMITTER_EMAIL: 'ada@example.com',
  GIT_ALLOW_PROTOCOL: 'file',
};

/** A directory of this test alone, removed when it ends. */
export function temporaryDirectory(): string {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'realmgate-git-test-')));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A repository with files in it, as a user would have one. */
export class SourceRepository {
  readonly directory: string;

  constructor(directory = join(temporaryDirectory(), 'app'), format: 'sha1' | 'sha256' = 'sha1') {
    this.directory = directory;
    execFileSync('git', ['init', '-q', '-b', 'main', `--object-format=${format}`, directory], {
      env: ENVIRONMENT,
    });
  }

  get url(): string {
    return pathToFileURL(this.directory).href;
  }

  git(...args: string[]): string {
    const options = { env: ENVIRONMENT, encoding: 'utf8' } as const;
    return execFileSync('git', ['-C', this.directory, ...args], options).trim();
  }

  write(files: Readonly<Record<string, string>>): void {
    for (const [path, text] of Object.entries(files)) {
      const file = join(this.directory, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
    }
  }

  /** Commits the files on the current branch, and returns the commit. */
  commit(files: Readonly<Record<string, string>>): string {
    this.write(files);
    this.git('add', '--all');
    this.git('commit', '-q', '--allow-empty', '-m', 'Change');
    return this.git('rev-parse', 'HEAD');
  }

  /** Takes a stream as git-fast-import(1) reads it. */
  import(stream: string): void {
    execFileSync('git', ['-C', this.directory, 'fast-import', '--quiet'], {
      env: ENVIRONMENT,
      input: stream,
    });
  }

  /** Adds entries as `git update-index --index-info` reads them. */
  index(entries: string): void {
    const options = { env: ENVIRONMENT, input: entries };
    execFileSync('git', ['-C', this.directory, 'update-index', '--index-info'], options);
  }

  source(fields: Partial<GitSource> = {}): GitSource {
    return { repository: this.url, branch: 'main', commit: null, credentials: null, ...fields };
  }
}

/** A cache with all that a caller gives besides the source. */
export class TestCache {
  readonly directory: string;
  readonly #cache: GitCache;
  readonly #clones: string;
  #made = 0;

  constructor(options: Partial<GitCacheOptions> = {}) {
    const base = temporaryDirectory();
    this.directory = options.directory ?? join(base, 'cache');
    this.#clones = join(base, 'clones');
    const environment = { PATH: process.env['PATH'] ?? '' };
    this.#cache = new GitCache({ environment, ...options, directory: this.directory });
  }

  fetch(
    source: GitSource,
    options: {
      credentials?: Readonly<Record<string, string>>;
      lastCommit?: string;
      signal?: AbortSignal;
    } = {},
  ): Promise<{ commit: string; offline: boolean }> {
    const { credentials = null, lastCommit = null, signal = new AbortController().signal } = options;
    return this.#cache.fetch(source, credentials, { signal, lastCommit });
  }

  /** Resolves to the clone's directory. */
  async checkout(
    source: GitSource,
    commit: string,
    credentials: Readonly<Record<string, string>> | null = null,
    signal = new AbortController().signal,
  ): Promise<string> {
    const directory = this.nextClone();
    await this.#cache.checkout(source, credentials, commit, directory, { signal });
    return directory;
  }

  /** Where the next clone would be made. */
  nextClone(): string {
    return join(this.#clones, String(++this.#made));
  }

  look(source: GitSource, commit: string, path: string, textLimit = 1000): ReturnType<GitCache['look']> {
    return this.#cache.look(source, null, commit, path, { signal: new AbortController().signal, textLimit });
  }
}
