import { setTimeout as delay } from 'node:timers/promises';
import type { ServiceEvent, ServiceView } from '../../src/contracts/service.ts';

/** Between two looks at a service, in ms. */
const LOOK_EVERY = 20;

/** How long something may take that is waited for, in ms. */
const PATIENCE = 180_000;

/** The admin API as a developer uses it. Every call rejects with what the API says where that is not 2xx. */
export class AdminClient {
  readonly #url: string;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(url: string, token: string) {
    this.#url = url;
    this.#headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  }

  create(body: object): Promise<ServiceView> {
    return this.#json('POST', '/services', body);
  }

  update(name: string, body: object): Promise<ServiceView> {
    return this.#json('PATCH', `/services/${name}`, body);
  }

  /** `restart`, `cancel` and the like. */
  act(name: string, action: string, body?: object): Promise<ServiceView> {
    return this.#json('POST', `/services/${name}/${action}`, body);
  }

  get(name: string): Promise<ServiceView> {
    return this.#json('GET', `/services/${name}`);
  }

  async list(): Promise<ServiceView[]> {
    return (await this.#json<{ items: ServiceView[] }>('GET', '/services')).items;
  }

  /** The list as it travels: bytes, without the time that this side takes to read it. */
  async rawList(): Promise<number> {
    return (await this.#call('GET', '/services')).byteLength;
  }

  async events(name: string): Promise<ServiceEvent[]> {
    return (await this.#json<{ items: ServiceEvent[] }>('GET', `/services/${name}/events`)).items;
  }

  /** Resolves once the service is as it should be; rejects with its last events when that takes too long. */
  async until(name: string, holds: (service: ServiceView) => boolean): Promise<ServiceView> {
    for (const deadline = performance.now() + PATIENCE; performance.now() < deadline;) {
      const service = await this.get(name);
      if (holds(service)) return service;
      await delay(LOOK_EVERY);
    }
    const events = (await this.events(name)).slice(-5).map(({ kind, message }) => `${kind}: ${message}`);
    throw new Error(`${name} is not as it should be; its last events: ${events.join('; ')}`);
  }

  async #json<T>(method: string, path: string, body?: object): Promise<T> {
    return JSON.parse(Buffer.from(await this.#call(method, path, body)).toString()) as T;
  }

  async #call(method: string, path: string, body?: object): Promise<ArrayBuffer> {
    const answer = await fetch(`${this.#url}/api/v1${path}`, {
      method,
      headers: this.#headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (answer.ok) return answer.arrayBuffer();
    throw new Error(`${method} ${path} was answered ${answer.status}: ${await answer.text()}`);
  }
}

/** Whether it runs with exactly so many replicas, all of them ready. */
export function runsWith(replicas: number): (service: ServiceView) => boolean {
  return (service) =>
    service.status === 'running' &&
    service.replicas.length === replicas &&
    service.replicas.every(({ state }) => state === 'ready');
}
