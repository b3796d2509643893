import { rename, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { waited } from './realm-cycle.ts';
import { Timeline } from './timeline.ts';

/** What `/changing` is at the moment: which service answers, who may call it, and whether it is there at all. */
export const CHANGING = ['one', 'two', 'editors', 'absent'] as const;
export type Changing = (typeof CHANGING)[number];

/** How soon a changed file has to be taken or refused, in ms. */
const NOTICED_WITHIN = 10_000;

/** From the line that says so to when every worker serves by it, in ms. */
const SPREADS_WITHIN = 1_000;

export interface ReloadsOptions {
  /** A configuration with that state of the changing route. */
  readonly configOf: (changing: Changing) => object;
  /** Seconds between changes. */
  readonly every: number;
  readonly wrong: (what: string) => void;
}

/** Changes the configuration file again and again; every third time into one that must be refused. */
export class Reloads {
  readonly changing = new Timeline<Changing>(CHANGING[0]);
  applied = 0;
  refused = 0;
  readonly #options: ReloadsOptions;
  #heard: ((event: string) => void) | null = null;

  constructor(options: ReloadsOptions) {
    this.#options = options;
  }

  /** Takes the events of the gateway's log. */
  event(name: unknown): void {
    if (name === 'reloaded' || name === 'reload-refused') this.#heard?.(name);
  }

  /** Goes on until the signal. */
  async run(file: string, signal: AbortSignal): Promise<void> {
    for (let turn = 1; await waited(this.#options.every * 1000, signal); turn++) {
      if (turn % 3 === 0) await this.#invalid(file, turn);
      else await this.#valid(file);
    }
  }

  async #valid(file: string): Promise<void> {
    const next = CHANGING[(CHANGING.indexOf(this.changing.latest) + 1) % CHANGING.length]!;
    this.changing.begin(next);
    const text = JSON.stringify(this.#options.configOf(next), null, 2);
    if (!(await this.#replace(file, text, 'reloaded'))) return;
    this.applied++;
    await delay(SPREADS_WITHIN);
    this.changing.settle();
  }

  /** Faults of every sort; each file differs from the one before, or it would not count as changed. */
  async #invalid(file: string, turn: number): Promise<void> {
    const good = this.#options.configOf('absent') as Record<string, unknown>;
    const forms = [
      JSON.stringify(good).slice(0, -20 - turn),
      JSON.stringify({ ...good, [`unknown${turn}`]: true }),
      JSON.stringify({ ...good, routes: [{ name: 'x', endpoint: `/${turn}`, upstream: ['nowhere'] }] }),
      `# empty ${turn}`,
    ];
    if (await this.#replace(file, forms[turn % forms.length]!, 'reload-refused')) this.refused++;
  }

  /** Whether the gateway said what it had to. */
  async #replace(file: string, text: string, expected: string): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<string>();
    this.#heard = resolve;
    await writeFile(`${file}.new`, text);
    await rename(`${file}.new`, file);
    const timer = setTimeout(() => resolve(`nothing for ${NOTICED_WITHIN} ms`), NOTICED_WITHIN);
    const event = await promise;
    clearTimeout(timer);
    this.#heard = null;
    if (event !== expected)
      this.#options.wrong(`a changed configuration brought ${event} instead of ${expected}`);
    return event === expected;
  }
}
