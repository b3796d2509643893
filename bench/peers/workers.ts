import { setTimeout as delay } from 'node:timers/promises';
import type { Contender, Running } from '../contenders/contender.ts';
import { CORES } from '../support/cores.ts';
import { markdownTable } from '../support/markdown-table.ts';
import { clientPortsOf, cpuTime } from '../support/proc.ts';
import { median } from '../support/statistics.ts';
import { newSigningKey } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';
import type { CaseContext, CaseResult } from './case.ts';
import { measure, type Measurement } from './measure.ts';
import { startProven } from './started.ts';
import { ISSUER, withWork } from './work.ts';
import { prepareWorkloads, type Workload } from './workloads.ts';

interface Shared {
  readonly measurement: Measurement;
  /** Of each worker: connections in the middle of the round, and its part of their CPU. */
  readonly connections: readonly number[];
  readonly shares: readonly number[];
}

/** What a second worker costs and brings, and how the connections are spread over the two. */
export async function oneAndTwoWorkers(context: CaseContext): Promise<CaseResult> {
  const { workspace, cores, options, contenders, say } = context;
  const key = await newSigningKey(options.algorithm);
  const [known] = await prepareWorkloads('known', workspace, key, ISSUER, null);
  const upstream = await startUpstream(workspace, cores.service);
  const all: Shared[] = [];
  await withWork(context, { key, upstream: upstream.origin, tokens: known!.tokens }, async (work) => {
    const started: { contender: Contender; running: Running }[] = [];
    for (const contender of contenders) {
      started.push({ contender, running: await startProven(contender, work, key) });
    }
    for (let round = 0; round <= options.rounds; round++) {
      for (const { contender, running } of started) {
        // The first round warms up.
        const seconds = round === 0 ? options.warmup : options.seconds;
        if (seconds === 0) continue;
        const shared = await sharedOut(context, contender, running, known!, seconds);
        if (round === 0) continue;
        all.push(shared);
        say(
          `round ${round}/${options.rounds}  ${contender.name}: connections ${shared.connections.join(' + ')}`,
        );
      }
    }
    for (const { running } of started) await running.stop();
  });
  const cpu = (name: string): number =>
    median(
      of(all, name).map(
        ({
          measurement: {
            cpu: { user, system },
            load,
          },
        }) => (user + system) / load.requests,
      ),
    );
  const reference = cpu(contenders[0]!.name);
  return {
    title: 'One worker and two',
    how:
      `Known ${options.algorithm} tokens, ${options.connections} connections, ${options.rounds} rounds of ` +
      `${options.seconds} s in turn, medians. ` +
      (CORES < 4
        ? 'On this machine the second worker shares its core with the load and the service: its CPU per request ' +
          'counts, the requests per second do not show what two cores bring.'
        : 'Each worker has a core of its own.'),
    tables: [
      markdownTable(
        ['contender', 'CPU µs/request', 'to one worker', 'requests/s', 'connections of each', 'CPU of each'],
        contenders.map(({ name }) => [
          ...[name, cpu(name).toFixed(1), (cpu(name) / reference).toFixed(2)],
          median(of(all, name).map(({ measurement: { load } }) => load.requests / load.seconds)).toFixed(0),
          of(all, name)
            .map(({ connections }) => connections.join(' + '))
            .join(', '),
          of(all, name)
            .map(({ shares }) => shares.map((share) => `${(share * 100).toFixed(0)} %`).join(' + '))
            .join(', '),
        ]),
        1,
      ),
    ],
    groups: [
      {
        ...{ title: 'known tokens', unit: 'µs of CPU per request', digits: 1 },
        figures: contenders.map(({ name }) => ({ contender: name, value: cpu(name) })),
      },
    ],
    requirements: [],
    faults: all.flatMap(({ measurement: { contender, fault } }) =>
      fault === null ? [] : [`${contender}: ${fault}`],
    ),
    data: { all },
  };
}

function of(all: readonly Shared[], name: string): readonly Shared[] {
  return all.filter(({ measurement }) => measurement.contender === name);
}

async function sharedOut(
  { workspace, cores, options }: CaseContext,
  contender: Contender,
  running: Running,
  workload: Workload,
  seconds: number,
): Promise<Shared> {
  const used = (): number[] =>
    running.workers.map((pid) => {
      const { user, system } = cpuTime([pid]);
      return user + system;
    });
  const before = used();
  const { connections } = options;
  const settings = { workspace, core: cores.load, connections, seconds };
  const measuring = measure(contender, running, workload, settings);
  await delay((seconds * 1000) / 2);
  const spread = running.workers.map((pid) => clientPortsOf(pid, running.port).size);
  const measurement = await measuring;
  const parts = used().map((time, i) => time - before[i]!);
  const sum = parts.reduce((a, b) => a + b, 0);
  return { measurement, connections: spread, shares: parts.map((part) => part / sum) };
}
