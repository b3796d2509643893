import { AdminTokens } from './app/admin-tokens.ts';
import { prepareDataDir } from './app/data-dir.ts';
import { realmViews, routeViews } from './app/gateway-views.ts';
import { readiness } from './app/readiness.ts';
import { Realms } from './app/realms.ts';
import { Reloads } from './app/reload.ts';
import { bindError, StartUpError } from './app/start-up-error.ts';
import { Teardown } from './app/teardown.ts';
import { keepCompiledCode } from './config/environment.ts';
import { formatFault, loadSettings } from './config/load.ts';
import type { KnownFiles } from './config/read-file.ts';
import { watchFiles } from './config/watch.ts';
import { authorityOf } from './contracts/listen-url.ts';
import type { Settings } from './contracts/settings.ts';
import { HealthChecks } from './control/health-checks.ts';
import { ConcurrencyLedger, RateLedger } from './control/limits.ts';
import { WorkerPool, WorkerStartError } from './control/worker-pool.ts';
import type { EmbeddedRealm } from './embedded/realm.ts';
import { createLogger, flush, type Logger } from './telemetry/log.ts';
import { ProcessMetrics } from './telemetry/process-metrics.ts';
import { renderMetrics } from './telemetry/render-metrics.ts';

/** How much longer than the drain itself the workers may take before they are killed, in ms. */
const DRAIN_MARGIN = 5_000;

/** How long a scrape waits for the workers' newest counters, in ms; then it shows the last known ones. */
const COLLECT_PATIENCE = 500;

/** A running gateway. */
export interface App {
  readonly settings: Settings;
  readonly log: Logger;
  readonly gatewayUrl: string;
  readonly adminUrl: string;
  /** Reads the configuration again; an invalid one is logged, and the running one stays. Never rejects. */
  reload(): Promise<void>;
  /** Drains: requests in progress finish, then everything ends. */
  stop(): Promise<void>;
  /** Cuts the requests that a `stop` in progress still waits for. */
  cut(): void;
}

export interface AppOptions {
  readonly configFile: string;
  /** Logs are for a terminal. */
  readonly pretty: boolean;
  /** Lowest level that is logged; default `info`. The access log is part of `info`. */
  readonly level?: 'info' | 'warn';
  /** Ends a start in progress: then `startApp` rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** The configuration has faults; each is a line for the operator. */
export class InvalidConfiguration extends Error {
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super('The configuration is invalid');
    this.faults = faults;
  }
}

/**
 * Starts everything that `serve` runs, and resolves once every listener accepts. Throws `InvalidConfiguration` before
 * anything is bound, and `StartUpError` for what the machine does not allow; then nothing is left running.
 */
export async function startApp(options: AppOptions): Promise<App> {
  const { configFile, pretty, level = 'info', signal } = options;
  const loaded = await loadSettings(configFile);
  if (!loaded.ok) throw new InvalidConfiguration(loaded.faults.map(formatFault));
  const log = createLogger({ pretty, level, name: 'primary' });
  const teardown = new Teardown((err) => log.error({ err }, 'Something could not be ended'));
  teardown.add(() => flush());
  try {
    signal?.throwIfAborted();
    const composing = compose(loaded.settings, loaded.files, options, log, teardown);
    return await (signal === undefined ? composing : Promise.race([composing, aborted(signal)]));
  } catch (error) {
    await teardown.run();
    throw error;
  }
}

