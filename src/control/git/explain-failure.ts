import type { GitSource } from '../../contracts/service.ts';
import { GitError } from './git-error.ts';
import type { Operation } from './operation.ts';
import type { GitFailure } from './run-git.ts';

/** Who refuses the caller; in the words of git, curl, ssh and the big hosts. */
const REFUSED =
  /Authentication failed|could not read (?:Username|Password)|returned error: 40[13]|Permission denied(?: \(|, please)|Too many authentication failures/;
const HOST_KEY = /Host key verification failed|IDENTIFICATION HAS CHANGED|No \S+ host key is known/;
const NO_REPOSITORY =
  /does not appear to be a git repository|[Rr]epository (?:'.*' )?not found|returned error: (?:404|410)|is this a git repository|could not be found or you don't have permission/;
const CERTIFICATE =
  /certificate problem|certificate verification failed|SSL: no alternative certificate|CAfile/;
const UNREACHABLE =
  /[Cc]ould not resolve|[Cc]ouldn't connect|Failed to connect|Connection (?:refused|reset|closed|timed out)|timed out|No route to host|Network is unreachable|returned error: (?:429|5\d\d)|Operation too slow|Empty reply|kex_exchange_identification|handshake|TLS connect error|SSL_ERROR|Recv failure|Send failure|RPC failed|early EOF|remote end hung up|unexpected disconnect|Broken pipe/;
const NO_SUCH_OBJECT = /not our ref|unadvertised object|want \S+ not valid/;

/**
 * What a failed fetch means to who named the source; null = nothing that a repository says, so the cache itself may be
 * damaged.
 */
export function explainFailure({ stderr, timedOut }: GitFailure, source: GitSource): GitError | null {
  const { repository, branch, commit, credentials } = source;
  const ref = /couldn't find remote ref (\S+)/.exec(stderr)?.[1];
  if (ref === 'HEAD') {
    const message = `The repository ${repository} has no commit on its default branch; name a branch that has one`;
    return new GitError('missing', 'git.branch', message);
  }
  if (ref?.startsWith('refs/heads/') === true && branch !== null) {
    return new GitError('missing', 'git.branch', `The repository ${repository} has no branch "${branch}"`);
  }
  if (commit !== null && (ref !== undefined || NO_SUCH_OBJECT.test(stderr))) return missingCommit(source);
  if (/cannot run ssh|ssh: (?:command )?not found/.test(stderr)) {
    const message = 'ssh cannot be run on this machine: it is not installed, or not in the PATH';
    return new GitError('unusable', 'git.repository', message);
  }
  if (HOST_KEY.test(stderr)) {
    const message = `The host of ${repository} shows a key that "known-hosts" of the secret does not have`;
    return new GitError('refused', 'git.credentials', message);
  }
  if (REFUSED.test(stderr)) {
    const message =
      credentials === null
        ? `The repository ${repository} does not exist, or needs credentials; name a secret with them`
        : `The repository ${repository} refuses the credentials of the secret "${credentials}"`;
    return new GitError('refused', 'git.credentials', message);
  }
  if (NO_REPOSITORY.test(stderr)) return missingRepository(repository);
  if (CERTIFICATE.test(stderr)) {
    const message = `The certificate of ${repository} is not one that this machine trusts`;
    return new GitError('unreachable', 'git.repository', message);
  }
  // Of a repository on this disk such words mean that it, or the cache, is damaged.
  if (timedOut || (UNREACHABLE.test(stderr) && !repository.startsWith('file:'))) {
    const why = timedOut
      ? 'it took too long'
      : /Could not resolve/i.test(stderr)
        ? 'no such host'
        : 'no connection';
    return new GitError(
      'unreachable',
      'git.repository',
      `The repository ${repository} does not answer: ${why}`,
    );
  }
  if (/No space left on device|quota exceeded/i.test(stderr)) {
    return new GitError('failed', 'git.repository', 'The disk that the repositories are kept on is full');
  }
  return null;
}

export function missingRepository(repository: string): GitError {
  return new GitError('missing', 'git.repository', `There is no repository at ${repository}`);
}

export function missingCommit({ repository, branch, commit }: GitSource): GitError {
  const where = branch === null ? `The repository ${repository}` : `The branch "${branch}" of ${repository}`;
  return new GitError('missing', 'git.commit', `${where} has no commit "${commit ?? 'HEAD'}"`);
}

/** git's own words, for a failure that nothing above knows. `operation` masks what must not be shown. */
export function unexplained(
  failure: GitFailure,
  repository: string,
  operation: Pick<Operation, 'mask'>,
): GitError {
  const line = failure.stderr.split(/[\r\n]+/).find((text) => /^(?:fatal|error): /.test(text));
  const why = failure.timedOut ? 'it took too long' : (line ?? 'it gave no reason');
  const shown = operation
    .mask(why)
    .replace(/\p{Cc}/gu, ' ')
    .slice(0, 300);
  return new GitError('failed', 'git.repository', `git could not read ${repository}: ${shown}`);
}
