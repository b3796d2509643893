import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join, resolve, sep } from 'node:path';
import type {
  Deployment,
  DeploymentState,
  Driver,
  DriverEvents,
  LogQuery,
  SourceCheck,
} from '../../../contracts/driver.ts';
import type { Problem } from '../../../contracts/service.ts';
import type { LocalDriverSettings } from '../../../contracts/settings.ts';
import type { GitCache } from '../../git/git-cache.ts';
import { checkSource } from './check-source.ts';
import type { DriverContext, System } from './context.ts';
import { ControlGroups } from './control-groups.ts';
import { claimInstance } from './instance.ts';
import { probeIsolation } from './isolation.ts';
import { endMarked } from './leftovers.ts';
import { LocalDeployment } from './local-deployment.ts';
import { LogStore } from './log-store.ts';
import { Notifier } from './notifier.ts';
import { Ports } from './ports.ts';
import { emptyDirectory, removeTree } from './run-folder.ts';

/** A file system in memory that every Linux has. */
const MEMORY = '/dev/shm';

export interface LocalDriverOptions {
  /** Exists, and is this user's alone. */
  readonly dataDir: string;
  readonly settings: LocalDriverSettings;
  /** What every service gets of the system: PATH, HOME and the like, and no secret. */
  readonly environment: Readonly<Record<string, string>>;
  readonly git: GitCache;
  readonly events: DriverEvents;
  readonly log: {
    warn(fields: object, message: string): void;
    error(fields: object, message: string): void;
  };
}

/** Runs services as child processes of this one. */
export function createLocalDriver(options: LocalDriverOptions): Driver {
  return new LocalDriver(options);
}

class LocalDriver implements Driver {
  readonly #options: LocalDriverOptions;
  readonly #logs: LogStore;
  readonly #deployments = new Map<string, LocalDeployment>();
  readonly #closing = new AbortController();
  #context: DriverContext | null = null;
  #starting: Promise<void> | null = null;

  constructor(options: LocalDriverOptions) {
    const dataDir = resolve(options.dataDir);
    this.#options = { ...options, dataDir };
    this.#logs = new LogStore(join(dataDir, 'logs'), (service, err) => {
      options.log.error({ service, err }, 'Lines of a service could not be written to its log');
    });
  }

  start(): Promise<void> {
    this.#starting ??= this.#start().catch((error: unknown) => {
      this.#starting = null;
      throw error;
    });
    return this.#starting;
  }

  async #start(): Promise<void> {
    const { settings, environment, git, events, log } = this.#options;
    this.#context = {
      settings,
      environment,
      git,
      ports: new Ports(settings.portRange),
      logs: this.#logs,
      notifier: new Notifier(events, (err) =>
        log.error({ err }, 'An event of a service could not be handled'),
      ),
      system: await this.#prepareSystem(),
    };
  }

  deploy(deployment: Deployment): void {
    const { id } = deployment;
    if (this.#context === null) throw new Error('The driver was not started');
    if (this.#deployments.has(id)) throw new Error(`The deployment ${id} was used before`);
    if (!this.#closing.signal.aborted)
      this.#deployments.set(id, new LocalDeployment(deployment, this.#context));
  }

  scale(deploymentId: string, replicas: number): void {
    this.#deployments.get(deploymentId)?.scale(replicas);
  }

  async remove(deploymentId: string): Promise<void> {
    await this.#deployments.get(deploymentId)?.remove();
    this.#deployments.delete(deploymentId);
  }

  state(deploymentId: string): DeploymentState | null {
    return this.#deployments.get(deploymentId)?.state ?? null;
  }

  async suspect(origin: string): Promise<void> {
    await Promise.all([...this.#deployments.values()].map((deployment) => deployment.suspect(origin)));
  }

  async check(source: SourceCheck): Promise<readonly Problem[]> {
    const { git, environment } = this.#options;
    const [ofSource, ofPort] = await Promise.all([
      checkSource({ git, environment }, source, this.#closing.signal),
      this.#portProblems(source),
    ]);
    return [...ofSource, ...ofPort];
  }

  async #portProblems({ fixedPort, port, service }: SourceCheck): Promise<Problem[]> {
    if (!fixedPort || port === null || this.#context === null) return [];
    const { ports } = this.#context;
    if (ports.isReserved(port)) return []; // by this service, or by one that the registry knows
    const holder = ports.holderOf(port);
    if (holder === null) {
      const stranger = await ports.stranger(port);
      return stranger === null ? [] : [{ field: 'port', message: stranger }];
    }
    const other = [...this.#deployments.values()].find(({ state }) =>
      state.replicas.some(({ id }) => id === holder),
    );
    if (other === undefined || other.deployment.serviceId === service) return [];
    const { name } = other.deployment.spec;
    const message = `Port ${port} is in use by the service ${name}: restart that first, and it gets another one`;
    return [{ field: 'port', message }];
  }

  logs(serviceId: string, query: LogQuery): AsyncIterable<string> {
    return this.#logs.read(serviceId, query);
  }

  logBytes(serviceId: string): Promise<number> {
    return this.#logs.bytes(serviceId);
  }

  forget(serviceId: string): Promise<void> {
    return this.#logs.forget(serviceId);
  }

  async close(): Promise<void> {
    this.#closing.abort(new Error('The driver is closed'));
    await Promise.all([...this.#deployments.keys()].map((id) => this.remove(id)));
    await this.#starting?.catch(() => undefined);
    if (this.#context === null) return;
    const { groups, secrets } = this.#context.system;
    await groups.close();
    await removeTree(secrets);
  }

  /** First of all nothing may run that an earlier process has started: it would hold ports, and use the clones. */
  async #prepareSystem(): Promise<System> {
    const { dataDir, environment, log } = this.#options;
    const instance = await claimInstance(dataDir);
    for (const { pid } of await endMarked(instance)) {
      log.error({ pid }, 'A process that an earlier run has left cannot be ended');
    }
    const runs = join(dataDir, 'runs');
    const secrets = join(existsSync(MEMORY) ? MEMORY : dataDir, `realmgate-${instance}`);
    await emptyDirectory(runs);
    await removeTree(secrets);
    const trial = join(runs, 'trial');
    await mkdir(trial, { mode: 0o700 });
    const isolation = await probeIsolation(environment, `${instance}/trial/0`, trial, log);
    await removeTree(trial);
    if (isolation.secrets === null) await mkdir(secrets, { mode: 0o700 });
    const elsewhere = isolation.secrets === null && !secrets.startsWith(dataDir + sep);
    return {
      instance,
      isolation,
      groups: await ControlGroups.open(instance),
      runs,
      secrets,
      hidden: elsewhere ? [dataDir, secrets] : [dataDir],
    };
  }
}
