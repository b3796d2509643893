import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../test/support/free-port.ts';
import { newSigningKey, type SigningKey } from '../support/tokens.ts';
import { untilAccepting, type Program, type Workspace } from '../support/workspace.ts';
import type { ServedKeys } from './realm-process.ts';
import { Timeline } from './timeline.ts';

/** A key of the realm, and whether its tokens have to be accepted. */
export interface RealmKey {
  readonly key: SigningKey;
  readonly good: Timeline<boolean>;
}

/** Keys that are published at a time: the newest, and the one before it for tokens that are still around. */
const PUBLISHED = 2;

/** From the moment that new keys were sent to when every worker has to know them, in ms. */
const SPREADS_WITHIN = 2_000;

/** How soon a realm that is back has to be asked for its keys, in ms. With the soak's settings: every 4 s. */
const ASKED_WITHIN = 10_000;

export interface RealmCycleOptions {
  readonly workspace: Workspace;
  readonly issuer: string;
  /** Seconds that it is up, and then down. */
  readonly every: number;
  /** Something was not as it has to be. */
  readonly wrong: (what: string) => void;
}

/** A realm that goes down and comes up again, two times out of three with a new key and without its oldest. */
export class RealmCycle {
  readonly keys: RealmKey[] = [];
  starts = 0;
  rotations = 0;
  readonly #options: RealmCycleOptions;
  readonly #file: string;
  #port = 0;
  #program: Program | null = null;
  #asked = false;

  constructor(options: RealmCycleOptions) {
    this.#options = options;
    this.#file = join(options.workspace.folder, 'realm-keys.json');
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/auth/realms/bench`;
  }

  /** Good ones only; there is always one. */
  get goodKeys(): RealmKey[] {
    return this.keys.filter(({ good }) => good.right.every(Boolean));
  }

  /** The realm is up with its first key. */
  async start(): Promise<void> {
    this.#port = await freePort();
    this.keys.push({ key: await newSigningKey('RS256'), good: new Timeline(true) });
    await this.#publish();
    await this.#up();
  }

  /** Goes on until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    const { every, wrong } = this.#options;
    const half = every * 500;
    while (await waited(half, signal)) {
      await this.#program?.stop();
      this.#program = null;
      if (!(await waited(half, signal))) return;
      // Not before the newest key is known everywhere: some token has to be good at any time.
      if (this.starts % 3 !== 0 && this.goodKeys.includes(this.keys.at(-1)!)) await this.#rotate();
      await this.#up();
      if (half < ASKED_WITHIN) continue;
      if (await waited(ASKED_WITHIN, signal)) {
        if (!this.#asked)
          wrong(`the realm was up again for ${ASKED_WITHIN} ms, and nobody asked for its keys`);
      }
    }
  }

  async #up(): Promise<void> {
    const { workspace, issuer } = this.#options;
    const script = fileURLToPath(new URL('realm-process.ts', import.meta.url));
    const args = [script, String(this.#port), issuer, this.#file];
    this.#asked = false;
    const program = await workspace.start(process.execPath, args, { ipc: true });
    program.child.on('message', ({ kids }: ServedKeys) => void this.#served(program, kids));
    await untilAccepting(this.#port, program);
    this.#program = program;
    this.starts++;
  }

  async #rotate(): Promise<void> {
    this.keys.push({ key: await newSigningKey('RS256'), good: new Timeline(false) });
    this.keys.at(-1)!.good.begin(true);
    for (const { good } of this.keys.slice(0, -PUBLISHED)) if (good.latest) good.begin(false);
    await this.#publish();
    this.rotations++;
  }

  /** In one step, so that nobody reads half of it. */
  async #publish(): Promise<void> {
    const published = this.keys.slice(-PUBLISHED).map(({ key }) => key.jwk);
    await writeFile(`${this.#file}.new`, JSON.stringify(published));
    await rename(`${this.#file}.new`, this.#file);
  }

  /** Whoever asked knows these keys soon, and no others, unless the realm ended while it answered. */
  async #served(program: Program, kids: readonly (string | undefined)[]): Promise<void> {
    this.#asked = true;
    await delay(SPREADS_WITHIN, undefined, { ref: false });
    if (!program.running) return;
    for (const { key, good } of this.keys) {
      if (good.latest === kids.includes(key.kid)) good.settle();
    }
  }
}

/** False = the signal came first. */
export async function waited(milliseconds: number, signal: AbortSignal): Promise<boolean> {
  try {
    await delay(milliseconds, undefined, { signal });
    return true;
  } catch {
    return false;
  }
}
