/**
 * Milliseconds from starting `serve` until it listens and until its first authenticated 200, each time with empty
 * data, the embedded realm and the example service: `node bench/start.ts [RUNS]`. Another load on the machine shows.
 */
import { firstCall, startLikeNpmStart } from './support/first-call.ts';
import { Workspace } from './support/workspace.ts';

const runs = Number(process.argv[2] ?? 5);
const listening: number[] = [];
const authenticated: number[] = [];
const workspace = new Workspace();
try {
  for (let i = 0; i < runs; i++) {
    const startedAt = performance.now();
    const realmgate = await startLikeNpmStart(workspace, `run-${i}`);
    listening.push(performance.now() - startedAt);
    await firstCall(realmgate);
    authenticated.push(performance.now() - startedAt);
    await realmgate.stop();
  }
} finally {
  await workspace.close();
}
for (const [phase, times] of Object.entries({ listening, authenticated })) {
  const sorted = times.map(Math.round).toSorted((a, b) => a - b);
  process.stdout.write(
    `${phase.padEnd(14)} median ${sorted[Math.floor(runs / 2)]} ms of ${sorted.join(', ')}\n`,
  );
}
