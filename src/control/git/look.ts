import { posix } from 'node:path';
import type { Operation } from './operation.ts';
import { GitFailure } from './run-git.ts';

/**
 * What a path of a commit leads to, links followed. `outside`: a link leads out of the repository. `submodule`: it is
 * one, or lies in one, and was not looked at.
 */
export type TreeEntry =
  | {
      readonly kind: 'file';
      /** Bytes. */
      readonly size: number;
      /** null = it is larger than what was asked for. */
      readonly text: string | null;
    }
  | { readonly kind: 'directory' | 'missing' | 'outside' | 'submodule' };

/**
 * Looks a path up in a bare repository, and reads a file of at most `textLimit` bytes. Rejects with `GitFailure` when the
 * commit is not there.
 */
export async function look(
  operation: Operation,
  directory: string,
  commit: string,
  path: string,
  textLimit: number,
): Promise<TreeEntry> {
  // Questions are lines, and no path that a service may name has such characters.
  if (/[\n\0]/.test(path)) return { kind: 'missing' };
  const git = `--git-dir=${directory}`;
  const shortest = posix.normalize(path); // git takes a dot for a place in its working tree, and has none here
  const input = `${commit}^{commit}\n${commit}:${shortest === '.' ? '' : shortest}\n`;
  const answer = await operation.git([git, 'cat-file', '--batch-check', '--follow-symlinks'], { input });
  const [first = '', second = ''] = answer.split('\n');
  if (!/^[0-9a-f]+ commit /.test(first)) throw new GitFailure(first, false);
  const [, object, type, size] = /^([0-9a-f]+) (blob|tree) (\d+)$/.exec(second) ?? [];
  if (type === 'tree') return { kind: 'directory' };
  if (type === 'blob' && object !== undefined) {
    const text = Number(size) > textLimit ? null : await operation.git([git, 'cat-file', 'blob', object]);
    return { kind: 'file', size: Number(size), text };
  }
  if (second.startsWith('symlink ')) return { kind: 'outside' };
  return { kind: (await inSubmodule(operation, git, commit, shortest)) ? 'submodule' : 'missing' };
}

async function inSubmodule(
  operation: Operation,
  git: string,
  commit: string,
  path: string,
): Promise<boolean> {
  const parts = path.split('/').filter((part) => part !== '');
  if (parts.length === 0) return false;
  const prefixes = parts.map((_, index) => parts.slice(0, index + 1).join('/'));
  const args = ['--literal-pathspecs', git, 'ls-tree', '--full-tree', '-z', commit, '--', ...prefixes];
  // It also lists what lies beside a path that it has to go down to.
  const found = /^160000 commit [0-9a-f]+\t(.+)$/s;
  return (await operation.git(args))
    .split('\0')
    .some((line) => prefixes.includes(found.exec(line)?.[1] ?? ''));
}
