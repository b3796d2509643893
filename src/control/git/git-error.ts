/** The field of a service that has to change. */
export type GitField = 'git.repository' | 'git.branch' | 'git.commit' | 'git.credentials';

/**
 * `invalid`: the value itself is refused, and nothing was run. `missing`: the repository, branch or commit is not there.
 * `refused`: the credentials are not accepted, or there are none. `unreachable`: the repository does not answer; it may
 * later. `unusable`: git or ssh cannot be run on this machine. `failed`: git says something else.
 */
export type GitErrorKind = 'invalid' | 'missing' | 'refused' | 'unreachable' | 'unusable' | 'failed';

/** A source cannot be had. The message is for people, names the value, and carries no secret. */
export class GitError extends Error {
  readonly kind: GitErrorKind;
  readonly field: GitField;

  constructor(kind: GitErrorKind, field: GitField, message: string) {
    super(message);
    this.name = 'GitError';
    this.kind = kind;
    this.field = field;
  }
}
