import { statSync } from 'node:fs';
import { constants, enableCompileCache } from 'node:module';
import { join, resolve } from 'node:path';

/** The password of who signs in, where neither the process list nor a file shall show it; null = not set. */
export function passwordFromEnvironment(): string | null {
  return textOf('REALMGATE_PASSWORD');
}

/** The token for the admin API; null = not set. */
export function tokenFromEnvironment(): string | null {
  return textOf('REALMGATE_TOKEN');
}

/** Where the admin API is; null = not set. */
export function adminUrlFromEnvironment(): string | null {
  return textOf('REALMGATE_ADMIN_URL');
}

/** Whether the user wants no colours anywhere: https://no-color.org. */
export function noColour(): boolean {
  return textOf('NO_COLOR') !== null;
}

/** What a service's program gets of this process's environment: where programs and its home are, and no secret. */
export function serviceEnvironment(): Record<string, string> {
  const passed: Record<string, string> = {};
  for (const name of ['PATH', 'HOME', 'LANG', 'TZ', 'TMPDIR']) {
    const value = process.env[name];
    if (value !== undefined) passed[name] = value;
  }
  return passed;
}

/** What git gets: as `serviceEnvironment`, and how it reaches the hosts of this network. */
export function gitEnvironment(): Record<string, string> {
  const passed = serviceEnvironment();
  const network = 'HTTPS_PROXY HTTP_PROXY ALL_PROXY NO_PROXY https_proxy http_proxy all_proxy no_proxy';
  const authorities = 'GIT_SSL_CAINFO GIT_SSL_CAPATH SSL_CERT_FILE SSL_CERT_DIR';
  for (const name of `${network} ${authorities}`.split(' ')) {
    const value = process.env[name];
    if (value !== undefined) passed[name] = value;
  }
  return passed;
}

function textOf(name: string): string | null {
  const value = process.env[name];
  return value === undefined || value === '' ? null : value;
}

/**
 * Where the installation takes no compiled code, such as on a read-only disk, it is kept in `dataDir` from now on, for
 * the next start and for every worker. Not where others may write in `dataDir`: they could put their own code there.
 */
export function keepCompiledCode(dataDir: string): void {
  const { uid, mode } = statSync(dataDir);
  if (uid !== process.getuid?.() || (mode & 0o022) !== 0) return;
  const directory = join(resolve(dataDir), 'compiled');
  const { status } = enableCompileCache(directory);
  if (status === constants.compileCacheStatus.ENABLED) process.env['NODE_COMPILE_CACHE'] = directory;
}

/**
 * What a worker process inherits. V8 takes compiled code only with the flags that it was compiled with, which are not
 * those of the primary: the workers have a place of their own for it.
 */
export function workerEnvironment(): NodeJS.ProcessEnv {
  const { NODE_COMPILE_CACHE: kept } = process.env;
  return kept === undefined ? process.env : { ...process.env, NODE_COMPILE_CACHE: join(kept, 'workers') };
}
