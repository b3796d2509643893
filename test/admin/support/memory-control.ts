import { randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { Compile } from 'typebox/schema';
import { stringify } from 'yaml';
import type { AuditPage, ControlApi } from '../../../src/contracts/control-api.ts';
import type {
  AuditEntry,
  Environment,
  Problem,
  SecretView,
  ServiceEvent,
  ServiceRevision,
  ServiceSpec,
  ServiceStatus,
  ServiceView,
} from '../../../src/contracts/service.ts';
import { InvalidRequest, Refusal } from '../../../src/errors.ts';
import type { Schema } from '../../../src/control/services/schema.ts';
import {
  ENVIRONMENT_BODY,
  ROLLBACK_BODY,
  SECRET_BODY,
  SERVICE_BODY,
  SERVICE_CHANGE,
} from '../../../src/control/services/spec-schema.ts';

interface Entry {
  view: ServiceView;
  readonly revisions: ServiceRevision[];
  readonly events: ServiceEvent[];
}

/** A control plane that keeps everything in memory and runs nothing. */
export class MemoryControl implements ControlApi {
  /** What the next update, restart or rollback fails with; null = it works. */
  failure: string | null = null;
  /** Log readers that are being served. */
  readers = 0;
  /** Log readers since the start. */
  opened = 0;
  readonly #services = new Map<string, Entry>();
  readonly #secrets = new Map<string, SecretView>();
  readonly #environments = new Map<string, Environment>([['default', environment('default', {})]]);
  readonly #audit: AuditEntry[] = [];
  readonly #lines = new Map<string, string[]>();
  readonly #appended = new EventEmitter();

  createService(body: unknown, actor: string): Promise<ServiceView> {
    return Promise.try(() => {
      check(SERVICE_BODY, body);
      return this.#add(specOf(body), actor, null);
    });
  }

  listServices({ status, q }: { status: ServiceStatus | null; q: string | null }): ServiceView[] {
    return [...this.#services.values()]
      .map(({ view }) => view)
      .filter((view) => status === null || view.status === status)
      .filter((view) =>
        [view.name, view.endpoint, view.git.repository].some((text) => text.includes(q ?? '')),
      );
  }

  getService(id: string): ServiceView {
    return this.#find(id).view;
  }

  cancelService(id: string, actor: string): Promise<ServiceView> {
    return Promise.try(() => {
      const entry = this.#current(id);
      entry.view = { ...entry.view, status: 'cancelled', cancelledAt: now(), clusterUrl: null };
      this.#note(actor, 'service.cancel', entry.view.name);
      return entry.view;
    });
  }

  restartService(id: string, actor: string): Promise<ServiceView> {
    return Promise.try(() => {
      const entry = this.#current(id);
      this.#rollOut();
      this.#note(actor, 'service.restart', entry.view.name);
      return entry.view;
    });
  }

  updateService(id: string, body: unknown, actor: string): Promise<ServiceView> {
    return Promise.try(() => {
      const entry = this.#current(id);
      check(SERVICE_CHANGE, body);
      this.#rollOut();
      entry.view = { ...entry.view, ...merged(entry.view, body), revision: entry.view.revision + 1 };
      this.#revise(entry, actor, 'update');
      return entry.view;
    });
  }

  cloneService(id: string, body: unknown, actor: string): Promise<ServiceView> {
    return Promise.try(() => {
      const { view } = this.#find(id);
      check(SERVICE_CHANGE, body);
      const base = specOf(view);
      return this.#add(merged({ ...base, name: `${base.name}-copy` }, body), actor, view.id);
    });
  }

  rollbackService(id: string, body: unknown, actor: string): Promise<ServiceView> {
    return Promise.try(() => {
      const entry = this.#current(id);
      check(ROLLBACK_BODY, body);
      const { revision } = body as { revision: number };
      const target = entry.revisions.find((each) => each.revision === revision);
      if (target === undefined) {
        throw new InvalidRequest([{ field: 'revision', message: 'is not a revision of this service' }]);
      }
      this.#rollOut();
      entry.view = { ...entry.view, ...target.spec, revision: entry.view.revision + 1 };
      this.#revise(entry, actor, `rollback to ${revision}`);
      return entry.view;
    });
  }

  revisions(id: string): ServiceRevision[] {
    return this.#find(id).revisions;
  }

  events(id: string): ServiceEvent[] {
    return this.#find(id).events;
  }

  async *logs(id: string, query: Parameters<ControlApi['logs']>[1]): AsyncGenerator<string> {
    const lines = this.#linesOf(id);
    this.readers++;
    this.opened++;
    try {
      for (let at = query.tail === null ? 0 : Math.max(0, lines.length - query.tail); ;) {
        for (; at < lines.length; at++) yield lines[at]!;
        if (!query.follow || query.signal.aborted) return;
        await once(this.#appended, 'line', { signal: query.signal }).catch(() => undefined);
      }
    } finally {
      this.readers--;
    }
  }

  /** Adds lines to a service's log. */
  append(id: string, ...lines: string[]): void {
    this.#linesOf(id).push(...lines);
    this.#appended.emit('line');
  }

  preflight(body: unknown): Promise<readonly Problem[]> {
    return Promise.try(() => {
      return problemsOf(SERVICE_BODY, body);
    });
  }

  exportServices(id: string | null): string {
    const views = id === null ? [...this.#services.values()].map(({ view }) => view) : [this.#find(id).view];
    return views.map((view) => stringify(specOf(view))).join('---\n');
  }

  listSecrets(): SecretView[] {
    return [...this.#secrets.values()];
  }

  getSecret(name: string): SecretView {
    return this.#secrets.get(name) ?? missing();
  }

  putSecret(name: string, body: unknown, actor: string): SecretView {
    check(SECRET_BODY, body);
    checkName(name);
    const keys = Object.keys((body as { data: object }).data).sort();
    const secret = { name, keys, updatedAt: now(), updatedBy: actor };
    this.#secrets.set(name, secret);
    this.#note(actor, 'secret.put', name);
    return secret;
  }

  deleteSecret(name: string, actor: string): void {
    this.getSecret(name);
    const users = this.listServices({ status: null, q: null }).filter(
      ({ cancelledAt, secrets }) => cancelledAt === null && secrets.includes(name),
    );
    if (users.length > 0) throw new Refusal('conflict', 'A current service uses the secret');
    this.#secrets.delete(name);
    this.#note(actor, 'secret.delete', name);
  }

  listEnvironments(): Environment[] {
    return [...this.#environments.values()];
  }

  getEnvironment(name: string): Environment {
    return this.#environments.get(name) ?? missing();
  }

  putEnvironment(name: string, body: unknown, actor: string): Environment {
    check(ENVIRONMENT_BODY, body);
    checkName(name);
    const written = environment(name, body as Partial<Environment>);
    this.#environments.set(name, written);
    this.#note(actor, 'environment.put', name);
    return written;
  }

  deleteEnvironment(name: string, actor: string): void {
    this.getEnvironment(name);
    if (name === 'default') throw new Refusal('conflict', 'The environment default always exists');
    this.#environments.delete(name);
    this.#note(actor, 'environment.delete', name);
  }

  audit({ limit, before }: { limit: number; before: number | null }): AuditPage {
    const end = Math.min(before ?? this.#audit.length, this.#audit.length);
    const start = Math.max(0, end - limit);
    return { items: this.#audit.slice(start, end).reverse(), next: start === 0 ? null : start };
  }

  #add(spec: ServiceSpec, actor: string, clonedFrom: string | null): ServiceView {
    const taken = this.listServices({ status: null, q: null }).some(
      ({ cancelledAt, name, endpoint }) =>
        cancelledAt === null && (name === spec.name || endpoint === spec.endpoint),
    );
    if (taken) throw new Refusal('conflict', 'The name or the endpoint is taken');
    const view: ServiceView = {
      ...spec,
      id: randomUUID(),
      status: 'running',
      url: `http://127.0.0.1:8080${spec.endpoint}`,
      clusterUrl: null,
      resolvedCommit: null,
      revision: 1,
      replicas: [
        {
          id: 'r1',
          state: 'ready',
          restarts: 1,
          lastExit: { code: 1, signal: null, at: now(), reason: null },
        },
      ],
      createdAt: now(),
      createdBy: actor,
      clonedFrom,
      cancelledAt: null,
    };
    const entry: Entry = { view, revisions: [], events: [] };
    this.#services.set(view.id, entry);
    this.#revise(entry, actor, clonedFrom === null ? 'create' : 'clone');
    return view;
  }

  #revise(entry: Entry, actor: string, reason: string): void {
    const { view, revisions, events } = entry;
    revisions.push({
      revision: view.revision,
      createdAt: now(),
      createdBy: actor,
      reason,
      state: 'active',
      failure: null,
      resolvedCommit: null,
      spec: specOf(view),
    });
    events.push({ at: now(), kind: 'created', message: `It was made by ${reason}`, replica: null, data: {} });
    this.#note(actor, `service.${reason.split(' ')[0]!}`, view.name);
  }

  #linesOf(id: string): string[] {
    const key = this.#find(id).view.id;
    const lines = this.#lines.get(key) ?? [];
    this.#lines.set(key, lines);
    return lines;
  }

  #find(id: string): Entry {
    const named = [...this.#services.values()].find(
      ({ view }) => view.name === id && view.cancelledAt === null,
    );
    return this.#services.get(id) ?? named ?? missing();
  }

  #current(id: string): Entry {
    const entry = this.#find(id);
    if (entry.view.cancelledAt !== null) throw new Refusal('conflict', 'The service is cancelled');
    return entry;
  }

  #rollOut(): void {
    if (this.failure !== null) throw new Refusal('rollout_failed', this.failure);
  }

  #note(actor: string, action: string, target: string): void {
    this.#audit.push({ at: now(), actor, action, target, difference: {} });
  }
}

function check(schema: Schema, body: unknown): void {
  const problems = problemsOf(schema, body);
  if (problems.length > 0) throw new InvalidRequest(problems);
}

function problemsOf(schema: Schema, body: unknown): Problem[] {
  return Compile(schema)
    .Errors(body)[1]
    .map(({ instancePath, message }) => ({
      field: instancePath.slice(1).replaceAll('/', '.') || 'body',
      message,
    }));
}

function checkName(name: string): void {
  if (/^[a-z0-9.-]{1,253}$/.test(name)) return;
  throw new InvalidRequest([{ field: 'name', message: 'has to be lower-case letters, digits, - and .' }]);
}

function specOf(body: unknown): ServiceSpec {
  const given = body as Partial<ServiceSpec> & Pick<ServiceSpec, 'endpoint' | 'path' | 'git'>;
  return {
    name: given.name ?? `service-${randomUUID().slice(0, 8)}`,
    endpoint: given.endpoint,
    environment: given.environment ?? 'default',
    type: given.type ?? 'shell',
    path: given.path,
    port: given.port ?? 8787,
    minReplicas: given.minReplicas ?? 1,
    maxReplicas: given.maxReplicas ?? 1,
    git: { repository: '', branch: null, commit: null, credentials: null, ...withoutNull(given.git) },
    parameters: given.parameters ?? {},
    secrets: given.secrets ?? [],
    fixedPort: given.fixedPort ?? false,
    stripPrefix: given.stripPrefix ?? true,
    access: { roles: [], scopes: [], clients: [], ...given.access },
    public: given.public ?? false,
    health: given.health ?? null,
  };
}

/** Changes by RFC 7396, two levels deep. */
function merged(base: ServiceSpec, body: unknown): ServiceSpec {
  const change = body as Partial<ServiceSpec>;
  return specOf({
    ...specOf(base),
    ...withoutNull(change),
    git: { ...base.git, ...withoutNull(change.git) },
    access: { ...base.access, ...withoutNull(change.access) },
    parameters: withoutNull({ ...base.parameters, ...change.parameters }),
  });
}

function withoutNull<T extends object>(value: T | null | undefined): Partial<T> {
  return Object.fromEntries(Object.entries(value ?? {}).filter(([, each]) => each !== null)) as Partial<T>;
}

function environment(name: string, body: Partial<Environment>): Environment {
  return {
    name,
    variables: body.variables ?? {},
    interpreters: { bash: null, python: null, node: null, ...body.interpreters },
    resources: { cpu: null, memory: null, ...body.resources },
    image: body.image ?? null,
    kubernetes: body.kubernetes ?? {},
  };
}

function missing(): never {
  throw new Refusal('not_found', 'There is no such thing');
}

function now(): string {
  return new Date().toISOString();
}
