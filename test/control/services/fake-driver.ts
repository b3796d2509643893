import type {
  DeployedReplica,
  Deployment,
  DeploymentState,
  Driver,
  DriverEvents,
} from '../../../src/contracts/driver.ts';
import type { ServiceSpec } from '../../../src/contracts/service.ts';

type State = DeployedReplica['state'];

/** A driver whose replicas do what a test says, when it says so: real processes cannot be made to fail on time. */
export class FakeDriver implements Driver {
  /** What was asked, in order: `deploy a-1 x1`, `scale a-1 x2`, `remove a-1`. */
  readonly calls: string[] = [];
  readonly deployments = new Map<
    string,
    { deployment: Deployment; commit: string | null; replicas: DeployedReplica[] }
  >();
  readonly #events: DriverEvents;
  #lastPort = 20_000;

  constructor(events: DriverEvents) {
    this.#events = events;
  }

  start = (): Promise<void> => Promise.resolve();
  close = (): Promise<void> => Promise.resolve();
  forget = (): Promise<void> => Promise.resolve();
  logBytes = (): Promise<number> => Promise.resolve(0);
  check = (): Promise<readonly []> => Promise.resolve([]);
  suspect = (): Promise<void> => Promise.resolve();

  logs = (): AsyncIterable<string> => {
    throw new Error('it writes no logs');
  };

  deploy(deployment: Deployment): void {
    this.calls.push(`deploy ${deployment.id} x${deployment.replicas}`);
    this.deployments.set(deployment.id, { deployment, commit: null, replicas: [] });
    this.#resize(deployment.id, deployment.replicas);
  }

  scale(id: string, replicas: number): void {
    this.calls.push(`scale ${id} x${replicas}`);
    this.#resize(id, replicas);
    this.#events.changed(id);
  }

  remove(id: string): Promise<void> {
    this.calls.push(`remove ${id}`);
    this.deployments.delete(id);
    return Promise.resolve();
  }

  state(id: string): DeploymentState | null {
    const found = this.deployments.get(id);
    return found === undefined ? null : { resolvedCommit: found.commit, replicas: found.replicas };
  }

  /** Puts replicas of a deployment, all by default, in a state. */
  set(id: string, state: State, which: readonly number[] | null = null, commit = 'c0ffee'): void {
    const found = this.deployments.get(id)!;
    found.commit = commit;
    found.replicas = found.replicas.map((replica, i) =>
      which === null || which.includes(i) ? { ...replica, state } : replica,
    );
    this.#events.changed(id);
  }

  exit(id: string, cause: string): void {
    const message = `${cause}; it is run again`;
    this.#events.happened(id, { kind: 'exited', message, cause, replica: `${id}-1`, data: { code: 1 } });
  }

  #resize(id: string, count: number): void {
    const found = this.deployments.get(id)!;
    found.replicas = found.replicas.slice(0, count);
    while (found.replicas.length < count) {
      found.replicas.push({
        id: `${id}-${found.replicas.length + 1}`,
        state: 'preparing',
        restarts: 0,
        lastExit: null,
        origin: `http://127.0.0.1:${this.#lastPort++}`,
      });
    }
  }
}

export function spec(changes: Partial<ServiceSpec> = {}): ServiceSpec {
  return {
    name: 'otter',
    endpoint: '/otter',
    environment: 'default',
    type: 'shell',
    path: 'run.sh',
    port: 8787,
    minReplicas: 1,
    maxReplicas: 1,
    git: { repository: 'file:///srv/otter', branch: 'main', commit: null, credentials: null },
    parameters: {},
    secrets: [],
    fixedPort: false,
    stripPrefix: true,
    access: { roles: [], scopes: [], clients: [] },
    public: false,
    health: null,
    ...changes,
  };
}
