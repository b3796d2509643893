import type { LocalDriverSettings } from '../../../contracts/settings.ts';
import type { GitCache } from '../../git/git-cache.ts';
import type { ControlGroups } from './control-groups.ts';
import type { Isolation } from './isolation.ts';
import type { LogStore } from './log-store.ts';
import type { Notifier } from './notifier.ts';
import type { Ports } from './ports.ts';

/** What all deployments of the driver share. */
export interface DriverContext {
  readonly settings: LocalDriverSettings;
  /** Of the system: PATH, HOME and the like, for every service. */
  readonly environment: Readonly<Record<string, string>>;
  readonly git: GitCache;
  readonly ports: Ports;
  readonly logs: LogStore;
  readonly notifier: Notifier;
  readonly system: System;
}

/** What was found out about this machine when the driver started. */
export interface System {
  /** Marks the processes of this data directory. */
  readonly instance: string;
  readonly isolation: Isolation;
  readonly groups: ControlGroups;
  /** Of the clones; each run has a folder in it. */
  readonly runs: string;
  /** Of secret files where they cannot be at their real path, in memory if there is such a file system. */
  readonly secrets: string;
  /** Folders of everything that Realmgate keeps and that no service may see but for its own run. */
  readonly hidden: readonly string[];
}
