import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Deployment, Driver, DriverEvent, LogQuery } from '../../contracts/driver.ts';
import type {
  Problem,
  ServiceEvent,
  ServiceRevision,
  ServiceSpec,
  ServiceStatus,
  ServiceView,
} from '../../contracts/service.ts';
import type { Route } from '../../contracts/settings.ts';
import { InvalidRequest, Refusal } from '../../errors.ts';
import type { Store, StoredService } from '../store/store.ts';
import { Autoscaler, type Scalable } from './autoscaler.ts';
import { exportServices } from './export.ts';
import { readRollback } from './read-spec.ts';
import { ServiceController } from './service-controller.ts';
import type { ServiceCheck } from './service-check.ts';
import { routeOf, viewOf } from './service-view.ts';
import { type DataPlane, Traffic } from './traffic.ts';

/** What of the configuration the registry goes by; a reload may change it. Milliseconds. */
export interface RegistrySettings {
  readonly readyTimeout: number;
  readonly drain: number;
  readonly scale: {
    readonly target: number;
    readonly window: number;
    readonly idle: number;
    readonly firstRequestWait: number;
  };
  /** Whose tokens the services' endpoints accept. */
  readonly realm: string;
  /** Origin under which clients see the gateway. */
  readonly publicUrl: string;
}

export interface RegistryDependencies {
  readonly store: Store;
  readonly driver: Driver;
  readonly plane: DataPlane;
  readonly check: ServiceCheck;
  /** Environment and secrets of a deployment, as they are now. */
  resolve(spec: ServiceSpec): Pick<Deployment, 'environment' | 'secrets' | 'credentials'>;
  readonly settings: () => RegistrySettings;
  readonly log: {
    info(fields: object, message: string): void;
    error(fields: object, message: string): void;
  };
}

/** All services, current and past: what was asked of them, and the controllers that bring it about. */
export class Registry {
  readonly #deps: RegistryDependencies;
  readonly #traffic: Traffic;
  readonly #autoscaler: Autoscaler;
  /** By id, of the current services and those that are being cancelled. */
  readonly #controllers = new Map<string, ServiceController>();
  /** Deployment → service. */
  readonly #deployments = new Map<string, string>();
  #begun = false;
  #closed = false;

