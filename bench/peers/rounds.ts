import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Contender, Running, Work } from '../contenders/contender.ts';
import { startProfiler, topFunctions, type CpuProfile } from '../support/profile.ts';
import type { SigningKey } from '../support/tokens.ts';
import { faultsOf } from './correctness.ts';
import { measure, withContender, type Measurement, type MeasureOptions } from './measure.ts';
import { prepareWorkloads, type Workload } from './workloads.ts';

export interface RoundOptions {
  readonly contenders: readonly Contender[];
  readonly rounds: number;
  /** Of each measurement. */
  readonly seconds: number;
  /** Seconds before the first one. */
  readonly warmup: number;
  /** Profile the worker of the only contender, during the measurements alone. */
  readonly profile: boolean;
  readonly work: Work;
  readonly key: SigningKey;
  readonly settings: Omit<MeasureOptions, 'seconds'>;
  /** Takes lines about the progress. */
  readonly say: (line: string) => void;
}

/** All contenders run; one of them at a time has work. */
export async function measureAll(
  options: RoundOptions,
  workloads: readonly Workload[],
): Promise<Measurement[]> {
  const { contenders, rounds, seconds, warmup, profile, work, settings, say } = options;
  const started: { contender: Contender; running: Running }[] = [];
  for (const contender of contenders) {
    say(`starting ${contender.name}: ${describeContender(contender)}`);
    const running = await contender.start(work);
    await proveCorrect(contender, running, options);
    started.push({ contender, running });
  }
  const cells = started.flatMap((pair) => workloads.map((workload) => ({ ...pair, workload })));
  if (warmup > 0) {
    say(`warming up: ${cells.length} times ${warmup} s`);
    for (const { contender, running, workload } of cells) {
      await measure(contender, running, workload, { ...settings, seconds: warmup });
    }
  }
  const stopProfiler = profile ? await startProfiler(...profiled(started[0]!.running)) : null;
  const measurements: Measurement[] = [];
  for (let round = 1; round <= rounds; round++) {
    for (const { contender, running, workload } of cells) {
      const measurement = await measure(contender, running, workload, { ...settings, seconds });
      measurements.push(measurement);
      say(roundLine(round, rounds, measurement));
    }
  }
  if (stopProfiler !== null) await showProfile(await stopProfiler(), say);
  for (const { running } of started) await running.stop();
  return measurements;
}

/** Every round begins with an empty cache: the contender is started anew and warmed up with tokens of its own. */
export async function measureCold(options: RoundOptions, workload: Workload): Promise<Measurement[]> {
  const { contenders, rounds, seconds, warmup, profile, work, key, settings, say } = options;
  const [known, ...hostile] = await prepareWorkloads('hostile', work.workspace, key, work.issuer, null);
  const forged = hostile.find(({ name }) => name === 'forged');
  const measurements: Measurement[] = [];
  for (let round = 1; round <= rounds; round++) {
    for (const contender of contenders) {
      await withContender(contender, work, async (running) => {
        await proveCorrect(contender, running, options);
        if (warmup > 0) {
          await measure(contender, running, known!, { ...settings, seconds: warmup });
          // Forged tokens go the way of new ones up to the signature, and leave nothing in a cache.
          await measure(contender, running, forged!, { ...settings, seconds: warmup });
        }
        const stopProfiler = profile ? await startProfiler(...profiled(running)) : null;
        const measurement = await measure(contender, running, workload, { ...settings, seconds });
        if (stopProfiler !== null) await showProfile(await stopProfiler(), say);
        measurements.push(measurement);
        say(roundLine(round, rounds, measurement));
      });
    }
  }
  return measurements;
}

async function proveCorrect(
  contender: Contender,
  { port }: Running,
  { key, work }: RoundOptions,
): Promise<void> {
  const faults = await faultsOf(port, contender.checksTokens, key, work.issuer);
  if (faults.length > 0) throw new Error(`${contender.name} answers wrongly: ${faults.join('; ')}`);
}

function profiled({ workers, inspectorPort }: Running): [pid: number, port: number] {
  if (inspectorPort === null || workers[0] === undefined) throw new TypeError('nothing to profile');
  return [workers[0], inspectorPort];
}

async function showProfile(profile: CpuProfile, say: (line: string) => void): Promise<void> {
  const file = join(await mkdtemp(join(tmpdir(), 'realmgate-profile-')), 'worker.cpuprofile');
  await writeFile(file, JSON.stringify(profile));
  process.stdout.write('\n  self  function\n');
  for (const { name, place, share } of topFunctions(profile, 40)) {
    process.stdout.write(
      `${(share * 100).toFixed(1).padStart(5)} %  ${name}${place === '' ? '' : `  ${place}`}\n`,
    );
  }
  say(`profile: ${file}`);
}

/** What it is, with the installed version. */
export function describeContender({ description, find }: Contender): string {
  const found = find();
  return 'version' in found ? `${description}, ${found.version}` : description;
}

function roundLine(
  round: number,
  rounds: number,
  { contender, workload, load, cpu, fault }: Measurement,
): string {
  const each = (cpu.user + cpu.system) / load.requests;
  const verdict = fault === null ? '' : `  WRONG: ${fault}`;
  return `round ${round}/${rounds}  ${contender}, ${workload}: ${each.toFixed(1)} µs, ${load.requests} requests${verdict}`;
}
