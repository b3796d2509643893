import { access, constants, copyFile, mkdtemp, readFile, rm, stat, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { isAlive } from '../../control/drivers/local/proc.ts';
import { Secrets } from '../../control/services/secrets.ts';
import { SecretsKeyError } from '../../control/services/secrets-key.ts';
import { StoreError } from '../../control/store/database.ts';
import { Store } from '../../control/store/store.ts';
import { type Check, count, fault, type Finding, ok, type Patient, warning } from './check.ts';

const MIB = 1024 ** 2;
const LITTLE = 64 * MIB;
const SOME = 1024 * MIB;

/** The process that runs services from the data directory; null = none does. Linux only: elsewhere nothing is known. */
export async function findHolder(dataDir: string): Promise<number | null> {
  try {
    const { owner } = JSON.parse(await readFile(join(dataDir, 'local-driver.json'), 'utf8')) as {
      owner?: { pid: number; startTime: string } | null;
    };
    return owner !== undefined && owner !== null && (await isAlive(owner)) ? owner.pid : null;
  } catch {
    return null;
  }
}

export function dataDirChecks(patient: Patient): Check[] {
  const dataDir = resolve(patient.settings.dataDir);
  return [
    { name: 'dataDir', run: () => directory(dataDir, patient) },
    { name: 'disk space', run: async () => diskSpace(await nearest(dataDir)) },
    ...(patient.settings.services.driver === 'none'
      ? []
      : [{ name: 'database', run: () => database(dataDir, patient) }]),
  ];
}

async function directory(dataDir: string, { running, holder }: Patient): Promise<Finding> {
  if (holder !== null && running === null) {
    return fault(
      `${dataDir} is used by process ${holder}, which is another serve`,
      'end that one, or set another dataDir',
    );
  }
  const there = await nearest(dataDir);
  if (!(await stat(there)).isDirectory())
    return fault(`${there} is no directory`, 'move it away, or set another dataDir');
  try {
    await access(there, constants.W_OK | constants.X_OK);
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException;
    return fault(
      `this user cannot write ${there} (${code})`,
      'grant it, or set dataDir to a directory that it can write',
    );
  }
  if (there !== dataDir) return ok(`${dataDir} will be made in ${there}`);
  return ok(
    holder === null ? `${dataDir} can be written` : `${dataDir} is used by the serve that runs (${holder})`,
  );
}

async function diskSpace(there: string): Promise<Finding> {
  const { bavail, bsize } = await statfs(there);
  const free = bavail * bsize;
  const found = `${free < 10 * SOME ? `${Math.floor(free / MIB)} MiB` : `${Math.floor(free / SOME)} GiB`} free for ${there}`;
  const todo = 'make room, or set dataDir to another disk: keys, clones and logs of services lie there';
  if (free < LITTLE) return fault(found, todo);
  return free < SOME ? warning(found, todo) : ok(found);
}

/** Opens a copy, since to open is to repair, and to lock. */
async function database(dataDir: string, { settings, running, holder }: Patient): Promise<Finding> {
  if (running !== null || holder !== null) return ok('in use by the serve that runs: not looked at');
  const copy = await mkdtemp(join(tmpdir(), 'realmgate-doctor-'));
  try {
    const copied = await Promise.all(
      ['realmgate.db', 'realmgate.db-wal'].map((name) => copyOver(join(dataDir, name), join(copy, name))),
    );
    const found = open(copy, await keyOf(dataDir, settings.services.secretsKey));
    return ok(copied[0] === true ? found : 'none yet: serve makes it');
  } catch (error) {
    if (!(error instanceof StoreError || error instanceof SecretsKeyError)) throw error;
    const [found = '', ...todo] = error.message.replaceAll(copy, dataDir).split(/: (?=[a-z])/);
    return fault(found, todo.join(': ') || 'mend it, or set another dataDir');
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

function open(copy: string, keyFile: string | null): string {
  const store = new Store(copy);
  try {
    const secrets = new Secrets({ table: store.secrets, dataDir: copy, keyFile, services: () => [] });
    const services = count(store.services().length, 'service');
    return `opens with its key: ${services}, past ones too, and ${count(secrets.list().length, 'secret')}`;
  } finally {
    store.close();
  }
}

/** null = there is none in `dataDir`, where `serve` makes it as long as there is no secret. */
async function keyOf(dataDir: string, configured: string | null): Promise<string | null> {
  const own = join(dataDir, 'secrets.key');
  if (configured !== null) return configured;
  return (await stat(own).catch(() => null)) === null ? null : own;
}

/** Whether there was something to copy. */
async function copyOver(from: string, to: string): Promise<boolean> {
  try {
    await copyFile(from, to);
    return true;
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return false;
    throw new StoreError(`${from} cannot be read (${code}): grant it to the user that runs serve`);
  }
}

/** The path itself, or the directory in which it would be made. */
async function nearest(path: string): Promise<string> {
  for (let at = path; ; at = dirname(at)) {
    if ((await stat(at).catch(() => null)) !== null || dirname(at) === at) return at;
  }
}
