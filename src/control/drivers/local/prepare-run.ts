import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Deployment } from '../../../contracts/driver.ts';
import { interpreterCommands } from '../../pipeline/pipeline.ts';
import { parseCpu, parseMemory } from '../../services/quantities.ts';
import { serviceVariables } from '../../services/variables.ts';
import type { DriverContext, System } from './context.ts';
import type { Limits, RunGroups } from './control-groups.ts';
import type { RunOptions } from './guarded-process.ts';
import { SECRETS_DIRECTORY } from './isolation.ts';
import { writePlan } from './pipeline-plan.ts';
import { removeTree } from './run-folder.ts';

export interface RunPlace {
  readonly replica: string;
  /** Number of the run. */
  readonly run: number;
  readonly commit: string;
  readonly port: number;
}

export interface PreparedRun {
  readonly folder: string;
  readonly groups: RunGroups;
  readonly options: Omit<RunOptions, 'output'>;
  /** What the service has to do without on this machine. */
  readonly warnings: readonly string[];
  /** Removes its files and groups. Nothing of the run may be left. */
  discard(): Promise<void>;
}

/** Brings everything that one run needs into place: a fresh clone, the plan of a pipeline, control groups. */
export async function prepareRun(
  context: DriverContext,
  deployment: Deployment,
  { replica, run, commit, port }: RunPlace,
  signal: AbortSignal,
): Promise<PreparedRun> {
  const { system, git } = context;
  const { spec, environment, secrets } = deployment;
  const name = `${replica}.${run}`;
  const kept = replicaFolder(system, replica);
  const folder = join(kept, String(run));
  const clone = join(folder, 'clone');
  const secretFiles = secretPlace(context, deployment, name);
  const limits = limitsOf(deployment);
  let groups: RunGroups | null = null;
  const discard = async (): Promise<void> => {
    await groups?.remove();
    await removeTree(folder);
    if (secretFiles.private !== null) await removeTree(secretFiles.private);
  };
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await git.checkout(spec.git, deployment.credentials, commit, clone, { signal });
    const script = spec.type === 'shell' ? spec.path : await writePlan({ folder, clone, kept }, deployment);
    if (secretFiles.private !== null) await mkdir(secretFiles.private, { recursive: true, mode: 0o700 });
    groups = await system.groups.create(name, limits);
    const dataLimit = groups.unmet.includes('memory') ? limits.memory : null;
    return {
      folder,
      groups,
      warnings: [
        ...(secretFiles.private === null ? [] : [SECRETS_ELSEWHERE]),
        ...groups.unmet.map((limit) => UNMET[limit]),
      ],
      discard,
      options: {
        confinement: system.isolation.confinement,
        command: [interpreterCommands(environment.interpreters).bash, '--', script],
        folder: kept,
        directory: clone,
        hidden: system.isolation.hides ? system.hidden : [],
        environment: serviceVariables({
          base: context.environment,
          spec,
          environment,
          secrets,
          port,
          secretsDirectory: secretFiles.directory,
        }),
        marker: `${system.instance}/${replica}/${run}`,
        place: secretFiles.place,
        secrets,
        groups: groups.directories,
        dataLimit,
      },
    };
  } catch (error) {
    await discard();
    throw error;
  }
}

/** Where the runs of a replica have their folders, and what is kept from one to the next. It ends with the replica. */
export function replicaFolder({ runs }: Pick<System, 'runs'>, replica: string): string {
  return join(runs, replica);
}

const SECRETS_ELSEWHERE =
  `This system gives services no file system of their own: secret files are not in ${SECRETS_DIRECTORY} but in the ` +
  'private directory that HYPERPLANE_SECRETS_DIR names';

const UNMET: Readonly<Record<keyof Limits, string>> = {
  memory: 'This system has no memory group to give: the limit of memory holds for each process by itself',
  cpu: 'This system has no CPU group to give: the limit of CPU does not hold',
};

interface SecretPlace {
  /** As `guard.sh` takes it. */
  readonly place: string;
  /** As the service sees it; null = it has no secrets. */
  readonly directory: string | null;
  /** To be made before and removed after the run. */
  readonly private: string | null;
}

function secretPlace({ system }: DriverContext, { secrets }: Deployment, name: string): SecretPlace {
  if (Object.keys(secrets).length === 0) return { place: 'none', directory: null, private: null };
  const { secrets: place } = system.isolation;
  if (place !== null) return { place, directory: SECRETS_DIRECTORY, private: null };
  const directory = join(system.secrets, name);
  return { place: directory, directory, private: directory };
}

function limitsOf({ environment: { resources } }: Deployment): Limits {
  return {
    cpu: resources.cpu === null ? null : parseCpu(resources.cpu),
    memory: resources.memory === null ? null : parseMemory(resources.memory),
  };
}
