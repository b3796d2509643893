import { cpus, loadavg, release } from 'node:os';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly kernel: string;
  readonly node: string;
  /** Of the minute before the run. */
  readonly loadAverage: number;
}

export function thisMachine(): Machine {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    kernel: /^[\d.]+/.exec(release())?.[0] ?? release(),
    node: process.versions.node,
    loadAverage: loadavg()[0]!,
  };
}
