import { join, resolve } from 'node:path';
import { gitEnvironment, serviceEnvironment } from '../config/environment.ts';
import type { ControlApi } from '../contracts/control-api.ts';
import type { Settings } from '../contracts/settings.ts';
import { createLocalDriver } from '../control/drivers/local/local-driver.ts';
import { GitCache } from '../control/git/git-cache.ts';
import { Environments } from '../control/services/environments.ts';
import { Registry } from '../control/services/registry.ts';
import { Retention } from '../control/services/retention.ts';
import { Secrets } from '../control/services/secrets.ts';
import { SecretsKeyError } from '../control/services/secrets-key.ts';
import { ServiceCheck } from '../control/services/service-check.ts';
import type { DataPlane } from '../control/services/traffic.ts';
import { StoreBusy, StoreError } from '../control/store/database.ts';
import { Store } from '../control/store/store.ts';
import type { Logger } from '../telemetry/log.ts';
import { exampleRepository } from './example-repository.ts';
import { StartUpError } from './start-up-error.ts';

export interface ServicesOptions {
  /** In force now. */
  readonly settings: () => Settings;
  readonly plane: DataPlane;
  /** Origin of the gateway where the configuration names no public one. */
  readonly gatewayUrl: () => string;
  readonly log: Logger;
}

/** The services of this installation, put together for the driver that is configured. */
export interface Services {
  readonly registry: Registry;
  readonly api: ControlApi;
  /** Gets the driver ready and makes the example's service where there is none, without starting any. Never rejects. */
  prepare(): Promise<void>;
  /** Routes and the like changed; warns of static routes that take the place of a service. */
  settingsChanged(changed: Settings): void;
  /** Ends what an earlier run left and starts every service. Never rejects. */
  begin(): Promise<void>;
  close(): Promise<void>;
}

/** Who the audit names where nobody asked. */
const ACTOR = 'realmgate';

/** Opens the state. null = no services are run here. Throws `StartUpError`. */
export function openServices({ settings, plane, gatewayUrl, log }: ServicesOptions): Services | null {
  const { dataDir, services, example } = settings();
  if (services.driver === 'none') return null;
  if (services.driver === 'kubernetes') {
    throw new StartUpError(
      'This version runs services on this machine only: set services.driver to local, or to none where no services are run',
    );
  }
  const store = told(() => new Store(dataDir));
  const environments = new Environments({
    table: store.environments,
    services: (name) => store.currentSpecs().filter(({ environment }) => environment === name),
  });
  const secrets = told(
    () =>
      new Secrets({
        table: store.secrets,
        dataDir,
        keyFile: services.secretsKey,
        services: () => store.currentSpecs(),
      }),
  );
  const git = new GitCache({ directory: join(resolve(dataDir), 'git'), environment: gitEnvironment() });
  const driver = createLocalDriver({
    dataDir: resolve(dataDir),
    settings: services.local,
    environment: serviceEnvironment(),
    git,
    events: {
      changed: (deployment) => registry.changed(deployment),
      happened: (deployment, event) => registry.happened(deployment, event),
    },
    log,
  });
  const check = new ServiceCheck({
    environment: (name) => environments.find(name),
    secretKeys: (name) => store.secrets.get(name)?.keys ?? null,
    secretValues: (name) => secrets.values(name),
    holder: (field, value, except) => {
      const service = store.holder(field, value);
      if (service !== null && service.id !== except) return `the service ${service.spec.name}`;
      const route = settings().routes.find((each) => each[field] === value);
      return route === undefined ? null : `the static route ${route.name}`;
    },
    fixedPortHolder: (port, except) => {
      const own = except === null ? null : store.service(except)?.spec.name;
      return registry.using((spec) => spec.fixedPort && spec.port === port && spec.name !== own)[0] ?? null;
    },
    driver,
  });
  const registry: Registry = new Registry({
    store,
    driver,
    plane,
    check,
    resolve: (spec) => ({
      environment: environments.get(spec.environment),
      secrets: Object.fromEntries(spec.secrets.map((name) => [name, valuesOf(secrets, name)])),
      credentials: spec.git.credentials === null ? null : valuesOf(secrets, spec.git.credentials),
    }),
    settings: () => {
      const { services: now, gateway, admin } = settings();
      return {
        readyTimeout: now.readyTimeout,
        scale: now.scale,
        drain: gateway.timeouts.drain,
        realm: admin.realm,
        publicUrl: gateway.publicUrl ?? gatewayUrl(),
      };
    },
    log,
  });

  const retention = new Retention({
    store,
    driver,
    settings: () => settings().services.retention,
    isHeld: (id) => registry.isHeld(id),
    log,
  });

  return {
    registry,
    api: controlApi(registry, secrets, environments, store),
    prepare: async () => {
      driver.start().catch(() => undefined); // `begin` tells
      if (example === null) return;
      const { name, endpoint, directory } = example;
      try {
        const git = await exampleRepository(example, dataDir, gitEnvironment());
        registry.admit({ name, endpoint, path: 'run.sh', git }, ACTOR);
      } catch (err) {
        log.error({ err, directory }, 'The example service cannot be made');
      }
    },
    settingsChanged: ({ routes }) => {
      for (const { name, endpoint } of routes) {
        for (const service of registry.using((spec) => spec.endpoint === endpoint)) {
          log.warn(
            { event: 'service-shadowed', route: name, service, endpoint },
            'Requests go to the static route, and not to the service that has the same endpoint',
          );
        }
      }
      registry.settingsChanged();
    },
    begin: async () => {
      await registry.begin().catch((err: unknown) => log.error({ err }, 'The services cannot be started'));
      retention.begin();
    },
    close: async () => {
      await retention.close();
      await registry.close();
      store.close();
    },
  };
}

function controlApi(
  registry: Registry,
  secrets: Secrets,
  environments: Environments,
  store: Store,
): ControlApi {
  return {
    createService: (body, actor) => registry.create(body, actor),
    listServices: (filter) => registry.list(filter),
    getService: (id) => registry.get(id),
    cancelService: (id, actor) => registry.cancel(id, actor),
    restartService: (id, actor) => registry.restart(id, actor),
    updateService: (id, body, actor) => registry.update(id, body, actor),
    cloneService: (id, body, actor) => registry.clone(id, body, actor),
    rollbackService: (id, body, actor) => registry.rollback(id, body, actor),
    revisions: (id) => registry.revisions(id),
    events: (id) => registry.events(id),
    logs: (id, query) => registry.logs(id, query),
    preflight: (body) => registry.preflight(body),
    exportServices: (id) => registry.export(id),
    listSecrets: () => secrets.list(),
    getSecret: (name) => secrets.get(name),
    putSecret: (name, body, actor) => secrets.put(name, body, actor),
    deleteSecret: (name, actor) => secrets.delete(name, actor),
    listEnvironments: () => environments.list(),
    getEnvironment: (name) => environments.get(name),
    putEnvironment: (name, body, actor) => environments.put(name, body, actor),
    deleteEnvironment: (name, actor) => environments.delete(name, actor),
    audit: (page) => store.audit(page),
  };
}

function valuesOf(secrets: Secrets, name: string): Readonly<Record<string, string>> {
  const values = secrets.values(name);
  if (values === null) throw new Error(`The secret ${name} is gone`);
  return values;
}

/** What the operator has to mend is one line. */
function told<T>(open: () => T): T {
  try {
    return open();
  } catch (error) {
    if (error instanceof StoreBusy || error instanceof StoreError || error instanceof SecretsKeyError) {
      throw new StartUpError(error.message);
    }
    throw error;
  }
}
