import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Confinement, GuardedProcess, type RunOptions, type SecretFiles } from './guarded-process.ts';
import { findProgram } from './programs.ts';

/** Where the contract promises secret files. */
export const SECRETS_DIRECTORY = '/etc/hyperplane/secrets';

/** What this system lets us put around a service. */
export interface Isolation {
  readonly confinement: Confinement;
  /** How secret files get to their real path, as `guard.sh` takes it; null = they cannot. */
  readonly secrets: 'mount' | 'overlay' | null;
  /** Whether folders can be hidden from a service. */
  readonly hides: boolean;
}

interface Log {
  warn(fields: object, message: string): void;
}

const NAMESPACES = ['--pid', '--fork', '--kill-child', '--mount', '--mount-proc'];

/**
 * Tries all means at once, for real, and where that fails each by itself; tells what is missing. Rejects where there is
 * no bash. `folder`: an empty one that is its own for the time.
 */
export async function probeIsolation(
  environment: Readonly<Record<string, string>>,
  marker: string,
  folder: string,
  log: Log,
): Promise<Isolation> {
  const path = environment['PATH'] ?? '';
  const bash = await findProgram('bash', path);
  if (bash === null) throw new Error('The local driver needs bash, which is not on the PATH');
  const unshare = await findProgram('unshare', path);
  const plain: Confinement = { bash, namespace: null };
  const works = (
    confinement: Confinement,
    place: string,
    command: string,
    hidden: readonly string[] = [],
  ): Promise<boolean> =>
    trial({ confinement, place, command: [bash, '-c', command], environment, marker, folder, hidden });

  const confined = unshare === null ? null : { bash, namespace: namespaceOf(unshare) };
  const parent = dirname(folder);
  const hidden = '[[ $(echo ../*) == ../trial && -d $PWD ]]';
  const arrived = `[[ -f ${SECRETS_DIRECTORY}/trial/key ]]`;
  if (confined !== null) {
    await mkdir(SECRETS_DIRECTORY, { recursive: true }).catch(() => undefined); // only root may, and overlay needs it not
    // Most systems give all of it: one trial tells so, and every start waits for it.
    if (await works(confined, 'mount', `${hidden} && ${arrived}`, [parent])) {
      return { confinement: confined, secrets: 'mount', hides: true };
    }
  }
  if (confined === null || !(await works(confined, 'none', 'true'))) {
    log.warn(
      { missing: 'PID namespaces' },
      'Services run without namespaces of their own: a process that leaves its group is found by its environment only, ' +
        'secret files lie in private directories (HYPERPLANE_SECRETS_DIR), and a service can read the data directory',
    );
    return { confinement: plain, secrets: null, hides: false };
  }
  const hides = await works(confined, 'none', hidden, [parent]);
  if (!hides) {
    log.warn(
      { missing: 'mount --no-canonicalize' },
      'Services can read the data directory: it cannot be hidden',
    );
  }
  for (const place of ['mount', 'overlay'] as const) {
    // A layer over /etc would hide what is mounted below it, such as a container's resolv.conf.
    if (place === 'overlay' && (await mountsBelowEtc())) continue;
    if (await works(confined, place, arrived)) return { confinement: confined, secrets: place, hides };
  }
  log.warn(
    { missing: SECRETS_DIRECTORY },
    `Secret files lie in private directories (HYPERPLANE_SECRETS_DIR): create ${SECRETS_DIRECTORY} once, as root`,
  );
  return { confinement: confined, secrets: null, hides };
}

/** An ordinary user gets PID and mount namespaces within a user namespace, where the service is itself again. */
function namespaceOf(unshare: string): NonNullable<Confinement['namespace']> {
  const uid = process.getuid?.() ?? 0;
  const gid = process.getgid?.() ?? 0;
  if (uid === 0) return { enter: [unshare, ...NAMESPACES], leave: [] };
  return {
    enter: [unshare, '--user', '--map-root-user', ...NAMESPACES],
    leave: [unshare, '--user', `--map-user=${uid}`, `--map-group=${gid}`, '--'],
  };
}

async function trial(
  options: Pick<
    RunOptions,
    'confinement' | 'place' | 'command' | 'environment' | 'marker' | 'folder' | 'hidden'
  >,
): Promise<boolean> {
  const secrets: SecretFiles = { trial: { key: 'value' } };
  const { folder: directory } = options;
  const run = new GuardedProcess({
    ...options,
    directory,
    secrets,
    groups: [],
    dataLimit: null,
    output: 'ignore',
  });
  const { code } = await run.ended;
  run.stop();
  await run.gone;
  return code === 0;
}

async function mountsBelowEtc(): Promise<boolean> {
  const mounts = await readFile('/proc/self/mountinfo', 'utf8').catch(() => '');
  return mounts.split('\n').some((line) => line.split(' ')[4]?.startsWith('/etc/') === true);
}
