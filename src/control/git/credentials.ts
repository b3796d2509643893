import { GitError } from './git-error.ts';
import { parseRepository } from './repository.ts';

/** What git and ssh are given. Of an `ssh` repository also the login, for its submodules over https. */
export interface Credentials {
  readonly login: { readonly username: string; readonly password: string } | null;
  readonly ssh: { readonly key: string; readonly knownHosts: string } | null;
}

/**
 * With a token alone. GitHub, GitLab, Gitea and Bitbucket look only at the password then; an installation token of
 * GitHub wants exactly this name.
 */
const TOKEN_USER = 'x-access-token';

/** What a secret with these keys lacks to be `git.credentials` of the repository; null = nothing. */
export function credentialsProblem(repository: string, keys: readonly string[]): string | null {
  const parsed = parseRepository(repository);
  if (typeof parsed === 'string' || parsed.protocol === 'file') return null;
  if (parsed.protocol === 'ssh') {
    const missing = ['ssh-key', 'known-hosts'].filter((key) => !keys.includes(key));
    if (missing.length === 0) return null;
    const names = missing.map((key) => `"${key}"`).join(' and ');
    return `A repository over ssh needs a secret with the keys "ssh-key" and "known-hosts"; this one has no ${names}`;
  }
  if (keys.includes('password') || keys.includes('token')) return null;
  return 'A repository over https needs a secret with the keys "username" and "password", or with "token"; this one has neither';
}

/** Throws `GitError` where a value can be no credential. */
export function readCredentials(values: Readonly<Record<string, string>> | null): Credentials {
  const password = values?.['password'] ?? values?.['token'];
  const key = values?.['ssh-key'];
  return {
    login:
      password === undefined
        ? null
        : {
            username: oneLine('username', values?.['username'] ?? TOKEN_USER),
            password: oneLine('password' in (values ?? {}) ? 'password' : 'token', password),
          },
    ssh:
      key === undefined ? null : { key: privateKey(key), knownHosts: lines(values?.['known-hosts'] ?? '') },
  };
}

/** Files often end with a line break that is not meant. */
function oneLine(key: string, value: string): string {
  const text = value.replace(/\r?\n$/, '');
  if (text !== '' && !/[\r\n\0]/.test(text)) return text;
  const what = text === '' ? 'is empty' : 'has more than one line';
  throw new GitError('refused', 'git.credentials', `The value of "${key}" in the secret ${what}`);
}

/** Nobody is there to type a passphrase, and ssh does not say that it wanted one. */
function privateKey(value: string): string {
  const text = lines(value);
  const [, kind, body] = /^-----BEGIN (?:([A-Z]+) )?PRIVATE KEY-----\n(.+)\n-----END /s.exec(text) ?? [];
  // openssh-key-v1: a magic of 15 bytes, then the cipher's name behind its length of 4.
  const blob = kind === 'OPENSSH' ? Buffer.from(body ?? '', 'base64') : null;
  const locked = blob === null ? /ENCRYPTED/.test(text) : blob.toString('latin1', 19, 23) !== 'none';
  if (body !== undefined && !locked) return text;
  const message =
    'The value of "ssh-key" in the secret is no private key that ssh can read without a passphrase';
  throw new GitError('refused', 'git.credentials', message);
}

/** What ssh wants: every line ends with LF alone, the last one too. */
function lines(text: string): string {
  return `${text.replaceAll('\r\n', '\n').trim()}\n`;
}
