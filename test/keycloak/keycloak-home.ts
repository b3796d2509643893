import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  closeSync,
  readFileSync,
  renameSync,
} from 'node:fs';
import { copyFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { CACHE_FOLDER, findPart } from '../support/require.ts';

const CONFIGURATION = fileURLToPath(new URL('./keycloak.conf', import.meta.url));

/** What `kc.sh` is given besides the caller's own environment: the Java to run on. */
export function keycloakEnvironment(): NodeJS.ProcessEnv {
  // The second compiler never pays for itself in a run of a minute, and it takes a core from the tests.
  return { ...process.env, JAVA_HOME: place('java'), JAVA_OPTS_APPEND: '-XX:TieredStopAtLevel=1' };
}

/**
 * Fills `folder` with a Keycloak that runs by itself beside others: programs shared by symbolic links, `data` and
 * configuration its own. The first call on a machine builds Keycloak for `keycloak.conf`, which takes about 20 s;
 * the result is kept.
 */
export async function makeKeycloakHome(folder: string): Promise<void> {
  const built = await builtKeycloak(place('keycloak'));
  mkdirSync(join(folder, 'bin'), { recursive: true });
  // kc.sh takes the folder that it really lies in for Keycloak's home, so it cannot be a link.
  copyFileSync(join(built, 'bin/kc.sh'), join(folder, 'bin/kc.sh'));
  for (const name of ['conf', 'lib', 'providers', 'themes', 'version.txt'])
    symlinkSync(join(built, name), join(folder, name));
}

/** Start without `build` needs a copy of the distribution that was built once with the same settings. */
async function builtKeycloak(distribution: string): Promise<string> {
  const identity = createHash('sha256').update(distribution).update('\0').update(readFileSync(CONFIGURATION));
  const built = join(CACHE_FOLDER, `keycloak-built-${identity.digest('hex').slice(0, 16)}`);
  if (existsSync(built)) return built;

  mkdirSync(CACHE_FOLDER, { recursive: true });
  const draft = mkdtempSync(join(CACHE_FOLDER, 'keycloak-draft-'));
  try {
    cpSync(distribution, draft, { recursive: true, verbatimSymlinks: true });
    copyFileSync(CONFIGURATION, join(draft, 'conf/keycloak.conf'));
    const log = join(draft, 'build.log');
    const output = openSync(log, 'w');
    const build = spawn(join(draft, 'bin/kc.sh'), ['build'], {
      env: keycloakEnvironment(),
      stdio: ['ignore', output, output],
    });
    closeSync(output);
    const [code] = (await once(build, 'exit')) as [number | null];
    if (code !== 0) throw new Error(`kc.sh build failed:\n${readFileSync(log, 'utf8')}`);
    renameSync(draft, built);
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    // Another run may have been faster; its result is as good.
    if (!existsSync(built)) throw error;
  }
  return built;
}

function place(name: 'keycloak' | 'java'): string {
  const found = findPart(name);
  if (found === null) throw new Error(`${name} is missing; ask requireParts before using it`);
  return found;
}
