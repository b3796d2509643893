import { loadProgram } from '../support/load.ts';
import { newSigningKey } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';
import type { CaseContext, CaseResult } from './case.ts';
import { coldTokens } from './cold-tokens.ts';
import { measureAll, measureCold } from './rounds.ts';
import { groupsOf, rowsOf, tableOf } from './rows.ts';
import { ISSUER, withWork } from './work.ts';
import { prepareWorkloads, type WorkloadName } from './workloads.ts';

/** The contender that the others are compared with. */
const REFERENCE = 'envoy';

/** CPU time per request of every contender, all of them in turn in each round. */
export async function cpuPerRequest(name: WorkloadName, context: CaseContext): Promise<CaseResult> {
  const { workspace, options, cores, say } = context;
  const { algorithm, rounds, seconds, connections } = options;
  say('signing tokens ...');
  const cold = name === 'cold' ? await coldTokens(algorithm, ISSUER) : null;
  const key = cold?.key ?? (await newSigningKey(algorithm));
  const workloads = await prepareWorkloads(name, workspace, key, ISSUER, cold);
  const upstream = await startUpstream(workspace, cores.service);
  const tokens = Math.max(...workloads.map((workload) => workload.tokens));
  const settings = { workspace, core: cores.load, connections };
  const measurements = await withWork(context, { key, upstream: upstream.origin, tokens }, async (work) => {
    const each = { ...options, contenders: context.contenders, work, key, settings, say };
    return name === 'cold' ? measureCold(each, workloads[0]!) : measureAll(each, workloads);
  });
  const moves = new Map(workloads.map((workload) => [workload.name, workload.moves]));
  const rows = rowsOf(measurements, moves, REFERENCE);
  return {
    title: `CPU per request: ${workloads.map((workload) => workload.name).join(', ')}`,
    how:
      `One worker on one core; ${loadProgram()} and the service (${upstream.kind}) on another. ` +
      `${connections} keep-alive connections, Keycloak-sized ${algorithm} tokens; ` +
      `${rounds} rounds of ${name === 'cold' ? `${tokens} requests` : `${seconds} s`} in turn, medians.`,
    tables: [tableOf(rows, REFERENCE)],
    groups: groupsOf(rows),
    requirements: [],
    faults: rows.flatMap(({ contender, workload, faults }) =>
      faults.map((fault) => `${contender}, ${workload}: ${fault}`),
    ),
    data: { rows, measurements },
  };
}
