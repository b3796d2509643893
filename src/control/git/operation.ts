import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Credentials, readCredentials } from './credentials.ts';
import type { Repository } from './repository.ts';
import { runGit } from './run-git.ts';

/** Names of the directories of operations begin so; one that is there at a start was left by a crash. */
export const OPERATION_PREFIX = 'operation-';

/** Time-outs of one run of git, in ms: with another machine, and on this one. */
const TIMEOUT = { network: 300_000, local: 120_000 };

/** What git may know of the environment: where programs, temporary files, certificates and proxies are. */
const PASSED = [
  ...['PATH', 'TMPDIR', 'TZ', 'GIT_SSL_CAINFO', 'GIT_SSL_CAPATH'],
  ...['HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'all_proxy', 'NO_PROXY', 'no_proxy'],
];

/** Files of an operation, in the directory that git, ssh and the helper run in: so their names need no quotes there. */
const CONFIG = 'config';
const LOGIN = 'login';
const SSH_KEY = 'ssh-key';
const KNOWN_HOSTS = 'known-hosts';

export interface OperationOptions {
  /** Where its directory is made. */
  readonly parent: string;
  readonly environment: Readonly<Record<string, string>>;
  /** That the credentials are for: no other host gets the login. */
  readonly repository: Repository;
  readonly credentials: Readonly<Record<string, string>> | null;
  readonly signal: AbortSignal;
}

export interface RunOptions {
  /** The only transport that git may use in this run; null = none. */
  readonly protocol?: Repository['protocol'];
  readonly input?: string;
}

/**
 * The runs of git that one question takes, with a configuration of their own: nothing of the user's or the system's
 * counts, no hook, helper or prompt runs, and credentials are in files that only this user can read and that are gone
 * afterwards. They never stand in an argument, a variable or a repository.
 */
export class Operation {
  readonly signal: AbortSignal;
  readonly #directory: string;
  readonly #environment: Readonly<Record<string, string>>;
  readonly #secrets: readonly string[];

  private constructor(
    signal: AbortSignal,
    directory: string,
    environment: Readonly<Record<string, string>>,
    secrets: readonly string[],
  ) {
    this.signal = signal;
    this.#directory = directory;
    this.#environment = environment;
    this.#secrets = secrets;
  }

  /** Runs `work` with a new operation, and removes all traces of it. */
  static async run<T>(options: OperationOptions, work: (operation: Operation) => Promise<T>): Promise<T> {
    const credentials = readCredentials(options.credentials);
    const directory = await mkdtemp(join(options.parent, OPERATION_PREFIX));
    try {
      await writeFile(join(directory, CONFIG), configFor(credentials));
      await writeSecrets(directory, options.repository, credentials);
      const environment = environmentFor(directory, options.environment, credentials);
      return await work(new Operation(options.signal, directory, environment, secretsOf(credentials)));
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }

  /** What git printed. Rejects as `runGit` does. */
  git(args: readonly string[], { protocol, input }: RunOptions = {}): Promise<string> {
    return runGit({
      args,
      environment: { ...this.#environment, GIT_ALLOW_PROTOCOL: protocol ?? '' },
      cwd: this.#directory,
      timeout: protocol === 'https' || protocol === 'ssh' ? TIMEOUT.network : TIMEOUT.local,
      signal: this.signal,
      ...(input === undefined ? {} : { input }),
    });
  }

  /** The text without any secret that a server may have sent back, and without the place of the cache. */
  mask(text: string): string {
    const placeless = text.replaceAll(dirname(this.#directory), 'cache:');
    return this.#secrets.reduce((masked, secret) => masked.replaceAll(secret, '***'), placeless);
  }
}

function environmentFor(
  directory: string,
  base: Readonly<Record<string, string>>,
  credentials: Credentials,
): Record<string, string> {
  const environment: Record<string, string> = {
    // Without a ~/.netrc, which curl would read.
    HOME: directory,
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: join(directory, CONFIG),
    GIT_ATTR_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: '',
    GIT_NO_LAZY_FETCH: '1',
    GIT_DEFAULT_REF_FORMAT: 'files',
    GIT_SSH_VARIANT: 'ssh',
    GIT_SSH_COMMAND: sshCommand(credentials),
  };
  // OpenSSL's own names, which git's libcurl need not know.
  const { SSL_CERT_FILE, SSL_CERT_DIR } = base;
  if (SSL_CERT_FILE !== undefined) environment['GIT_SSL_CAINFO'] = SSL_CERT_FILE;
  if (SSL_CERT_DIR !== undefined) environment['GIT_SSL_CAPATH'] = SSL_CERT_DIR;
  for (const name of PASSED) {
    const value = base[name];
    if (value !== undefined) environment[name] = value;
  }
  return environment;
}

/** Without a key it can reach no host: none is known. */
function sshCommand({ ssh }: Credentials): string {
  const options = {
    IdentityFile: ssh === null ? 'none' : SSH_KEY,
    IdentitiesOnly: 'yes',
    IdentityAgent: 'none',
    StrictHostKeyChecking: 'yes',
    UserKnownHostsFile: ssh === null ? '/dev/null' : KNOWN_HOSTS,
    GlobalKnownHostsFile: '/dev/null',
    UpdateHostKeys: 'no',
    BatchMode: 'yes',
    ForwardAgent: 'no',
    ClearAllForwardings: 'yes',
    ConnectTimeout: '15',
    ServerAliveInterval: '15',
    LogLevel: 'ERROR',
  };
  const words = Object.entries(options).map(([name, value]) => `-o ${name}=${value}`);
  return `ssh -F /dev/null ${words.join(' ')}`;
}

/**
 * git's own store of credentials is the only helper: it gives a login to the host of its line alone, so that a
 * submodule or a redirection elsewhere gets none.
 */
function configFor({ login }: Credentials): string {
  return `[safe]
	directory = *
[core]
	hooksPath = /dev/null
	fsmonitor = false
[protocol]
	allow = never
	version = 2
[http]
	followRedirects = initial
	lowSpeedLimit = 1
	lowSpeedTime = 60
[uploadpack]
	allowAnySHA1InWant = true
[fetch]
	unpackLimit = 1
	recurseSubmodules = false
	showForcedUpdates = false
[gc]
	autoDetach = false
[advice]
	detachedHead = false
${login === null ? '' : `[credential]\n\thelper = store --file=${LOGIN}\n`}`;
}

/** A value of a git configuration file (git-config(1), "Syntax"). */
export function configValue(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&').replaceAll('\n', '\\n')}"`;
}

async function writeSecrets(
  directory: string,
  { authority, host }: Repository,
  { login, ssh }: Credentials,
): Promise<void> {
  const write = (name: string, text: string): Promise<void> =>
    writeFile(join(directory, name), text, { mode: 0o600 });
  if (ssh !== null) {
    await write(SSH_KEY, ssh.key);
    await write(KNOWN_HOSTS, ssh.knownHosts);
  }
  // A repository over ssh may have submodules over https.
  const place = authority ?? host;
  if (login !== null && place !== null) {
    const user = `${encodeURIComponent(login.username)}:${encodeURIComponent(login.password)}`;
    await write(LOGIN, `https://${user}@${place}\n`);
  }
}

/** In every form in which something could show them. */
function secretsOf({ login }: Credentials): string[] {
  if (login === null) return [];
  const { username, password } = login;
  return [Buffer.from(`${username}:${password}`).toString('base64'), encodeURIComponent(password), password];
}
