import type { ControlChannel } from '../contracts/control-channel.ts';
import type { GatewaySettings, Route } from '../contracts/settings.ts';
import type { RealmSnapshot, Snapshot } from '../contracts/snapshot.ts';
import type { OriginLoad } from '../contracts/worker-messages.ts';
import type { Refusal } from '../errors.ts';
import type { AccessLog } from '../telemetry/access-log.ts';
import type { RouteMetrics, WorkerMetrics } from '../telemetry/metrics.ts';
import { Authenticator } from './authenticate.ts';
import { TrustedProxies } from './client-address.ts';
import { Deadlines } from './deadlines.ts';
import type { Exchange } from './exchange.ts';
import { createUpstreamClient } from './forward/upstream-client.ts';
import { UpstreamGroup, Upstreams } from './forward/upstream-group.ts';
import type { UpstreamClient, UpstreamFailure } from './forward/upstream-types.ts';
import { RouteTable } from './match-route.ts';
import { type RecordKeeper, RequestRecord } from './request-record.ts';
import { asRefusal, refuse } from './respond.ts';

/** A route with what this worker needs to serve it. */
export interface Service {
  readonly route: Route;
  readonly group: UpstreamGroup;
  readonly metrics: RouteMetrics;
}

/** A realm with the way to it, for the endpoints that are passed through. */
export interface PassthroughRealm {
  readonly snapshot: RealmSnapshot;
  /** Path of the realm's own URL, such as `/auth/realms/demo`. */
  readonly path: string;
  readonly group: UpstreamGroup;
  readonly metrics: RouteMetrics;
}

/** Origin under which clients see the gateway, taken apart. */
export interface PublicOrigin {
  readonly proto: 'http' | 'https';
  readonly host: string;
}

export interface GatewayDependencies {
  readonly control: ControlChannel;
  readonly metrics: WorkerMetrics;
  /** null = none is written, whatever the settings say. */
  readonly accessLog: AccessLog | null;
  readonly log: {
    debug(fields: object, message: string): void;
    warn(fields: object, message: string): void;
    error(fields: object, message: string): void;
  };
}

/** Bytes of verified tokens that a worker keeps: some 30,000 tokens of Keycloak's size. */
const TOKEN_CACHE_BYTES = 64 * 1024 * 1024;

/**
 * A worker's state: the snapshot it serves by, compiled, and what outlives snapshots. `apply` replaces sections of
 * the snapshot in one go; requests in progress finish with what they began with.
 */
export class Gateway implements RecordKeeper {
  readonly control: ControlChannel;
  readonly metrics: WorkerMetrics;
  readonly log: GatewayDependencies['log'];
  readonly authenticator: Authenticator;
  readonly deadlines = new Deadlines();
  /** Upgraded connections. */
  readonly tunnels = new Set<{ goAway(): void }>();
  /** Requests that wait for an upstream. */
  readonly holds = new Set<{ goAway(): void }>();
  /** Requests in progress, tunnels among them. */
  inFlight = 0;
  draining = false;

  settings: GatewaySettings;
  trusted: TrustedProxies;
  publicOrigin: PublicOrigin | null = null;
  client: UpstreamClient;
  realms = new Map<string, PassthroughRealm>();
  #routes = new RouteTable<Service>([]);
  #snapshot: Snapshot;
  #routeNames: readonly string[] = [];
  /** By route. */
  #services: ReadonlyMap<string, Service> = new Map();
  readonly #upstreams = new Upstreams((origin) => this.client.withdraw(origin));
  readonly #accessLog: AccessLog | null;
  readonly #unmatched: RouteMetrics;

  constructor(snapshot: Snapshot, dependencies: GatewayDependencies) {
    this.control = dependencies.control;
    this.metrics = dependencies.metrics;
    this.log = dependencies.log;
    this.#accessLog = dependencies.accessLog;
    this.#unmatched = this.metrics.route('none');
    this.authenticator = new Authenticator({ control: this.control, cacheBytes: TOKEN_CACHE_BYTES });
    this.#snapshot = snapshot;
    this.settings = snapshot.gateway;
    this.trusted = new TrustedProxies(this.settings.trustedProxies);
    this.client = this.#newClient();
    this.apply(snapshot);
  }

  apply(sections: Partial<Snapshot>): void {
    this.#snapshot = { ...this.#snapshot, ...sections };
    const { gateway, realms, routes, services, unhealthy } = sections;
    if (gateway !== undefined) this.#applySettings(gateway);
    if (unhealthy !== undefined) this.#upstreams.setUnhealthy(unhealthy);
    if (realms !== undefined) {
      this.authenticator.apply(realms);
      this.#compileRealms(realms);
    }
    if (services !== undefined) this.#compileServices(services);
    if (routes !== undefined) this.#compileRoutes(routes);
    else if (services !== undefined) this.#routes.putBeside([...this.#services.values()]);
  }

  /** What this worker has in progress with each address of a service. */
  load(): OriginLoad[] {
    return this.#upstreams.load();
  }

  match(hostname: string, path: string): Service | null {
    return this.#routes.match(hostname, path);
  }

  /** This worker's part of the connections that the gateway takes at a time; they are dealt out evenly. */
  get connectionShare(): number {
    const { limits, workers } = this.settings;
    return Math.ceil(limits.connections / workers);
  }

