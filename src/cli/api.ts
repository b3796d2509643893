import type { Explanation, ExplainQuestion } from '../contracts/explain.ts';
import type {
  Environment,
  Problem,
  SecretView,
  ServiceEvent,
  ServiceRevision,
  ServiceView,
} from '../contracts/service.ts';
import type { ApiClient } from './api-client.ts';

export interface Items<T> {
  readonly items: readonly T[];
}

export interface LogQuery {
  readonly follow: boolean;
  readonly tail: number | null;
  readonly replica: string | null;
}

/** The calls of the admin API. `id`: of a service, or the name of a current one. Every failure is a `Failure`. */
export class Api {
  readonly #client: ApiClient;

  constructor(client: ApiClient) {
    this.#client = client;
  }

  /** Of whoever uses this. Never to be shown. */
  get ownToken(): string {
    return this.#client.token;
  }

  async services(): Promise<Items<ServiceView>> {
    return (await this.#get('/services')) as Items<ServiceView>;
  }

  async service(id: string): Promise<ServiceView> {
    return (await this.#get(serviceAt(id))) as ServiceView;
  }

  async createService(body: object): Promise<ServiceView> {
    return (await this.#client.json('POST', '/services', { body })) as ServiceView;
  }

  async updateService(id: string, body: object, signal?: AbortSignal): Promise<ServiceView> {
    return (await this.#client.json('PATCH', serviceAt(id), { body, ...during(signal) })) as ServiceView;
  }

  async cloneService(id: string, body: object): Promise<ServiceView> {
    return (await this.#client.json('POST', `${serviceAt(id)}/clone`, { body })) as ServiceView;
  }

  async cancelService(id: string): Promise<ServiceView> {
    return (await this.#client.json('POST', `${serviceAt(id)}/cancel`)) as ServiceView;
  }

  async restartService(id: string, signal?: AbortSignal): Promise<ServiceView> {
    return (await this.#client.json('POST', `${serviceAt(id)}/restart`, during(signal))) as ServiceView;
  }

  async rollbackService(id: string, revision: number, signal?: AbortSignal): Promise<ServiceView> {
    const exchange = { body: { revision }, ...during(signal) };
    return (await this.#client.json('POST', `${serviceAt(id)}/rollback`, exchange)) as ServiceView;
  }

  async events(id: string): Promise<Items<ServiceEvent>> {
    return (await this.#get(`${serviceAt(id)}/events`)) as Items<ServiceEvent>;
  }

  async revisions(id: string): Promise<Items<ServiceRevision>> {
    return (await this.#get(`${serviceAt(id)}/revisions`)) as Items<ServiceRevision>;
  }

  async preflight(body: object): Promise<{ readonly ok: boolean; readonly problems: readonly Problem[] }> {
    return (await this.#client.json('POST', '/preflight', { body })) as {
      ok: boolean;
      problems: readonly Problem[];
    };
  }

  /** YAML. null = of every current service. */
  exportServices(id: string | null): Promise<string> {
    return this.#client.text('GET', id === null ? '/export' : `${serviceAt(id)}/export`);
  }

  /** Log lines in pieces of any length, as they come, until they end or `signal` aborts. */
  logs(id: string, { follow, tail, replica }: LogQuery, signal: AbortSignal): AsyncIterable<string> {
    const query = new URLSearchParams({ follow: String(follow) });
    if (tail !== null) query.set('tail', String(tail));
    if (replica !== null) query.set('replica', replica);
    return this.#client.chunks(`${serviceAt(id)}/logs?${query.toString()}`, signal);
  }

  async secrets(): Promise<Items<SecretView>> {
    return (await this.#get('/secrets')) as Items<SecretView>;
  }

  async secret(name: string): Promise<SecretView> {
    return (await this.#get(`/secrets/${encodeURIComponent(name)}`)) as SecretView;
  }

  async putSecret(name: string, data: Readonly<Record<string, string>>): Promise<SecretView> {
    const path = `/secrets/${encodeURIComponent(name)}`;
    return (await this.#client.json('PUT', path, { body: { data } })) as SecretView;
  }

  async deleteSecret(name: string): Promise<void> {
    await this.#client.text('DELETE', `/secrets/${encodeURIComponent(name)}`);
  }

  async environments(): Promise<Items<Environment>> {
    return (await this.#get('/environments')) as Items<Environment>;
  }

  async environment(name: string): Promise<Environment> {
    return (await this.#get(`/environments/${encodeURIComponent(name)}`)) as Environment;
  }

  async putEnvironment(name: string, body: object): Promise<Environment> {
    const path = `/environments/${encodeURIComponent(name)}`;
    return (await this.#client.json('PUT', path, { body })) as Environment;
  }

  async deleteEnvironment(name: string): Promise<void> {
    await this.#client.text('DELETE', `/environments/${encodeURIComponent(name)}`);
  }

  async explain(question: ExplainQuestion): Promise<Explanation> {
    return (await this.#client.json('POST', '/explain', { body: question })) as Explanation;
  }

  #get(path: string): Promise<unknown> {
    return this.#client.json('GET', path);
  }
}

function serviceAt(id: string): string {
  return `/services/${encodeURIComponent(id)}`;
}

function during(signal: AbortSignal | undefined): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}
