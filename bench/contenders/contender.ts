import type { JWK } from 'jose';
import type { Algorithm } from '../support/tokens.ts';
import type { Workspace } from '../support/workspace.ts';

/** What every contender has to do: forward what begins with `/api` to `upstream`, for holders of a good token only. */
export interface Work {
  readonly workspace: Workspace;
  /** The only core that it may use. */
  readonly core: number | null;
  /** `http://127.0.0.1:PORT`. */
  readonly upstream: string;
  readonly issuer: string;
  /** Where the realm publishes its keys. */
  readonly realmUrl: string;
  readonly jwk: JWK;
  /** The same key in PEM. */
  readonly pem: string;
  /** How many tokens a cache has to hold. */
  readonly tokens: number;
  /** Its worker is going to be looked at with the inspector, on the port that it answers as `inspectorPort`. */
  readonly inspect: boolean;
}

/** A contender that accepts connections. */
export interface Running {
  readonly port: number;
  /** The processes that do the work: one worker, with all of its threads. */
  readonly workers: readonly number[];
  /** Processes beside them, such as a primary that does not see requests. */
  readonly others: readonly number[];
  /** Where SIGUSR1 to the worker makes it answer the inspector; null = it is no Node, or was not asked to. */
  readonly inspectorPort: number | null;
  /** Where Realmgate tells its metrics. */
  readonly adminUrl?: string;
  stop(): Promise<void>;
}

/** A gateway to be measured. It is given one core and one worker, unless its description says more; its cache, where it has one, holds every token. */
export interface Contender {
  /** As in `--only`. */
  readonly name: string;
  readonly description: string;
  /** Whether it refuses requests without a good token; else it only shows what forwarding alone costs. */
  readonly checksTokens: boolean;
  readonly algorithms: readonly Algorithm[];
  /** What is installed, or what is missing and how to get it. */
  readonly find: () => Found;
  /** Resolves once it accepts connections. */
  readonly start: (work: Work) => Promise<Running>;
}

export type Found = { readonly version: string } | { readonly missing: string };

/** What it is, with the installed version. */
export function describeContender({ description, find }: Contender): string {
  const found = find();
  return 'version' in found ? `${description}, ${found.version}` : description;
}
