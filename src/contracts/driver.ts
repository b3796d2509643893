import type { Environment, GitSource, Problem, ReplicaView, ServiceSpec } from './service.ts';

/**
 * What runs services: child processes on this machine, or a cluster. It is told what shall run, keeps it running
 * (a replica that ends is run again after a growing pause), and tells what does. It decides nothing else: how many
 * replicas, which deployment gets the requests and when one has failed is up to the registry.
 */
export interface Driver {
  /** Ends what an earlier run left behind. Called before anything else; a call meanwhile or later joins it. */
  start(): Promise<void>;
  /** Begins to run a deployment. Returns at once; `DriverEvents` tell what becomes of it. */
  deploy(deployment: Deployment): void;
  /** From now on so many replicas; the surplus is stopped, youngest first. Unknown ids are ignored. */
  scale(deploymentId: string, replicas: number): void;
  /** Ends a deployment with all that it started: TERM, after 10 s KILL. Resolves once nothing of it is left. */
  remove(deploymentId: string): Promise<void>;
  /** null = there is no such deployment, or it was removed. */
  state(deploymentId: string): DeploymentState | null;
  /** A worker could not connect to this origin: looks at once whether the replica is still ready. */
  suspect(origin: string): Promise<void>;
  /** What of a source cannot work: repository, branch, commit, path, pipeline, interpreters. Changes nothing. */
  check(source: SourceCheck): Promise<readonly Problem[]>;
  /** Lines of a service's replicas, kept after it was cancelled. */
  logs(serviceId: string, query: LogQuery): AsyncIterable<string>;
  /** What the logs of a service take, in bytes. */
  logBytes(serviceId: string): Promise<number>;
  /** Forgets the logs of a service. */
  forget(serviceId: string): Promise<void>;
  /** Ends every deployment, all at once, and resolves once nothing is left. */
  close(): Promise<void>;
}

/** Told by a driver, never from within a call of `Driver`. */
export interface DriverEvents {
  /** `state(deploymentId)` is another than before. */
  changed(deploymentId: string): void;
  happened(deploymentId: string, event: DriverEvent): void;
}

export interface DriverEvent {
  /** `preparing`, `prepared`, `starting`, `ready`, `exited`, `prepare-failed`, `stopped`, `warning`. */
  readonly kind: string;
  readonly message: string;
  /** Of an end: what went wrong, without what is done about it now. */
  readonly cause?: string;
  readonly replica: string | null;
  readonly data: Readonly<Record<string, unknown>>;
}

/** One roll-out of a service: all of its replicas run the same commit with the same variables and secrets. */
export interface Deployment {
  /** Never used twice; lower-case letters, digits and `-`. */
  readonly id: string;
  readonly serviceId: string;
  readonly spec: ServiceSpec;
  readonly environment: Environment;
  /** Values of the secrets that the spec names: secret → key → value. */
  readonly secrets: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Of the secret `git.credentials`; null = none. */
  readonly credentials: Readonly<Record<string, string>> | null;
  /** To be used where the repository does not answer and the commit is still in the cache; null = none. */
  readonly lastCommit: string | null;
  readonly replicas: number;
}

export interface DeploymentState {
  /** null = not found out yet. */
  readonly resolvedCommit: string | null;
  readonly replicas: readonly DeployedReplica[];
}

export interface DeployedReplica extends ReplicaView {
  /** Such as `http://127.0.0.1:20001`; requests may go there while the state is `ready`. */
  readonly origin: string | null;
}

/** A source to look at before a service is made of it. */
export interface SourceCheck {
  readonly git: GitSource;
  readonly credentials: Readonly<Record<string, string>> | null;
  readonly type: ServiceSpec['type'];
  /** null = was wrong itself, and is not looked at. */
  readonly path: string | null;
  readonly port: number | null;
  /** The port has to be free, or in use by this service itself. */
  readonly fixedPort: boolean;
  /** Id of the service that it will be of; null = a new one. */
  readonly service: string | null;
  readonly environment: Environment;
}

export interface LogQuery {
  /** Number of last lines to begin with; null = all that is kept. */
  readonly tail: number | null;
  /** Only this replica; null = all, each line then begins with the replica's id in brackets where there are several. */
  readonly replica: string | null;
  /** Goes on with new lines until `signal` aborts, or, once `over` has, until the last line. */
  readonly follow: boolean;
  readonly signal: AbortSignal;
  /** Aborts once nothing more will be written. */
  readonly over: AbortSignal;
}
