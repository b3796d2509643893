import { appendFile, lstat, mkdir, realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { GitError } from './git-error.ts';
import { configValue, type Operation } from './operation.ts';
import { GitFailure } from './run-git.ts';

export interface CloneOrder {
  /** The bare repository that has the commit. */
  readonly from: string;
  readonly directory: string;
  /** What the clone shall call its origin. */
  readonly url: string;
  /** null = the clone is on no branch. */
  readonly branch: string | null;
  /** Full name. */
  readonly commit: string;
}

/**
 * A clone of one commit in `directory`, whatever was there. It takes the objects over through git, and shares no file
 * with the bare repository: a service may do with its clone what it wants.
 */
export async function cloneCommit(operation: Operation, order: CloneOrder): Promise<void> {
  const { from, directory, url, branch, commit } = order;
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { mode: 0o700 });
  const format = commit.length === 64 ? 'sha256' : 'sha1';
  await operation.git(['init', '--quiet', '--template=', `--object-format=${format}`, '--', directory]);
  const refs = branch === null ? commit : `+${commit}:refs/remotes/origin/${branch}`;
  await operation.git(
    [
      '-C',
      directory,
      'fetch',
      '--quiet',
      '--no-tags',
      '--no-auto-maintenance',
      '--depth=1',
      '--',
      from,
      refs,
    ],
    { protocol: 'file' },
  );
  await appendFile(join(directory, '.git/config'), originConfig(url, branch));
  const place = branch === null ? ['--detach'] : ['-B', branch];
  await operation.git(['-C', directory, 'checkout', '--quiet', '--force', ...place, commit, '--']);
  // They name the cache.
  for (const name of ['FETCH_HEAD', 'logs']) {
    await rm(join(directory, '.git', name), { recursive: true, force: true });
  }
}

function originConfig(url: string, branch: string | null): string {
  const remote = `[remote "origin"]
	url = ${configValue(url)}
	fetch = +refs/heads/*:refs/remotes/origin/*
`;
  if (branch === null) return remote;
  return `${remote}[branch ${configValue(branch)}]
	remote = origin
	merge = ${configValue(`refs/heads/${branch}`)}
`;
}

export interface Submodule {
  /** Relative to the root of the clone. */
  readonly path: string;
  /** Empty, and no link leads out of the clone on the way there. */
  readonly directory: string;
  /** As .gitmodules has it: anything may stand here. */
  readonly url: string;
  readonly commit: string;
}

/**
 * The submodules of a fresh clone that git itself would check out: those of .gitmodules that the commit has, but for
 * `update = none`.
 */
export async function submodulesOf(operation: Operation, directory: string): Promise<Submodule[]> {
  const file = join(directory, '.gitmodules');
  const there = await lstat(file).catch(() => null);
  if (there?.isFile() !== true) return [];
  const wanted = await readModules(operation, file);
  if (wanted.size === 0) return [];
  const list = ['--literal-pathspecs', '-C', directory, 'ls-files', '--stage', '-z', '--', ...wanted.keys()];
  const root = await realpath(directory);
  const submodules: Submodule[] = [];
  for (const line of (await operation.git(list)).split('\0')) {
    const [, commit, path] = /^160000 ([0-9a-f]+) 0\t(.+)$/s.exec(line) ?? [];
    const url = path === undefined ? undefined : wanted.get(path);
    if (commit === undefined || path === undefined || url === undefined) continue;
    const place = join(root, path);
    // CVE-2024-32002: a link of the repository in the way to its own submodule.
    if ((await realpath(place).catch(() => null)) !== place) {
      throw new GitError(
        'invalid',
        'git.repository',
        `The submodule "${path}" does not lie in the repository`,
      );
    }
    submodules.push({ path, directory: place, url, commit });
  }
  return submodules;
}

/** Path → URL. */
async function readModules(operation: Operation, file: string): Promise<Map<string, string>> {
  const modules = new Map<string, { path?: string; url?: string; update?: string }>();
  for (const entry of (await listConfig(operation, file)).split('\0')) {
    const [, name, key, value] = /^submodule\.(.+)\.(path|url|update)\n(.*)$/s.exec(entry) ?? [];
    if (name === undefined || key === undefined || value === undefined) continue;
    modules.set(name, { ...modules.get(name), [key]: value });
  }
  const wanted = new Map<string, string>();
  for (const { path = '', url, update } of modules.values()) {
    // git refuses to be asked about a path elsewhere; the index has none.
    const inside = path.split('/').every((part) => !['', '.', '..'].includes(part));
    if (inside && url !== undefined && update !== 'none') wanted.set(path, url);
  }
  return wanted;
}

async function listConfig(operation: Operation, file: string): Promise<string> {
  try {
    return await operation.git(['config', '--no-includes', `--file=${file}`, '--null', '--list']);
  } catch (error) {
    if (!(error instanceof GitFailure)) throw error;
    throw new GitError('invalid', 'git.repository', 'Its file .gitmodules cannot be read by git');
  }
}
