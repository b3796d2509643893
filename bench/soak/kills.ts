import { setImmediate } from 'node:timers/promises';
import { clientPortsOf } from '../support/proc.ts';
import type { Realmgate } from '../support/realmgate.ts';
import type { Losses } from './losses.ts';
import { waited } from './realm-cycle.ts';

/** How soon a killed worker has to be replaced, in ms. */
const REPLACED_WITHIN = 10_000;

export interface KillsOptions {
  readonly realmgate: Realmgate;
  /** How many there have to be. */
  readonly workers: number;
  /** Seconds between kills. */
  readonly every: number;
  readonly losses: Losses;
  readonly wrong: (what: string) => void;
}

/** Kills a random worker again and again, without warning. */
export class Kills {
  count = 0;
  readonly #options: KillsOptions;

  constructor(options: KillsOptions) {
    this.#options = options;
  }

  /** Goes on until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    const { realmgate, workers, every, wrong } = this.#options;
    while (await waited(every * 1000, signal)) {
      const alive = realmgate.workers();
      const victim = alive[Math.floor(Math.random() * alive.length)];
      if (victim === undefined) {
        wrong('there is no worker');
        continue;
      }
      await this.#kill(victim);
      const deadline = performance.now() + REPLACED_WITHIN;
      while (realmgate.workers().filter((pid) => pid !== victim).length < workers) {
        if (performance.now() > deadline) {
          wrong(`a killed worker was not replaced within ${REPLACED_WITHIN} ms`);
          break;
        }
        if (!(await waited(100, signal))) return;
      }
    }
  }

  /**
   * Looking takes a while. What came meanwhile is dealt with before the kill, or more would be sent to the worker
   * after it than were under way.
   */
  async #kill(victim: number): Promise<void> {
    const { realmgate, losses } = this.#options;
    const ports = clientPortsOf(victim, Number(new URL(realmgate.gatewayUrl).port));
    await setImmediate();
    await setImmediate();
    losses.killing(ports);
    process.kill(victim, 'SIGKILL');
    this.count++;
  }
}
