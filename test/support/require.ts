import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join, sep } from 'node:path';

/** Test programs that take long to fetch are kept here between runs. */
export const CACHE_FOLDER = join(homedir(), '.cache/realmgate');

const KEYCLOAK_VERSION = readFileSync(new URL('../keycloak/version', import.meta.url), 'utf8').trim();

/**
 * Real programs that some tests need and npm does not bring. `find` gives the place of the part, or null;
 * `get` completes the sentence "To get it, ...".
 */
const PARTS = {
  keycloak: {
    find: findKeycloak,
    get: 'run `bash .ci/run`, or set REALMGATE_KEYCLOAK_HOME to an unpacked Keycloak distribution',
  },
  java: {
    find: findJava,
    get: 'run `bash .ci/run`, or set JAVA_HOME to a Java runtime of version 21 or newer',
  },
  'old-node': {
    find: findOldNode,
    get: 'run `bash .ci/run`, or put a Node older than 26 on the PATH',
  },
  papermill: {
    find: () => findPython('papermill'),
    get: 'run `bash .ci/run`',
  },
  nbconvert: {
    find: () => findPython('nbconvert'),
    get: 'run `bash .ci/run`',
  },
  sshd: {
    find: findSshd,
    get: 'run `bash .ci/run`, or install OpenSSH with its server',
  },
} as const satisfies Record<string, { find: () => string | null; get: string }>;

export type PartName = keyof typeof PARTS;

const found = new Map<PartName, string | null>();

/** The place of a real part: a folder or a program, as the part has it; null = not on this machine. */
export function findPart(name: PartName): string | null {
  let place = found.get(name);
  if (place === undefined) found.set(name, (place = PARTS[name].find()));
  return place;
}

/**
 * Whether tests may use the real parts named: `describe.skipIf(!requireParts('keycloak', 'java'))(...)`.
 *
 * A missing part is told on standard error. When REALMGATE_REQUIRE is `all`, or a comma-separated list that names
 * the part, this throws instead, so that the tests that need it fail and cannot pass by being skipped.
 */
export function requireParts(...names: PartName[]): boolean {
  const missing = names.filter((name) => findPart(name) === null);
  const required = (process.env['REALMGATE_REQUIRE'] ?? '').split(',').map((word) => word.trim());
  for (const name of missing) {
    const message = `${name} is not on this machine. To get it, ${PARTS[name].get}.`;
    if (required.includes('all') || required.includes(name)) throw new Error(message);
    process.stderr.write(`SKIPPED: tests that need ${name}, since ${message}\n`);
  }
  return missing.length === 0;
}

function findKeycloak(): string | null {
  const home = process.env['REALMGATE_KEYCLOAK_HOME'] ?? join(CACHE_FOLDER, `keycloak-${KEYCLOAK_VERSION}`);
  return existsSync(join(home, 'bin/kc.sh')) ? home : null;
}

/** A Java home of version 21 or newer: what Keycloak 26.7 needs. */
function findJava(): string | null {
  const installed = '/usr/lib/jvm';
  const homes = [
    process.env['JAVA_HOME'],
    join(CACHE_FOLDER, 'java'),
    ...(existsSync(installed) ? readdirSync(installed).map((name) => join(installed, name)) : []),
    ...programs('java').map((file) => join(file, '../..')),
  ];
  return homes.find((home) => home !== undefined && majorVersion(join(home, 'bin/java')) >= 21) ?? null;
}

function findOldNode(): string | null {
  // npm puts its own folders first; a Node in them is the one that the project brings.
  const outside = programs('node').filter((file) => !file.includes(`${sep}node_modules${sep}`));
  const kept = join(CACHE_FOLDER, 'old-node/bin/node');
  return [...outside, kept].find((file) => majorVersion(file) < 26) ?? null;
}

/** With the client beside it. It stands outside of most users' PATH. */
function findSshd(): string | null {
  if (programs('ssh').length === 0 || programs('ssh-keygen').length === 0) return null;
  return [...programs('sshd'), '/usr/sbin/sshd'].find((file) => existsSync(file)) ?? null;
}

/** A Python that has the package, and a kernel to run notebooks with. */
function findPython(module: string): string | null {
  const python = join(CACHE_FOLDER, module, 'bin/python');
  const said = spawnSync(python, ['-c', `import ipykernel, ${module}`], { stdio: 'ignore' });
  return said.status === 0 ? python : null;
}

function programs(name: string): string[] {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .filter((file) => existsSync(file));
}

/** The first number that `FILE --version` says; NaN when it cannot be run. */
function majorVersion(file: string): number {
  const said = spawnSync(file, ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  return said.status === 0 ? Number(/\d+/.exec(said.stdout)?.[0]) : NaN;
}
