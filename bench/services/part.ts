import type { Requirement } from '../support/requirement.ts';
import type { Workspace } from '../support/workspace.ts';

/** What one part of the bench found. */
export interface PartResult {
  readonly title: string;
  /** For people: tables and lines. */
  readonly text: readonly string[];
  readonly requirements: readonly Requirement[];
  /** For programs: everything that the text says, and what it leaves out. */
  readonly figures: object;
}

export interface PartContext {
  readonly workspace: Workspace;
  /** Takes lines about the progress. */
  readonly say: (line: string) => void;
}
