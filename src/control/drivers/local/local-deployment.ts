import type { Deployment, DeploymentState, DriverEvent } from '../../../contracts/driver.ts';
import type { DriverContext } from './context.ts';
import { Replica, type ReplicaOwner } from './replica.ts';

/** Keys of a secret for git whose values are known to everybody. */
const PUBLIC_KEYS: ReadonlySet<string> = new Set(['username', 'known-hosts']);

/** One deployment with its replicas. */
export class LocalDeployment implements ReplicaOwner {
  readonly context: DriverContext;
  readonly deployment: Deployment;
  readonly secrets: readonly string[];
  readonly #removed = new AbortController();
  readonly #replicas = new Set<Replica>();
  #commit: string | null = null;
  #fetching: Promise<string> | null = null;

  constructor(deployment: Deployment, context: DriverContext) {
    this.deployment = deployment;
    this.context = context;
    this.secrets = secretValues(deployment);
    const { fixedPort, port } = deployment.spec;
    if (fixedPort) context.ports.reserve(port);
    this.scale(deployment.replicas);
  }

  get state(): DeploymentState {
    const replicas = [...this.#replicas];
    // Those that stay come first, in the order of their age.
    const ordered = [...replicas.filter((one) => !one.stopping), ...replicas.filter((one) => one.stopping)];
    return { resolvedCommit: this.#commit, replicas: ordered.map(({ view }) => view) };
  }

  scale(wanted: number): void {
    if (this.#removed.signal.aborted) return;
    const staying = [...this.#replicas].filter((replica) => !replica.stopping);
    for (const surplus of staying.slice(wanted)) surplus.stop();
    for (let missing = wanted - staying.length; missing > 0; missing--) this.#add();
  }

  /** Resolves once nothing of it is left. */
  async remove(): Promise<void> {
    const first = !this.#removed.signal.aborted;
    this.#removed.abort(new Error('The deployment was removed'));
    for (const replica of this.#replicas) replica.stop();
    await Promise.all([...this.#replicas].map((replica) => replica.ended));
    const { fixedPort, port } = this.deployment.spec;
    if (fixedPort && first) this.context.ports.unreserve(port);
  }

  async suspect(origin: string): Promise<void> {
    for (const replica of this.#replicas) if (replica.view.origin === origin) await replica.suspect();
  }

  /** Found out once: every replica and every run has the same. */
  commit(): Promise<string> {
    if (this.#commit !== null) return Promise.resolve(this.#commit);
    this.#fetching ??= this.#fetch().finally(() => (this.#fetching = null));
    return this.#fetching;
  }

  changed(): void {
    this.context.notifier.changed(this.deployment.id);
  }

  happened(event: DriverEvent): void {
    this.context.notifier.happened(this.deployment.id, event);
  }

  async #fetch(): Promise<string> {
    const { spec, credentials, lastCommit } = this.deployment;
    const { signal } = this.#removed;
    const { commit, offline } = await this.context.git.fetch(spec.git, credentials, { signal, lastCommit });
    this.#commit = commit;
    this.changed();
    if (offline) {
      const message = `The repository does not answer; commit ${commit}, which ran last, is used`;
      this.happened({ kind: 'warning', message, replica: null, data: { commit } });
    }
    return commit;
  }

  /** Its number is the lowest that is free: a replica that comes back goes on with the log that it had. */
  #add(): void {
    const taken = new Set([...this.#replicas].map(({ number }) => number));
    let number = 1;
    while (taken.has(number)) number++;
    const replica = new Replica(number, this);
    this.#replicas.add(replica);
    void replica.ended.then(() => {
      this.#replicas.delete(replica);
      this.changed();
    });
    this.changed();
  }
}

function secretValues({ secrets, credentials }: Deployment): string[] {
  const ofGit = Object.entries(credentials ?? {}).filter(([key]) => !PUBLIC_KEYS.has(key));
  return [
    ...Object.values(secrets).flatMap((keys) => Object.values(keys)),
    ...ofGit.map(([, value]) => value),
  ];
}
