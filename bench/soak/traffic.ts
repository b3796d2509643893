import { randomBytes, randomInt } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { checkBytes } from './checks.ts';
import { Broken, type EchoSocket } from './exchange.ts';
import { KINDS, type Kind, type KindContext } from './kinds.ts';
import type { Losses } from './losses.ts';
import { waited } from './realm-cycle.ts';

/** How the exchanges of one kind went. */
export interface KindCount {
  sent: number;
  /** Answered exactly as they have to be. */
  right: number;
  /** Under way on a worker that was killed. */
  lost: number;
  wrong: number;
}

export interface TrafficOptions {
  readonly context: KindContext;
  readonly losses: Losses;
  /** Exchanges begun per second. */
  readonly rate: number;
  /** Exchanges at a time. */
  readonly lanes: number;
  /** WebSockets that stay open as long as they can. */
  readonly longSockets: number;
  readonly wrong: (what: string) => void;
}

/** The long-lived WebSockets among the kinds. */
const LONG = 'long WebSocket message';

const TOTAL_WEIGHT = KINDS.reduce((sum, { weight }) => sum + weight, 0);

/** Constant load of every kind at a time, each answer checked. */
export class Traffic {
  readonly counts = new Map<string, KindCount>();
  readonly #options: TrafficOptions;
  #nextAt = 0;

  constructor(options: TrafficOptions) {
    this.#options = options;
    for (const name of [...KINDS.map((kind) => kind.name), LONG]) {
      this.counts.set(name, { sent: 0, right: 0, lost: 0, wrong: 0 });
    }
  }

  /** Goes on until the signal, then finishes what is under way. */
  async run(signal: AbortSignal): Promise<void> {
    const { lanes, longSockets } = this.#options;
    this.#nextAt = performance.now();
    await Promise.all([
      ...Array.from({ length: lanes }, () => this.#lane(signal)),
      ...Array.from({ length: longSockets }, () => this.#longSocket(signal)),
    ]);
  }

  async #lane(signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.#turn();
      if (signal.aborted) return;
      const kind = pick();
      await this.#count(kind.name, () => kind.run(this.#options.context));
    }
  }

  /** The moment of the next exchange. What could not be begun in time is left out, not caught up with. */
  async #turn(): Promise<void> {
    const now = performance.now();
    this.#nextAt = Math.max(this.#nextAt + 1000 / this.#options.rate, now - 100);
    if (this.#nextAt > now) await delay(this.#nextAt - now);
  }

  /** A message each second; a new connection only where the old one was lost with its worker. */
  async #longSocket(signal: AbortSignal): Promise<void> {
    const { context } = this.#options;
    let socket: EchoSocket | null = null;
    while (await waited(1000, signal)) {
      const done = await this.#count(LONG, async () => {
        socket ??= await context.client.open('/open/socket', (await context.identities.good()).token);
        const message = randomBytes(1 + randomInt(1000));
        checkBytes(await socket.echo(message), message, LONG);
      });
      if (!done) socket = null;
    }
    (socket as EchoSocket | null)?.close();
  }

  /** Whether it went as it has to. */
  async #count(name: string, exchange: () => Promise<void>): Promise<boolean> {
    const count = this.counts.get(name)!;
    count.sent++;
    try {
      await exchange();
      count.right++;
      return true;
    } catch (error) {
      if (error instanceof Broken && this.#options.losses.excuses(error.breakage)) count.lost++;
      else {
        count.wrong++;
        this.#options.wrong(`${name}: ${describe(error)}`);
      }
      return false;
    }
  }
}

function pick(): Kind {
  let rest = Math.random() * TOTAL_WEIGHT;
  return KINDS.find(({ weight }) => (rest -= weight) < 0) ?? KINDS[0]!;
}

function describe(error: unknown): string {
  if (error instanceof Broken) {
    const { localPort, connectedAt, startedAt, brokeAt } = error.breakage;
    const ages = `${(brokeAt - startedAt).toFixed(0)} ms, ${(brokeAt - connectedAt).toFixed(0)} ms after it was connected`;
    return `${error.message} after ${ages}, from port ${localPort ?? 'none'}`;
  }
  return error instanceof Error ? error.message : String(error);
}
