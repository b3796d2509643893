import type { Explanation, ExplainQuestion } from './explain.ts';
import type {
  AuditEntry,
  Environment,
  Problem,
  SecretView,
  ServiceEvent,
  ServiceRevision,
  ServiceStatus,
  ServiceView,
} from './service.ts';

/**
 * What the admin API offers, in terms of the control plane. Bodies are as they came from the client: the control plane
 * checks them. Calls throw `Refusal`: `invalid_request` (an `InvalidRequest` with every wrong field), `not_found`,
 * `conflict`, `rollout_failed`. `actor` is who asks, for the audit.
 */
export interface ControlApi {
  createService(body: unknown, actor: string): Promise<ServiceView>;
  listServices(filter: { readonly status: ServiceStatus | null; readonly q: string | null }): ServiceView[];
  /** By id, or by the name of a current service. */
  getService(id: string): ServiceView;
  /** Withdraws the endpoint at once; its replicas then finish what is in progress. */
  cancelService(id: string, actor: string): Promise<ServiceView>;
  /** Resolves once the new replicas serve and the old ones no longer do; on failure the old ones stay. */
  restartService(id: string, actor: string): Promise<ServiceView>;
  /** As `restartService`, for changed fields. */
  updateService(id: string, body: unknown, actor: string): Promise<ServiceView>;
  /** `body`: the changed fields. Also of a past service. */
  cloneService(id: string, body: unknown, actor: string): Promise<ServiceView>;
  rollbackService(id: string, body: unknown, actor: string): Promise<ServiceView>;
  revisions(id: string): ServiceRevision[];
  events(id: string): ServiceEvent[];
  logs(
    id: string,
    query: {
      readonly follow: boolean;
      readonly tail: number | null;
      readonly replica: string | null;
      readonly signal: AbortSignal;
    },
  ): AsyncIterable<string>;
  preflight(body: unknown): Promise<readonly Problem[]>;
  /** YAML. null = every current service. */
  exportServices(id: string | null): string;

  listSecrets(): SecretView[];
  getSecret(name: string): SecretView;
  putSecret(name: string, body: unknown, actor: string): SecretView;
  deleteSecret(name: string, actor: string): void;

  listEnvironments(): Environment[];
  getEnvironment(name: string): Environment;
  putEnvironment(name: string, body: unknown, actor: string): Environment;
  deleteEnvironment(name: string, actor: string): void;

  /** Newest first. */
  audit(page: { readonly limit: number; readonly before: number | null }): AuditPage;
}

export interface AuditPage {
  readonly items: readonly AuditEntry[];
  /** Give it as `before` to get older ones; null = there are none. */
  readonly next: number | null;
}

/** What the admin API shows of the gateway itself. */
export interface GatewayApi {
  routes(): readonly RouteView[];
  realms(): readonly RealmView[];
  explain(question: ExplainQuestion): Promise<Explanation>;
}

export interface RouteView {
  readonly name: string;
  /** `static` = of the configuration, `service` = of the registry. */
  readonly source: 'static' | 'service';
  readonly endpoint: string | null;
  readonly host: string | null;
  readonly upstream: readonly string[];
  readonly realm: string;
  readonly public: boolean;
  readonly stripPrefix: boolean;
  readonly access: {
    readonly roles: readonly string[];
    readonly scopes: readonly string[];
    readonly clients: readonly string[];
  };
}

export interface RealmView {
  readonly name: string;
  readonly issuers: readonly string[];
  readonly keys: readonly {
    readonly kid: string | null;
    readonly alg: string | null;
    readonly kty: string;
  }[];
  /** ISO 8601; null = never. */
  readonly keysFetchedAt: string | null;
  /** Seconds; null = never fetched. */
  readonly keysAge: number | null;
}
