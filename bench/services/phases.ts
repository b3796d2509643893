import type { Losses } from './losses.ts';
import type { Attempt } from './open-loop.ts';
import { ascending, quantile } from '../support/statistics.ts';

/** A stretch of the run, in which one thing was done to the service. Times on the clock of `performance.now()`. */
export interface Phase {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  /** How long that thing took, in ms: from the order to its answer, or to its effect where nothing answers. */
  readonly took: number | null;
}

export interface PhaseSummary {
  readonly phase: string;
  readonly took: number | null;
  readonly requests: number;
  readonly failures: { readonly inFlight: number; readonly unread: number; readonly wrong: number };
  /** From when each request was due until its whole answer was there, in ms. */
  readonly latency: { readonly p50: number; readonly p99: number; readonly max: number };
  /** Longest time without a good answer, in ms. */
  readonly gap: number;
  /** Each failure that nothing excuses, in words. */
  readonly wrong: readonly string[];
}

/** The requests that were due in the phase, and the answers that came in it. */
export function summarize(phase: Phase, attempts: readonly Attempt[], losses: Losses): PhaseSummary {
  const mine = attempts.filter(({ dueAt }) => dueAt >= phase.from && dueAt < phase.to);
  const good = mine.filter(({ fault }) => fault === null);
  const failed = mine
    .filter(({ fault }) => fault !== null)
    .map((attempt) => ({ attempt, verdict: losses.verdict(attempt) }));
  const count = (verdict: string): number => failed.filter((one) => one.verdict === verdict).length;
  const latencies = ascending(good.map(({ dueAt, doneAt }) => doneAt - dueAt));
  return {
    phase: phase.name,
    took: phase.took,
    requests: mine.length,
    failures: { inFlight: count('in flight'), unread: count('unread'), wrong: count('wrong') },
    latency: {
      p50: quantile(latencies, 0.5),
      p99: quantile(latencies, 0.99),
      max: latencies.at(-1) ?? NaN,
    },
    gap: longestGap(phase, attempts),
    wrong: failed
      .filter(({ verdict }) => verdict === 'wrong')
      .map(({ attempt: { id, kind, fault, sentAt, doneAt } }) => {
        const sent = `${id} (${kind}), sent ${(sentAt - phase.from).toFixed(0)} ms into it`;
        const how = `${fault!} after ${(doneAt - sentAt).toFixed(0)} ms`;
        return `${phase.name}: ${sent}: ${how} (${losses.reasonOf(id)})`;
      }),
  };
}

function longestGap({ from, to }: Phase, attempts: readonly Attempt[]): number {
  const answers = ascending(
    attempts
      .filter(({ fault, doneAt }) => fault === null && doneAt >= from && doneAt < to)
      .map(({ doneAt }) => doneAt),
  );
  let before = from;
  let longest = 0;
  for (const at of [...answers, to]) {
    longest = Math.max(longest, at - before);
    before = at;
  }
  return longest;
}

/** From one moment on only these may answer. */
export interface Rule {
  readonly what: string;
  readonly from: number;
  readonly to: number;
  readonly holds: (attempt: Attempt) => boolean;
}

/** Requests that were sent while a rule was in force, and answered by what it forbids. */
export function broken(rules: readonly Rule[], attempts: readonly Attempt[]): string[] {
  return rules.flatMap(({ what, from, to, holds }) =>
    attempts
      .filter((attempt) => attempt.fault === null && attempt.sentAt >= from && attempt.doneAt < to)
      .filter((attempt) => !holds(attempt))
      .map(
        ({ id, sentAt, version, instance }) =>
          `${what}: ${id}, sent ${(sentAt - from).toFixed(1)} ms later, was answered by ${instance!} of version ${version!}`,
      ),
  );
}
