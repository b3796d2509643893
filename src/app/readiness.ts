import type { RealmStatus } from '../realm/realm-keeper.ts';

/** What decides whether requests should be sent here. */
export interface Condition {
  readonly workers: { readonly up: number; readonly wanted: number };
  readonly realms: readonly RealmStatus[];
  readonly stopping: boolean;
}

/** Whether requests should be sent here, and why not. */
export function readiness({ workers: { up, wanted }, realms, stopping }: Condition): {
  ok: boolean;
  problems: string[];
} {
  const problems: string[] = [];
  if (stopping) problems.push('the gateway is shutting down');
  else if (wanted === 0 || up < wanted) problems.push(`${up} of ${wanted} workers accept connections`);
  for (const { name, keys } of realms) {
    if (keys.length === 0) problems.push(`the realm ${name} has no usable keys yet`);
  }
  return { ok: problems.length === 0, problems };
}
