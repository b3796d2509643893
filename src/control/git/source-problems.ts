import type { GitSource, Problem } from '../../contracts/service.ts';
import { parseRepository } from './repository.ts';

/** What of a source is wrong in itself, each wrong field once. Runs nothing, and asks no repository. */
export function sourceProblems({ repository, branch, commit, credentials }: GitSource): Problem[] {
  const problems: Problem[] = [];
  const parsed = parseRepository(repository);
  if (typeof parsed === 'string') {
    problems.push({ field: 'git.repository', message: `The repository cannot be used: ${parsed}` });
  } else if (parsed.protocol === 'ssh' && credentials === null) {
    const message =
      'A repository over ssh needs a secret with the keys "ssh-key" and "known-hosts"; name it here';
    problems.push({ field: 'git.credentials', message });
  }
  const wrongBranch = branch === null ? null : branchProblem(branch);
  if (wrongBranch !== null) {
    problems.push({ field: 'git.branch', message: `This is no name of a branch: ${wrongBranch}` });
  }
  if (commit !== null && !/^[0-9a-f]{4,64}$/i.test(commit)) {
    const message =
      'A commit is named by 4 to 64 hexadecimal digits; leave it out for the newest of the branch';
    problems.push({ field: 'git.commit', message });
  }
  return problems;
}

/** The rules of git-check-ref-format(1) with `--branch`, but for a dash it would expand. */
function branchProblem(branch: string): string | null {
  if (branch === '') return 'it is empty; leave it out for the default branch';
  if (branch.length > 200) return 'it is longer than 200 characters';
  if (branch.startsWith('-')) return 'it begins with a dash';
  if (branch === 'HEAD' || branch === '@') return `"${branch}" has a meaning of its own`;
  if (/[\s\p{Cc}]/u.test(branch)) return 'it holds a space or a control character';
  const wrong = /[~^:?*[\\]|\.\.|@\{/.exec(branch)?.[0];
  if (wrong !== undefined) return `it holds ${wrong}`;
  if (branch.split('/').includes('')) return 'it has a slash at its start or end, or two in a row';
  if (branch.endsWith('.')) return 'it ends with a dot';
  const part = branch.split('/').find((word) => word.startsWith('.') || word.endsWith('.lock'));
  return part === undefined ? null : `its part "${part}" begins with a dot or ends with .lock`;
}
