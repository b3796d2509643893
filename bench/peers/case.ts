import type { Contender } from '../contenders/contender.ts';
import type { Cores } from '../support/cores.ts';
import type { Requirement } from '../support/requirement.ts';
import type { Algorithm } from '../support/tokens.ts';
import type { Workspace } from '../support/workspace.ts';

/** What the user may choose for every case. */
export interface CaseOptions {
  readonly rounds: number;
  /** Of each measurement. */
  readonly seconds: number;
  /** Seconds before the first one. */
  readonly warmup: number;
  /** Keep-alive connections of the load. */
  readonly connections: number;
  readonly algorithm: Algorithm;
  /** Profile the worker of the only contender, during the measurements alone. */
  readonly profile: boolean;
}

export interface CaseContext {
  readonly workspace: Workspace;
  readonly contenders: readonly Contender[];
  readonly options: CaseOptions;
  readonly cores: Cores;
  /** Takes lines about the progress. */
  readonly say: (line: string) => void;
}

/** Figures of one kind, one for each contender. The smaller one is the better one. */
export interface FigureGroup {
  readonly title: string;
  readonly unit: string;
  /** Behind the decimal point. */
  readonly digits: number;
  readonly figures: readonly { readonly contender: string; readonly value: number }[];
}

/** What one run of a case found. */
export interface CaseResult {
  readonly title: string;
  /** How it was measured, in a sentence or two. */
  readonly how: string;
  /** In Markdown. */
  readonly tables: readonly string[];
  readonly groups: readonly FigureGroup[];
  readonly requirements: readonly Requirement[];
  /** What was not as it has to be, so that the figures mean nothing. */
  readonly faults: readonly string[];
  /** For programs: what the tables leave out. */
  readonly data: object;
}

export interface Case {
  /** As in `--case`. */
  readonly name: string;
  readonly help: string;
  /** Names of the contenders that can take part. */
  readonly contenders: readonly string[];
  /** Only those that check tokens take part. */
  readonly checksTokens: boolean;
  readonly run: (context: CaseContext) => Promise<CaseResult>;
}
