import type { Route } from './settings.ts';

/** What somebody asked to run, with every default filled in. Data only: it is stored, exported and compared as JSON. */
export interface ServiceSpec {
  /** A DNS label, unique among current services. */
  readonly name: string;
  /** Canonical path prefix, unique among current services and static routes. */
  readonly endpoint: string;
  /** Name of an environment configuration. */
  readonly environment: string;
  /** `shell` runs one script, `pipeline` the tasks of a YAML file. */
  readonly type: 'shell' | 'pipeline';
  /** Of the script or the pipeline, relative to the root of the clone. */
  readonly path: string;
  readonly port: number;
  readonly minReplicas: number;
  readonly maxReplicas: number;
  readonly git: GitSource;
  /** By the name that the user chose, such as `model-name`. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Names of secrets. */
  readonly secrets: readonly string[];
  /** One replica, always on the configured port, stopped before its successor starts. */
  readonly fixedPort: boolean;
  readonly stripPrefix: boolean;
  readonly access: Route['access'];
  readonly public: boolean;
  /** Readiness: null = the port accepts; otherwise `GET path` there answers 200 to 399 as well. */
  readonly health: { readonly path: string } | null;
}

export interface GitSource {
  /** `https://`, `ssh://`, `user@host:path` or `file:///`, never with a password in it. */
  readonly repository: string;
  /** null = the repository's default branch. */
  readonly branch: string | null;
  /** Full or abbreviated object name; null = the head of the branch. */
  readonly commit: string | null;
  /** Name of a secret; null = none. */
  readonly credentials: string | null;
}

export type ServiceStatus = 'pending' | 'starting' | 'running' | 'degraded' | 'failed' | 'cancelled';

/** A service as the API shows it. */
export interface ServiceView extends ServiceSpec {
  readonly id: string;
  readonly status: ServiceStatus;
  /** Where clients call it, such as `http://127.0.0.1:8080/hello`. */
  readonly url: string;
  /** Where the cluster (or this machine) reaches it; null while nothing of it is ready. */
  readonly clusterUrl: string | null;
  /** The commit that runs, or ran last; null = none was found yet. */
  readonly resolvedCommit: string | null;
  /** Number of the revision that is in force, from 1 on. */
  readonly revision: number;
  readonly replicas: readonly ReplicaView[];
  /** ISO 8601, as every time below. */
  readonly createdAt: string;
  /** Username, or subject, of who created it. */
  readonly createdBy: string;
  /** Id of the service that it was cloned from. */
  readonly clonedFrom: string | null;
  readonly cancelledAt: string | null;
}

/**
 * `preparing`: its clone and files are made. `starting`: it runs, and is not ready. `ready`: it may get requests.
 * `waiting`: it ended, and is run again after a pause. `stopping`: it was told to end.
 */
export type ReplicaState = 'preparing' | 'starting' | 'ready' | 'waiting' | 'stopping';

export interface ReplicaView {
  readonly id: string;
  readonly state: ReplicaState;
  /** How often it was run again. */
  readonly restarts: number;
  readonly lastExit: ReplicaExit | null;
}

export interface ReplicaExit {
  /** null = a signal ended it. */
  readonly code: number | null;
  readonly signal: string | null;
  readonly at: string;
  /** What made it end where that was not the program itself: `killed`, `out of memory`, `preparation failed: ...`. */
  readonly reason: string | null;
}

/** Something that happened to a service, for people who ask why. */
export interface ServiceEvent {
  readonly at: string;
  /** Such as `created`, `starting`, `ready`, `exited`, `update-failed`; a word that programs may compare. */
  readonly kind: string;
  /** One or more sentences. */
  readonly message: string;
  /** Replica that it is about, or null. */
  readonly replica: string | null;
  /** Exit code, commit, last lines, next retry and the like. */
  readonly data: Readonly<Record<string, unknown>>;
}

/** What a service was at one time. A new one is made by every update and rollback. */
export interface ServiceRevision {
  readonly revision: number;
  readonly createdAt: string;
  readonly createdBy: string;
  /** `create`, `clone`, `update`, `rollback to N`. */
  readonly reason: string;
  /** `active`: in force. `pending`: being rolled out. `superseded`: was in force. `failed`: never became ready. */
  readonly state: 'active' | 'pending' | 'superseded' | 'failed';
  /** Why it failed, or null. */
  readonly failure: string | null;
  readonly resolvedCommit: string | null;
  readonly spec: ServiceSpec;
}

/** Where services run: variables, interpreters and limits that several services share. */
export interface Environment {
  readonly name: string;
  readonly variables: Readonly<Record<string, string>>;
  /** Commands or absolute paths; null = the one of PATH. */
  readonly interpreters: {
    readonly bash: string | null;
    readonly python: string | null;
    readonly node: string | null;
  };
  /** `cpu`: cores (`2`, `0.5`, `500m`); `memory`: bytes (`512Mi`, `1Gi`); null = unlimited. Kubernetes quantities. */
  readonly resources: { readonly cpu: string | null; readonly memory: string | null };
  /** Container image; Kubernetes only. */
  readonly image: string | null;
  /** nodeSelector, tolerations, gpu, volumes; Kubernetes only, passed on as it is. */
  readonly kubernetes: Readonly<Record<string, unknown>>;
}

/** A secret without its values, which never come out. */
export interface SecretView {
  readonly name: string;
  readonly keys: readonly string[];
  readonly updatedAt: string;
  readonly updatedBy: string;
}

/** Who did what; written in the same transaction as the change itself. */
export interface AuditEntry {
  readonly at: string;
  readonly actor: string;
  /** Such as `service.create`, `service.cancel`, `secret.put`, `environment.delete`. */
  readonly action: string;
  /** Name or id of what it was done to. */
  readonly target: string;
  /** What changed: field → [before, after]; of a secret its keys only. */
  readonly difference: Readonly<Record<string, readonly [unknown, unknown]>>;
}

/** One wrong field of a request: a path such as `git.branch`, and what would be right. */
export interface Problem {
  readonly field: string;
  readonly message: string;
}
