import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, rmdir, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { gitEnvironment, serviceEnvironment } from '../../config/environment.ts';
import { ControlGroups } from '../../control/drivers/local/control-groups.ts';
import { probeIsolation, SECRETS_DIRECTORY } from '../../control/drivers/local/isolation.ts';
import { isFree } from '../../control/drivers/local/probe.ts';
import { findProgram } from '../../control/drivers/local/programs.ts';
import { findNotebookRunner } from '../../control/pipeline/notebook-runner.ts';
import { type Check, fault, type Finding, ok, type Patient, warning } from './check.ts';

const execute = promisify(execFile);

/** The first git that can be told which configuration to read (GIT_CONFIG_GLOBAL). */
const OLDEST_GIT = [2, 32] as const;

/** Ports of the range that are looked at. */
const SAMPLE = 100;

/** What services on this machine need; nothing where none are run here. */
export function serviceChecks({ settings, running }: Patient): Check[] {
  const { driver, local } = settings.services;
  if (driver !== 'local') return [];
  return [
    { name: 'git', run: git },
    { name: 'bash', run: bash },
    { name: 'python3', run: python },
    { name: 'node for services', run: nodeOfServices },
    { name: 'isolation', run: isolation },
    { name: 'limits', run: limits },
    { name: 'services.local.portRange', run: () => ports(local.portRange, running !== null) },
  ];
}

async function git(signal: AbortSignal): Promise<Finding> {
  const install = `install git ${OLDEST_GIT.join('.')} or newer`;
  const version = await versionOf('git', gitEnvironment(), signal);
  if (version === null) return fault('git cannot be run', `${install}: services come from repositories`);
  const [major = 0, minor = 0] = (/\d+\.\d+/.exec(version)?.[0] ?? '').split('.').map(Number);
  const [oldestMajor, oldestMinor] = OLDEST_GIT;
  if (major < oldestMajor || (major === oldestMajor && minor < oldestMinor))
    return warning(`${version} would heed the configuration of this user`, install);
  return ok(version);
}

async function bash(): Promise<Finding> {
  const place = await findProgram('bash', pathOf());
  return place === null
    ? fault('bash is not on the PATH', 'install it: every service is started by it')
    : ok(place);
}

/** Only pipelines with such tasks need it: what is missing is told, and no more. */
async function python(signal: AbortSignal): Promise<Finding> {
  const environment = serviceEnvironment();
  const version = await versionOf('python3', environment, signal);
  if (version === null) return ok('not there: pipelines with Python tasks or notebooks cannot run');
  const notebooks = await findNotebookRunner('python3', environment);
  return ok(
    notebooks.runner === null
      ? `${version}; no notebooks, since it has neither papermill nor nbconvert`
      : `${version}; notebooks by ${notebooks.runner}`,
  );
}

async function nodeOfServices(signal: AbortSignal): Promise<Finding> {
  const version = await versionOf('node', serviceEnvironment(), signal);
  return ok(version ?? 'not there: pipelines with JavaScript tasks cannot run');
}

/** Tries what serve would try when it starts, and takes away what that leaves. */
async function isolation(): Promise<Finding> {
  if ((await findProgram('bash', pathOf())) === null) return warning('cannot be tried without bash', 'install bash');
  const made = await missing(SECRETS_DIRECTORY);
  const folder = await mkdtemp(join(tmpdir(), 'realmgate-doctor-'));
  const weak: string[] = [];
  try {
    const trial = join(folder, 'trial');
    await mkdir(trial, { mode: 0o700 });
    const log = { warn: (_fields: object, message: string) => void weak.push(message) };
    await probeIsolation(serviceEnvironment(), `doctor-${process.pid}/trial/0`, trial, log);
  } finally {
    await rm(folder, { recursive: true, force: true });
    for (const each of made) await rmdir(each).catch(() => undefined);
  }
  if (weak.length === 0) return ok('services get PID and mount namespaces of their own, and secret files at their place');
  return warning(weak.join('; '), 'allow user namespaces and have util-linux (unshare, mount), or take it as it is');
} // prettier-ignore

async function limits(): Promise<Finding> {
  const groups = await ControlGroups.open(`doctor-${process.pid}`);
  try {
    const trial = await groups.create('trial', { cpu: 1, memory: 64 * 1024 ** 2 });
    await trial.remove();
    const { unmet } = trial;
    if (unmet.length === 0) return ok('control groups limit processors and memory');
    return warning(
      `no control group limits ${unmet.join(' and ')} here`,
      'delegate a control group (systemd: Delegate=yes); else only the memory of each single process is limited',
    );
  } finally {
    await groups.close();
  }
}

async function ports(range: { first: number; last: number }, running: boolean): Promise<Finding> {
  // A replica that begins to listen at this moment would find its port taken.
  if (running) return ok('not looked at: the serve that runs gives them out');
  const { first, last } = range;
  const size = last - first + 1;
  const sample = Math.min(size, SAMPLE);
  const looked = Array.from({ length: sample }, (_, i) => first + Math.floor((i * size) / sample));
  const free = (await Promise.all(looked.map(isFree))).filter(Boolean).length;
  const found = `${free} of ${sample} ports that were looked at in ${first}-${last} are free`;
  const todo = 'widen services.local.portRange, or end what listens there';
  if (free === 0) return fault(found, todo);
  return free * 2 < sample ? warning(found, todo) : ok(found);
}

/** The first line that `PROGRAM --version` prints; null = it cannot be run. */
async function versionOf(
  program: string,
  env: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<string | null> {
  try {
    const { stdout } = await execute(program, ['--version'], { env, signal, cwd: '/', maxBuffer: 64 * 1024 });
    return stdout.split('\n')[0]!.trim();
  } catch {
    return null;
  }
}

function pathOf(): string {
  return serviceEnvironment()['PATH'] ?? '';
}

/** The folders of a path that are not there, the innermost first. */
async function missing(path: string): Promise<string[]> {
  const found: string[] = [];
  for (let at = path; (await stat(at).catch(() => null)) === null; at = dirname(at)) found.push(at);
  return found;
}
