import { once } from 'node:events';
import type { Readable } from 'node:stream';
import type { ServiceEvent, ServiceStatus, ServiceView } from '../../../src/contracts/service.ts';
import { MemoryControl } from '../../admin/support/memory-control.ts';
import { service, start } from '../../admin/support/start.ts';
import { type Finished, ROOT, runRealmgate, startRealmgate } from '../run-realmgate.ts';

/** A control plane whose services take the time, and meet the end, that a test wants. */
class StagedControl extends MemoryControl {
  /** Status of every service that is created from now on; null = it runs at once. */
  newStatus: ServiceStatus | null = null;
  /** Restarts and updates wait for it. */
  gate: Promise<unknown> = Promise.resolve();
  /** Restarts that were asked for. */
  restarts = 0;
  /** Bodies of creates and updates, as they came. */
  readonly bodies: unknown[] = [];
  readonly #statuses = new Map<string, ServiceStatus>();
  readonly #events = new Map<string, ServiceEvent[]>();

  override async createService(body: unknown, actor: string): Promise<ServiceView> {
    this.bodies.push(body);
    const { id } = await super.createService(body, actor);
    if (this.newStatus !== null) this.#statuses.set(id, this.newStatus);
    return this.getService(id);
  }

  override async updateService(id: string, body: unknown, actor: string): Promise<ServiceView> {
    this.bodies.push(body);
    await this.gate;
    return super.updateService(id, body, actor);
  }

  override async restartService(id: string, actor: string): Promise<ServiceView> {
    this.restarts++;
    await this.gate;
    return super.restartService(id, actor);
  }

  override getService(id: string): ServiceView {
    const view = super.getService(id);
    return { ...view, status: this.#statuses.get(view.id) ?? view.status };
  }

  override events(id: string): ServiceEvent[] {
    const { id: key } = this.getService(id);
    return [...super.events(key), ...(this.#events.get(key) ?? [])];
  }

  /** From now on a service has this status. */
  become(name: string, status: ServiceStatus): void {
    this.#statuses.set(this.getService(name).id, status);
  }

  happen(name: string, kind: string, message: string, data: ServiceEvent['data'] = {}, replica = 'r1'): void {
    const { id } = this.getService(name);
    const event = { at: new Date().toISOString(), kind, message, replica, data };
    this.#events.set(id, [...(this.#events.get(id) ?? []), event]);
  }
}

export interface Platform {
  readonly url: string;
  readonly control: StagedControl;
  /** Services that run, by name, each at the endpoint of its name. */
  readonly add: (name: string, more?: object) => Promise<ServiceView>;
  /** `realmgate ARGS` as an admin of this platform. */
  readonly run: (args: readonly string[], input?: string) => Promise<Finished>;
  /** The same while it runs. */
  readonly begin: (args: readonly string[], input?: string) => ReturnType<typeof startRealmgate>;
}

/** The real admin listener over a control plane in memory; it ends with the test. */
export async function startPlatform(): Promise<Platform> {
  const control = new StagedControl();
  const { url } = await start({ control });
  const env = { REALMGATE_ADMIN_URL: url, REALMGATE_TOKEN: 'admin', NO_COLOR: '' };
  return {
    url,
    control,
    add: async (name, more) => {
      const added = await control.createService(service(name, more), 'alice');
      control.bodies.length = 0;
      return added;
    },
    run: (args, input) => runRealmgate(args, ROOT, env, input),
    begin: (args, input) => startRealmgate(args, ROOT, env, input),
  };
}

/** What a stream has given so far. */
export class Captured {
  text = '';
  readonly #stream: Readable;

  constructor(stream: Readable) {
    this.#stream = stream.setEncoding('utf8').on('data', (chunk: string) => void (this.text += chunk));
  }

  /** Resolves once it has given this; rejects when it ends without. */
  async until(wanted: string): Promise<void> {
    while (!this.text.includes(wanted)) {
      await Promise.race([
        once(this.#stream, 'data'),
        once(this.#stream, 'end').then(() => {
          throw new Error(`it ended without ${wanted}: ${this.text}`);
        }),
      ]);
    }
  }
}