/** Ends run in the opposite order: the data plane drains while all that it needs, and the admin listener, still work. */
async function compose(
  settings: Settings,
  files: KnownFiles,
  { configFile, pretty, level = 'info', signal }: AppOptions,
  log: Logger,
  teardown: Teardown,
): Promise<App> {
  const { dataDir, embeddedRealm, gateway } = settings;
  let stopping = false;
  const insisted = new AbortController();
  await prepareDataDir(dataDir);
  keepCompiledCode(dataDir);
  signal?.throwIfAborted(); // and after every other pause: what begins after the teardown would not be ended

  const realms = new Realms({ dataDir, log }, (snapshots) => {
    adminTokens.changed();
    pool.publish({ realms: snapshots });
  });
  const pool = new WorkerPool({
    questions: realms,
    services: {
      awaitUpstream: (...question) => services?.registry.awaitUpstream(...question) ?? Promise.resolve(false),
    },
    rates: new RateLedger(),
    places: new ConcurrencyLedger(),
    log,
    output: { pretty, level },
  });
  pool.fork(gateway.workers); // first of all: the workers load while the rest does
  teardown.add(() => pool.stop(0)); // where the start gets no further
  const adminTokens = new AdminTokens(realms, () => realms.snapshots());
  const reloads = new Reloads(settings, {
    configFile,
    log,
    read: (changedFiles) => watch.update(changedFiles),
    apply: async (changed) => {
      await realms.apply(changed.realms, changed.gateway.publicUrl);
      adminTokens.changed();
      pool.publish({ gateway: changed.gateway, routes: changed.routes, realms: realms.snapshots() });
      health.apply(changed.routes);
      services?.settingsChanged(changed);
    },
  });
  const { openServices } = await import('./app/services.ts');
  signal?.throwIfAborted();
  const services = openServices({
    settings: () => reloads.current,
    plane: {
      publish: (routes) => pool.publish({ services: routes }),
      load: (patience) => pool.load(patience),
      waiting: () => pool.waiting(),
    },
    gatewayUrl: () => gatewayUrl,
    log,
  });
  teardown.add(() => services?.close());
  const health = new HealthChecks((unhealthy) => {
    log.warn(
      { event: 'health', unhealthy },
      unhealthy.length === 0 ? 'Every address answers its health check' : 'Addresses fail their health check',
    );
    pool.publish({ unhealthy });
  });
  const watch = watchFiles(files, () => void reloads.request());
  teardown.add(() => watch.close());
  const processMetrics = new ProcessMetrics('primary');

  const port = await pool.bind(gateway.listen).catch((error: unknown) => {
    throw bindError('gateway', authorityOf(gateway.listen), error);
  });
  signal?.throwIfAborted();
  const scheme = gateway.tls === null ? 'http' : 'https';
  const gatewayUrl = `${scheme}://${authorityOf({ ...gateway.listen, port })}`;
  // Programs run meanwhile: git for the example's repository, and what finds out how services can be confined here.
  const prepared = services?.prepare();
  const realmBound = Promise.withResolvers<undefined>();
  const embedded =
    embeddedRealm === null
      ? null
      : teardown.own(
          startEmbedded(embeddedRealm, dataDir, log, () => realmBound.resolve(undefined)),
          (realm) => realm.close(),
        );
  if (embedded !== null) await Promise.race([realmBound.promise, embedded]);
  // In the time that a new key of the realm takes, in another thread.
  const { startAdmin } = await import('./admin/server.ts');
  signal?.throwIfAborted();
  const admin = teardown.own(
    startAdmin({
      listen: settings.admin.listen,
      log,
      ready: () => readiness({ workers: pool.serving, realms: realms.statuses(), stopping }),
      metrics: async () => {
        await pool.collect(COLLECT_PATIENCE);
        return renderMetrics(pool.totals.reports(), {
          realms: realms
            .statuses()
            .map(({ name, fetchedAt, fetchFailures }) => ({ name, keysFetchedAt: fetchedAt, fetchFailures })),
          workerRestarts: pool.restarts,
          configReloads: reloads.counts,
          process: processMetrics,
        });
      },
      access: () => {
        const { admin: administration, gateway: edge } = reloads.current;
        return { ...administration, tokenBytes: edge.limits.tokenBytes };
      },
      authenticate: (token) => adminTokens.authenticate(token, reloads.current.admin.realm),
      control: services?.api ?? null,
      gateway: {
        routes: () => [
          ...routeViews(reloads.current.routes, 'static'),
          ...routeViews(services?.registry.routes() ?? [], 'service'),
        ],
        realms: () => realmViews(realms.statuses(), Date.now()),
        explain: (question) => pool.explain(question),
      },
    }).catch((error: unknown) => {
      throw bindError('admin listener', authorityOf(settings.admin.listen), error);
    }),
    (server) => server.close(),
  );
  teardown.add(() => realms.stop());
  teardown.add(() => health.stop());
  teardown.add(() => reloads.close());
  teardown.add(async () => {
    const { drain } = reloads.current.gateway.timeouts;
    const over = AbortSignal.any([insisted.signal, AbortSignal.timeout(drain)]);
    const answered = admin.then((server) => server.drain(over)).catch(() => undefined); // it never came up
    await Promise.all([pool.stop(drain + DRAIN_MARGIN), answered]);
  });

  const startServices = async (): Promise<void> => {
    await Promise.all([admin, prepared]);
    // Every listener is bound: nothing that runs now would have to end again for want of a port.
    services?.settingsChanged(settings);
    void services?.begin();
  };
  const startRealms = async (): Promise<void> => {
    await embedded;
    await realms.apply(settings.realms, gateway.publicUrl);
    adminTokens.changed();
  };
  const [{ url: adminUrl }] = await Promise.all([admin, startRealms(), startServices()]);
  await pool
    .start({
      gateway,
      routes: settings.routes,
      services: services?.registry.routes() ?? [],
      realms: realms.snapshots(),
      unhealthy: [],
    })
    .catch((error: unknown) => {
      if (!(error instanceof WorkerStartError)) throw error;
      throw new StartUpError(`The workers cannot start: ${error.message}`);
    });

  health.apply(settings.routes); // what it finds goes to workers that are there
  reloads.begin();
  log.info({ event: 'listening', gateway: gatewayUrl, admin: adminUrl }, 'Realmgate is ready');
  return {
    settings,
    log,
    gatewayUrl,
    adminUrl,
    reload: () => reloads.request(),
    stop: () => {
      stopping = true;
      void reloads.close(); // none begins; one in progress is not worth delaying the drain
      return teardown.run();
    },
    cut: () => {
      insisted.abort();
      pool.kill();
    },
  };
}

/** The realm's code takes a fifth of a second to load: only who embeds one waits for it. */
async function startEmbedded(
  realm: NonNullable<Settings['embeddedRealm']>,
  dataDir: string,
  log: Logger,
  bound: () => void,
): Promise<EmbeddedRealm> {
  const { startEmbeddedRealm } = await import('./embedded/realm.ts');
  return startEmbeddedRealm(realm, { dataDir, log, bound }).catch((error: unknown) => {
    throw bindError('embedded realm', authorityOf(realm.listen), error);
  });
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}