  constructor(deps: RegistryDependencies) {
    this.#deps = deps;
    this.#traffic = new Traffic(deps.plane, () => this.routes());
    this.#autoscaler = new Autoscaler(
      deps.plane,
      () => this.#scalables(),
      () => deps.settings().scale,
    );
    for (const stored of deps.store.services()) {
      if (stored.cancelledAt === null) this.#addController(stored);
    }
  }

  /**
   * Adds a service that `begin` will start, unless a current one has its name or endpoint. What cannot be run is told by
   * its events. Throws `InvalidRequest`.
   */
  admit(body: unknown, actor: string): void {
    const spec = this.#deps.check.spec(body);
    if (this.using(({ name, endpoint }) => name === spec.name || endpoint === spec.endpoint).length > 0)
      return;
    const wanted = { id: randomUUID(), spec, actor, reason: 'create', clonedFrom: null };
    this.#addController(this.#deps.store.createService(wanted));
  }

  /** Ends what an earlier run left, then starts every current service. */
  async begin(): Promise<void> {
    await this.#deps.driver.start();
    this.#begun = true;
    for (const [id, controller] of this.#controllers) {
      if (this.#closed) return;
      try {
        controller.begin();
      } catch (err) {
        // Of a state that somebody changed by hand; the others run all the same.
        this.#deps.log.error({ err, service: id }, 'A service cannot be started');
        continue;
      }
      const stored = this.#find(id);
      if (stored.activeRevision === null || stored.pendingRevision === null) continue;
      const pending = this.revisions(id).find(({ revision }) => revision === stored.pendingRevision);
      if (pending !== undefined) controller.resume({ spec: pending.spec, revision: pending.revision });
    }
  }

  /** Ends every service's processes; what was asked of them stays. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#autoscaler.stop();
    await this.#deps.driver.close();
  }

  /** Routes of the current services, with their ready replicas. */
  routes(): Route[] {
    const { realm, scale } = this.#deps.settings();
    return [...this.#controllers.values()]
      .filter(({ status }) => status !== 'cancelled')
      .map(({ spec, origins, hopeless }) =>
        routeOf(spec, origins, realm, hopeless ? 0 : scale.firstRequestWait),
      );
  }

  /** The configuration changed. */
  settingsChanged(): void {
    this.#traffic.changed();
  }

  /** See `ControlChannel.awaitUpstream`. */
  async awaitUpstream(route: string, refused: string | null, signal: AbortSignal): Promise<boolean> {
    const controller = [...this.#controllers.values()].find(
      ({ spec, status }) => spec.name === route && status !== 'cancelled',
    );
    if (controller === undefined) return false;
    if (refused !== null) await this.#deps.driver.suspect(refused);
    const patience = AbortSignal.timeout(this.#deps.settings().scale.firstRequestWait);
    return controller.awaitReady(AbortSignal.any([signal, patience]));
  }

  /** To be told by the driver. */
  changed(deploymentId: string): void {
    this.#controllerOf(deploymentId)?.changed(deploymentId);
  }

  /** To be told by the driver. */
  happened(deploymentId: string, event: DriverEvent): void {
    this.#controllerOf(deploymentId)?.happened(deploymentId, event);
  }

  async create(
    body: unknown,
    actor: string,
    origin: { readonly base: ServiceSpec; readonly from: string } | null = null,
  ): Promise<ServiceView> {
    const spec = await this.#deps.check.service(
      body,
      origin === null ? { kind: 'new' } : { kind: 'clone', base: origin.base },
    );
    const stored = this.#deps.store.createService({
      id: randomUUID(),
      spec,
      actor,
      reason: origin === null ? 'create' : 'clone',
      clonedFrom: origin?.from ?? null,
    });
    const controller = this.#addController(stored);
    if (this.#begun) controller.begin(); // or with all the others
    this.#traffic.changed();
    await this.#traffic.applied();
    return this.get(stored.id);
  }

  clone(id: string, body: unknown, actor: string): Promise<ServiceView> {
    const stored = this.#find(id);
    return this.create(body, actor, { base: stored.spec, from: stored.id });
  }

  list({ status, q }: { readonly status: ServiceStatus | null; readonly q: string | null }): ServiceView[] {
    const wanted = q?.toLowerCase() ?? '';
    return this.#deps.store
      .services()
      .map((stored) => this.#view(stored))
      .filter((view) => status === null || view.status === status)
      .filter(({ name, endpoint, git }) =>
        [name, endpoint, git.repository].some((text) => text.toLowerCase().includes(wanted)),
      );
  }

  get(id: string): ServiceView {
    return this.#view(this.#find(id));
  }

  async cancel(id: string, actor: string): Promise<ServiceView> {
    const controller = this.#current(id, 'cancel');
    const stored = this.#find(id);
    this.#deps.store.cancelService(stored.id, { actor });
    controller
      .cancel()
      .catch((err: unknown) =>
        this.#deps.log.error({ err, service: stored.id }, 'A cancelled service could not be ended'),
      )
      .finally(() => {
        this.#controllers.delete(stored.id);
        for (const [deployment, service] of this.#deployments) {
          if (service === stored.id) this.#deployments.delete(deployment);
        }
      });
    await this.#traffic.applied();
    return this.get(stored.id);
  }

  async restart(id: string, actor: string): Promise<ServiceView> {
    const controller = this.#current(id, 'restart');
    const { id: serviceId } = this.#find(id);
    this.#deps.store.noteRestart(serviceId, { actor });
    await controller.restart();
    return this.get(serviceId);
  }

  update(id: string, body: unknown, actor: string): Promise<ServiceView> {
    const stored = this.#find(id);
    return this.#change(stored.id, actor, 'update', (base) =>
      this.#deps.check.service(body, { kind: 'update', base, id: stored.id }),
    );
  }

  async rollback(id: string, body: unknown, actor: string): Promise<ServiceView> {
    const stored = this.#find(id);
    const wanted = readRollback(body);
    const target = this.revisions(stored.id).find(({ revision }) => revision === wanted);
    if (target === undefined) {
      throw new InvalidRequest([
        {
          field: 'revision',
          message: `${wanted} is not a revision of this service; GET .../revisions lists them`,
        },
      ]);
    }
    return this.#change(stored.id, actor, `rollback to ${wanted}`, () =>
      this.#deps.check.service(target.spec, { kind: 'replace', id: stored.id }),
    );
  }

  revisions(id: string): ServiceRevision[] {
    return this.#deps.store.revisions(this.#find(id).id);
  }

  events(id: string): ServiceEvent[] {
    return this.#deps.store.events(this.#find(id).id);
  }

  /** Followed logs of a past service end with their last line. */
  logs(id: string, query: Omit<LogQuery, 'over'>): AsyncIterable<string> {
    const { id: serviceId } = this.#find(id);
    const over = this.#controllers.get(serviceId)?.over ?? AbortSignal.abort();
    return this.#deps.driver.logs(serviceId, { ...query, over });
  }

  preflight(body: unknown): Promise<readonly Problem[]> {
    return this.#deps.check.problems(body, { kind: 'new' });
  }

  export(id: string | null): string {
    const stored =
      id === null
        ? this.#deps.store.services().filter(({ cancelledAt }) => cancelledAt === null)
        : [this.#find(id)];
    return exportServices(stored.map(({ spec }) => spec));
  }

  /** It is current, or was cancelled and something of it may still run. */
  isHeld(id: string): boolean {
    return this.#controllers.has(id);
  }

  /** Names of the current services whose spec fits. */
  using(fits: (spec: ServiceSpec) => boolean): string[] {
    const names = this.#deps.store
      .currentSpecs()
      .filter(fits)
      .map(({ name }) => name);
    return [...new Set(names)];
  }

  async #change(
    id: string,
    actor: string,
    reason: string,
    check: (base: ServiceSpec) => Promise<ServiceSpec>,
  ): Promise<ServiceView> {
    const controller = this.#current(id, reason);
    await controller.update(async () => {
      const base = controller.spec;
      const spec = await check(base);
      if (isDeepStrictEqual(spec, base)) return null;
      return { spec, revision: this.#deps.store.addRevision(id, { spec, actor, reason }) };
    });
    return this.get(id);
  }

  #addController(stored: StoredService): ServiceController {
    const { store, driver, log, settings } = this.#deps;
    const { id } = stored;
    const controller = new ServiceController(
      {
        spec: stored.spec,
        revision: stored.activeRevision ?? stored.pendingRevision ?? 1,
        active: stored.activeRevision !== null,
        lastCommit: stored.resolvedCommit,
      },
      {
        driver,
        traffic: this.#traffic,
        settings,
        log,
        deployment: (spec, replicas, lastCommit) => {
          const deployment = `${id}-${store.nextDeployment(id)}`;
          this.#deployments.set(deployment, id);
          return { id: deployment, serviceId: id, spec, replicas, lastCommit, ...this.#deps.resolve(spec) };
        },
        ledger: {
          activate: (revision, commit) => store.activateRevision(id, revision, commit),
          fail: (revision, why) => store.failRevision(id, revision, why),
          setCommit: (revision, commit) => store.setCommit(id, revision, commit),
          event: (kind, message, { replica = null, data = {} } = {}) =>
            store.addEvent(id, { at: new Date().toISOString(), kind, message, replica, data }),
        },
      },
    );
    this.#controllers.set(id, controller);
    return controller;
  }

  #controllerOf(deploymentId: string): ServiceController | undefined {
    return this.#controllers.get(this.#deployments.get(deploymentId) ?? '');
  }

  /** The controller of a current service; 409 for a past one. */
  #current(id: string, action: string): ServiceController {
    const stored = this.#find(id);
    const controller = this.#controllers.get(stored.id);
    if (controller === undefined || stored.cancelledAt !== null) {
      const { name } = stored.spec;
      throw new Refusal(
        'conflict',
        action === 'cancel'
          ? `The service ${name} is cancelled already`
          : `The service ${name} is cancelled: ${action} is not possible; clone it`,
      );
    }
    return controller;
  }

  #find(id: string): StoredService {
    const { store } = this.#deps;
    const found = store.service(id) ?? store.holder('name', id);
    if (found === null) throw new Refusal('not_found', 'There is no such service');
    return found;
  }

  #view(stored: StoredService): ServiceView {
    return viewOf(stored, this.#controllers.get(stored.id) ?? null, this.#deps.settings().publicUrl);
  }

  #scalables(): Scalable[] {
    return [...this.#controllers.values()]
      .filter(({ status }) => status !== 'cancelled')
      .map((controller) => ({
        name: controller.spec.name,
        minReplicas: controller.spec.minReplicas,
        maxReplicas: controller.spec.maxReplicas,
        wanted: controller.wanted,
        origins: controller.loadOrigins,
        scaleTo: (replicas) => controller.scaleTo(replicas),
      }));
  }
}
