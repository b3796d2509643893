import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeContender, type Contender, type Running, type Work } from '../contenders/contender.ts';
import { startProfiler, topFunctions, type CpuProfile } from '../support/profile.ts';
import type { SigningKey } from '../support/tokens.ts';
import type { CaseOptions } from './case.ts';
import { measure, type Measurement, type MeasureOptions } from './measure.ts';
import { startProven, withContender } from './started.ts';
import { prepareWorkloads, type Workload } from './workloads.ts';

export interface RoundOptions extends Pick<CaseOptions, 'rounds' | 'seconds' | 'warmup' | 'profile'> {
  readonly contenders: readonly Contender[];
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
  const { contenders, rounds, seconds, warmup, profile, work, key, settings, say } = options;
  const started: { contender: Contender; running: Running }[] = [];
  for (const contender of contenders) {
    say(`starting ${contender.name}: ${describeContender(contender)}`);
    started.push({ contender, running: await startProven(contender, work, key) });
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
      await withContender(contender, work, key, async (running) => {
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

function roundLine(
  round: number,
  rounds: number,
  { contender, workload, load, cpu, fault }: Measurement,
): string {
  const each = (cpu.user + cpu.system) / load.requests;
  const verdict = fault === null ? '' : `  WRONG: ${fault}`;
  return `round ${round}/${rounds}  ${contender}, ${workload}: ${each.toFixed(1)} µs, ${load.requests} requests${verdict}`;
}
