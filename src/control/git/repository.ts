/** A repository that was checked: only such a one is given to git. */
export interface Repository {
  readonly protocol: 'https' | 'ssh' | 'file';
  /** As git gets it: the host in lower case, no default port. */
  readonly url: string;
  /** With the port where it is another than 443, as credentials are kept by; `https` only. */
  readonly authority: string | null;
  /** Without user and port; null = `file`. */
  readonly host: string | null;
  /** Of the file system, decoded; `file` only. */
  readonly path: string | null;
}

/** Longest URL that is taken, in characters. */
const LONGEST = 2048;

const RIGHT = 'it has to be https://host/path, ssh://user@host/path, user@host:path or file:///path';

const USER = '(?<user>[A-Za-z0-9_][A-Za-z0-9_.+~-]*)';
const HOST = '(?<host>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\\[[0-9A-Fa-f:.]+\\])';
const PORT = '(?::(?<port>[0-9]{1,5}))?';
const HTTPS = new RegExp(`^https://${HOST}${PORT}(?<path>/.+)$`);
const SSH = new RegExp(`^ssh://(?:${USER}@)?${HOST}${PORT}(?<path>/.+)$`);
const SCP = new RegExp(`^${USER}@${HOST}:(?<path>(?!-)[^:]+)$`);
const FILE = /^file:\/\/(?<path>\/.+)$/;

/**
 * Reads a repository as a user names it. Returns what is wrong with it where git must not see it: other transports
 * (`ext::` runs commands), a host, user or path that a program would take for an option (CVE-2017-1000117), and
 * credentials, which belong in a secret.
 */
export function parseRepository(text: string): Repository | string {
  if (text.length > LONGEST) return `it is longer than ${LONGEST} characters`;
  // Not `\s` alone: a control or format character could hide what is named from who reads it.
  if (/[\s\p{Cc}\p{Cf}]/u.test(text)) {
    return 'it holds a space or a control character; write a space of a path as %20';
  }
  if (text.startsWith('-')) return `it begins with a dash; ${RIGHT}`;
  if (/^[a-z+]+:\/\/[^/]*:[^/]*@/i.test(text)) {
    return 'it holds a password; put that into a secret, and name the secret as git.credentials';
  }
  if (/^https:\/\/[^/\\]*@/i.test(text)) {
    return 'it holds a user name; put that into a secret, and name the secret as git.credentials';
  }
  if (/^http:/i.test(text)) return 'http is not encrypted; use https://';
  const found = readForm(text);
  return found === null ? RIGHT : (pathProblem(found) ?? found);
}

function readForm(text: string): Repository | null {
  const https = HTTPS.exec(text)?.groups;
  if (https !== undefined) {
    const port = readPort(https['port'], 443);
    if (port === null) return null;
    const host = https['host']!.toLowerCase();
    const authority = `${host}${port}`;
    return { protocol: 'https', url: `https://${authority}${https['path']!}`, authority, host, path: null };
  }
  const ssh = SSH.exec(text)?.groups;
  if (ssh !== undefined) {
    const port = readPort(ssh['port'], 22);
    if (port === null) return null;
    const host = ssh['host']!.toLowerCase();
    const user = ssh['user'] === undefined ? '' : `${ssh['user']}@`;
    return {
      protocol: 'ssh',
      url: `ssh://${user}${host}${port}${ssh['path']!}`,
      authority: null,
      host,
      path: null,
    };
  }
  const scp = SCP.exec(text)?.groups;
  if (scp !== undefined) {
    const host = scp['host']!.toLowerCase();
    return {
      protocol: 'ssh',
      url: `${scp['user']!}@${host}:${scp['path']!}`,
      authority: null,
      host,
      path: null,
    };
  }
  const path = FILE.exec(text)?.groups?.['path'];
  if (path === undefined) return null;
  return { protocol: 'file', url: text, authority: null, host: null, path: decode(path) };
}

/** With its colon, empty where it is the usual one; null = no port. */
function readPort(text: string | undefined, usual: number): string | null {
  if (text === undefined) return '';
  const port = Number(text);
  if (port < 1 || port > 65_535) return null;
  return port === usual ? '' : `:${port}`;
}

function pathProblem({ url }: Repository): string | null {
  // A query may hold a token, and neither is ever part of a repository's place.
  if (/[?#\\]/.test(url)) return `it holds one of ? # \\; ${RIGHT}`;
  // git decodes the escapes of a URL, so what they stand for is looked at too. It takes user@host:path as it is.
  const decoded = url.includes('://') ? decode(url) : url;
  if (decoded === null) return 'it holds a % that does not begin an escape such as %20';
  return /\p{Cc}/u.test(decoded) ? 'it holds an escaped control character' : null;
}

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

/** The URL of a submodule, which may be relative to the repository that names it (gitmodules(5)). */
export function submoduleUrl(parent: Repository, url: string): string {
  if (!/^\.\.?\//.test(url)) return url;
  const scp = !parent.url.includes('://');
  let base = parent.url.replace(/\/+$/, '');
  let rest = url;
  for (let step; (step = /^\.\.?\//.exec(rest)?.[0]) !== undefined; rest = rest.slice(step.length)) {
    if (step === '../')
      base = base.slice(0, Math.max(base.lastIndexOf('/'), scp ? base.lastIndexOf(':') : 0, 0));
  }
  return `${base}${base.includes(':') ? '/' : ':'}${rest}`;
}