  /** The realm named in challenges where no route demands one. */
  get defaultRealm(): string {
    return this.#snapshot.realms[0]?.settings.name ?? '';
  }

  /** A refusal ends an exchange; a bug ends it with 500 and is told in the log. */
  refuse(exchange: Exchange, record: RequestRecord, error: unknown): void {
    const refusal = asRefusal(error);
    if (refusal !== error) {
      this.log.error(
        { err: error, requestId: exchange.requestId, path: record.path },
        'A request handler failed',
      );
    }
    refuse(exchange, refusal, record.realm ?? this.defaultRealm, record.cors);
  }

  /** Tells of a relay that went wrong, then refuses. */
  refuseRelay(
    exchange: Exchange,
    record: RequestRecord,
    refusal: Refusal,
    failure: UpstreamFailure | null,
  ): void {
    if (failure !== null) {
      const fields = { requestId: exchange.requestId, route: record.route, upstream: record.relay?.origin };
      this.log.warn({ ...fields, kind: failure.kind, detail: failure.detail }, 'An upstream failed');
    }
    this.refuse(exchange, record, refusal);
  }

  begin(exchange: Exchange): RequestRecord {
    this.inFlight++;
    const record = new RequestRecord(this, exchange, this.#unmatched);
    exchange.owner = record;
    return record;
  }

  /** Counts an exchange that has ended, and logs it. */
  settled(exchange: Exchange, record: RequestRecord): void {
    this.inFlight--;
    const now = performance.now();
    const { relay } = record;
    const headAt = relay === null ? 0 : relay.headAt;
    const upstreamSeconds = headAt === 0 ? 0 : (headAt - exchange.startedAt) / 1000;
    const outcome = exchange.code ?? (exchange.abandoned ? 'client_gone' : 'ok');
    record.metrics.observe(exchange.status, outcome, (now - exchange.startedAt) / 1000, upstreamSeconds);
    if (this.#accessLog === null || !this.settings.accessLog) return;
    this.#accessLog.write({
      requestId: exchange.requestId,
      client: record.clientAddress,
      method: exchange.method,
      host: record.host,
      path: record.path,
      route: record.route,
      status: exchange.status,
      code: exchange.code,
      bytesIn: exchange.bytesIn,
      bytesOut: exchange.bytesOut,
      durationMs: now - exchange.startedAt,
      upstreamMs: headAt === 0 ? null : upstreamSeconds * 1000,
      upstream: relay === null ? null : relay.origin,
      user: record.user,
      protocol: exchange.httpVersion,
      userAgent: record.userAgent,
    });
  }

  /** Replaces the upstream client after its options changed; the old one's connections close after their exchange. */
  #applySettings(settings: GatewaySettings): void {
    const old = this.client;
    const { connect } = this.settings.timeouts;
    this.settings = settings;
    this.trusted = new TrustedProxies(settings.trustedProxies);
    this.publicOrigin = settings.publicUrl === null ? null : publicOrigin(settings.publicUrl);
    if (connect === settings.timeouts.connect) return;
    this.client = this.#newClient();
    old.close();
  }

  #newClient(): UpstreamClient {
    return createUpstreamClient({
      connectTimeout: this.settings.timeouts.connect,
      maxIdle: 256,
      idleTimeout: 60_000,
      headBytes: 64 * 1024,
    });
  }

  #compileRealms(realms: readonly RealmSnapshot[]): void {
    const urls = realms.map((realm) => new URL(realm.settings.url));
    const members = this.#upstreams.name(
      'realms',
      urls.map((url) => [url.origin]),
    );
    const before = this.realms;
    this.realms = new Map(
      realms.map((snapshot, i) => [
        snapshot.settings.name,
        {
          snapshot,
          path: urls[i]!.pathname.replace(/\/$/, ''),
          group: new UpstreamGroup(members[i]!),
          metrics: this.metrics.route(`realm:${snapshot.settings.name}`),
        },
      ]),
    );
    for (const name of before.keys()) this.metrics.release(`realm:${name}`);
  }

  #compileRoutes(routes: readonly Route[]): void {
    const members = this.#upstreams.name(
      'routes',
      routes.map((route) => route.upstream),
    );
    const entries = routes.map((route, i) => ({
      route,
      group: new UpstreamGroup(members[i]!),
      metrics: this.metrics.route(route.name),
    }));
    this.#routes = new RouteTable<Service>(entries);
    this.#routes.putBeside([...this.#services.values()]);
    for (const name of this.#routeNames) this.metrics.release(name);
    this.#routeNames = routes.map(({ name }) => name);
  }

  /** A service keeps its group, so that requests in progress see its replicas come and go. */
  #compileServices(routes: readonly Route[]): void {
    const members = this.#upstreams.name(
      'services',
      routes.map((route) => route.upstream),
    );
    const before = this.#services;
    const services = new Map<string, Service>();
    for (const [i, route] of routes.entries()) {
      const group = before.get(route.name)?.group ?? new UpstreamGroup([]);
      group.members = members[i]!;
      services.set(route.name, { route, group, metrics: this.metrics.route(route.name) });
    }
    for (const [name, { group }] of before) {
      if (!services.has(name)) group.members = [];
      this.metrics.release(name);
    }
    this.#services = services;
  }
}

function publicOrigin(url: string): PublicOrigin {
  const { protocol, host } = new URL(url);
  return { proto: protocol === 'https:' ? 'https' : 'http', host };
}
