import { monitorEventLoopDelay } from 'node:perf_hooks';
import { counter, gauge, type MetricJson, sample } from './metric-json.ts';

/** Milliseconds between two looks at the event loop: rare enough to cost nothing. */
const RESOLUTION = 50;

/** Memory, processor time and event loop lag of this process, labelled with its name. */
export class ProcessMetrics {
  readonly #name: string;
  readonly #delay = monitorEventLoopDelay({ resolution: RESOLUTION });

  constructor(name: string) {
    this.#name = name;
    this.#delay.enable();
  }

  /** The lag is the longest since the last call. */
  toJSON(): MetricJson[] {
    const labels = { process: this.#name };
    const cpu = process.cpuUsage();
    const lag = this.#delay.count === 0 ? 0 : Math.max(0, this.#delay.max / 1e9 - RESOLUTION / 1e3);
    this.#delay.reset();
    return [
      gauge('realmgate_process_resident_memory_bytes', 'Resident memory of each process.', [
        sample(process.memoryUsage.rss(), labels),
      ]),
      counter(
        'realmgate_process_cpu_seconds_total',
        'Processor time used by each process, user and system.',
        [sample((cpu.user + cpu.system) / 1e6, labels)],
      ),
      gauge(
        'realmgate_process_event_loop_lag_seconds',
        'Longest recent delay of the event loop of each process.',
        [sample(lag, labels)],
      ),
    ];
  }
}
