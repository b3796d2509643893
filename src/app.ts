import { startAdmin } from './admin/server.ts';
import { bindError } from './app/start-up-error.ts';
import { prepareDataDir } from './app/data-dir.ts';
import { ExampleService } from './app/example-service.ts';
import { Realms } from './app/realms.ts';
import { changesNeedingRestart } from './app/restart-only.ts';
import { formatFault, loadSettings } from './config/load.ts';
import { watchFiles } from './config/watch.ts';
import { authorityOf } from './contracts/listen-url.ts';
import type { GatewaySettings, Settings } from './contracts/settings.ts';
import type { Snapshot } from './contracts/snapshot.ts';
import { HealthChecks } from './control/health-checks.ts';
import { ConcurrencyLedger, RateLedger } from './control/limits.ts';
import { WorkerPool, WorkerStartError } from './control/worker-pool.ts';
import { startEmbeddedRealm } from './embedded/realm.ts';
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
  readonly gatewayUrl: string;
  readonly adminUrl: string;
  /** Reads the configuration again; an invalid one is logged, and the running one stays. */
  reload(): Promise<void>;
  /** Drains: requests in progress finish, then everything ends. */
  stop(): Promise<void>;
}

export interface AppOptions {
  readonly configFile: string;
  /** Logs are for a terminal. */
  readonly pretty: boolean;
  /** Lowest level that is logged; default `info`. The access log is part of `info`. */
  readonly level?: 'info' | 'warn';
}

/**
 * Starts everything that `serve` runs, and resolves once every listener accepts. Throws `InvalidConfiguration` before
 * anything is bound, and `StartUpError` for what the machine does not allow; then nothing is left running.
 */
export async function startApp(options: AppOptions): Promise<App> {
  const { configFile, pretty, level = 'info' } = options;
  const loaded = await loadSettings(configFile);
  if (!loaded.ok) throw new InvalidConfiguration(loaded.faults.map(formatFault));
  const log = createLogger({ pretty, level, name: 'primary' });
  const started: (() => Promise<void> | void)[] = [];
  const stopAll = async (): Promise<void> => {
    for (const stop of started.reverse()) await stop();
    flush();
  };
  try {
    return await compose(loaded.settings, loaded.files, options, log, started, stopAll);
  } catch (error) {
    await stopAll();
    throw error;
  }
}

/** The configuration has faults; each is a line for the operator. */
export class InvalidConfiguration extends Error {
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super('The configuration is invalid');
    this.faults = faults;
  }
}

async function compose(
  settings: Settings,
  files: readonly string[],
  { configFile, pretty, level = 'info' }: AppOptions,
  log: Logger,
  started: (() => Promise<void> | void)[],
  stopAll: () => Promise<void>,
): Promise<App> {
  let current = settings;
  const reloads = { applied: 0, refused: 0 };
  const processMetrics = new ProcessMetrics('primary');
  const { dataDir } = settings;
  await prepareDataDir(dataDir);

  const realms = new Realms({ dataDir, log }, (snapshots) => pool.publish({ realms: snapshots }));
  const pool = new WorkerPool({
    questions: realms,
    rates: new RateLedger(),
    places: new ConcurrencyLedger(),
    log,
    output: { pretty, level },
  });
  const health = new HealthChecks((unhealthy) => {
    log.warn(
      { event: 'health', unhealthy },
      unhealthy.length === 0 ? 'Every address answers its health check' : 'Addresses fail their health check',
    );
    pool.publish({ unhealthy });
  });

  pool.fork(settings.gateway.workers);
  started.push(() => pool.stop(current.gateway.timeouts.drain + DRAIN_MARGIN));

  const { embeddedRealm, example } = settings;
  if (embeddedRealm !== null) {
    const embedded = await startEmbeddedRealm(embeddedRealm, { dataDir, log }).catch((error: unknown) => {
      throw bindError('embedded realm', authorityOf(embeddedRealm.listen), error);
    });
    started.push(() => embedded.close());
  }
  const service = example === null ? null : new ExampleService(example, log);
  if (service !== null) started.push(() => service.stop());
  started.push(
    () => realms.stop(),
    () => health.stop(),
  );
  await Promise.all([realms.apply(settings.realms, settings.gateway.publicUrl), service?.start()]);
  health.apply(settings.routes);

  const admin = await startAdmin({
    listen: settings.admin.listen,
    log,
    ready: () => readiness(pool, realms),
    metrics: async () => {
      await pool.collect(COLLECT_PATIENCE);
      return renderMetrics(pool.totals.reports(), {
        realms: realms
          .statuses()
          .map(({ name, fetchedAt, fetchFailures }) => ({ name, keysFetchedAt: fetchedAt, fetchFailures })),
        workerRestarts: pool.restarts,
        configReloads: reloads,
        process: processMetrics,
      });
    },
  }).catch((error: unknown) => {
    throw bindError('admin listener', authorityOf(settings.admin.listen), error);
  });
  started.push(() => admin.close());

  const port = await pool.start(snapshotOf(settings, realms)).catch((error: unknown) => {
    if (!(error instanceof WorkerStartError)) throw error;
    throw bindError('gateway', authorityOf(settings.gateway.listen), error);
  });

  const watch = watchFiles(files, () => void reload());
  started.push(() => watch.close());

  const reload = async (): Promise<void> => {
    const loaded = await loadSettings(configFile);
    if (!loaded.ok) {
      reloads.refused++;
      log.error(
        { event: 'reload-refused', faults: loaded.faults.map(formatFault) },
        'The changed configuration is invalid; the running one stays',
      );
      return;
    }
    const restart = changesNeedingRestart(settings, loaded.settings);
    if (restart.length > 0)
      log.warn({ event: 'restart-needed', settings: restart }, 'These settings change with a restart only');
    current = { ...loaded.settings, gateway: { ...loaded.settings.gateway, ...fixed(settings.gateway) } };
    watch.update(loaded.files);
    await realms.apply(current.realms, current.gateway.publicUrl);
    pool.publish({ gateway: current.gateway, routes: current.routes, realms: realms.snapshots() });
    pool.reloadCertificate();
    health.apply(current.routes);
    reloads.applied++;
    log.info(
      { event: 'reloaded', routes: current.routes.length, realms: current.realms.length },
      'The changed configuration is in force',
    );
  };

  const scheme = settings.gateway.tls === null ? 'http' : 'https';
  const gatewayUrl = `${scheme}://${authorityOf({ ...settings.gateway.listen, port })}`;
  log.info({ event: 'listening', gateway: gatewayUrl, admin: admin.url }, 'Realmgate is ready');
  return { settings, gatewayUrl, adminUrl: admin.url, reload, stop: stopAll };
}

function snapshotOf(settings: Settings, realms: Realms): Snapshot {
  return { gateway: settings.gateway, routes: settings.routes, realms: realms.snapshots(), unhealthy: [] };
}

/** What a running gateway keeps whatever the changed file says. */
function fixed({ listen, workers, tls }: GatewaySettings): Partial<GatewaySettings> {
  return tls === null ? { listen, workers, tls } : { listen, workers };
}

function readiness(pool: WorkerPool, realms: Realms): { ok: boolean; problems: string[] } {
  const { up, wanted } = pool.listening;
  const problems = up === wanted ? [] : [`${up} of ${wanted} workers accept connections`];
  for (const { name, keys } of realms.statuses()) {
    if (keys.length === 0) problems.push(`the realm ${name} has no usable keys yet`);
  }
  return { ok: problems.length === 0, problems };
}
