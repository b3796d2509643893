import type { DataPlane } from './traffic.ts';

/** How often the load is looked at, in ms. */
const LOOK_EVERY = 1_000;

/** Something whose replicas follow its load. */
export interface Scalable {
  /** Name of its route. */
  readonly name: string;
  readonly minReplicas: number;
  readonly maxReplicas: number;
  readonly wanted: number;
  /** Addresses whose requests count. */
  readonly origins: readonly string[];
  scaleTo(replicas: number): void;
}

export interface ScaleSettings {
  /** Outstanding requests per replica. */
  readonly target: number;
  /** Milliseconds, both. */
  readonly window: number;
  readonly idle: number;
}

interface Memory {
  /** What was needed lately, oldest first, only as far as it can still matter. */
  readonly needed: { readonly at: number; readonly replicas: number }[];
  started: number;
  busyAt: number;
}

/**
 * Replicas by outstanding requests: more at once, fewer when less was enough for the whole window, none when there was
 * no request for the idle time and none is the minimum. Looks only while some service has a choice.
 */
export class Autoscaler {
  readonly #plane: Pick<DataPlane, 'load' | 'waiting'>;
  readonly #scalables: () => readonly Scalable[];
  readonly #settings: () => ScaleSettings;
  readonly #memories = new Map<string, Memory>();
  readonly #timer: NodeJS.Timeout;
  #looking = false;

  constructor(
    plane: Pick<DataPlane, 'load' | 'waiting'>,
    scalables: () => readonly Scalable[],
    settings: () => ScaleSettings,
  ) {
    this.#plane = plane;
    this.#scalables = scalables;
    this.#settings = settings;
    this.#timer = setInterval(() => void this.look(), LOOK_EVERY);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** One look at every service that has a choice; never rejects. `now`: ms of a clock that nobody sets. */
  async look(now: number = performance.now()): Promise<void> {
    if (this.#looking) return;
    const candidates = this.#scalables().filter(
      ({ minReplicas, maxReplicas, wanted }) => minReplicas < maxReplicas || wanted !== minReplicas,
    );
    this.#forget(candidates);
    if (candidates.length === 0) return;
    this.#looking = true;
    try {
      const load = await this.#plane.load();
      const waiting = this.#plane.waiting();
      for (const scalable of candidates) {
        let outstanding = waiting.get(scalable.name) ?? 0;
        let started = 0;
        for (const origin of scalable.origins) {
          const seen = load.get(origin);
          outstanding += seen?.outstanding ?? 0;
          started += seen?.started ?? 0;
        }
        const replicas = this.#decide(scalable, outstanding, started, now);
        if (replicas !== scalable.wanted) scalable.scaleTo(replicas);
      }
    } finally {
      this.#looking = false;
    }
  }

  #decide(scalable: Scalable, outstanding: number, started: number, now: number): number {
    const { target, window, idle } = this.#settings();
    const { name, minReplicas, maxReplicas, wanted } = scalable;
    const memory = this.#memory(name, started, wanted, now);
    if (outstanding > 0 || started !== memory.started) memory.busyAt = now;
    memory.started = started;
    const needed = Math.ceil(outstanding / target);
    while (memory.needed.length > 0 && memory.needed.at(-1)!.replicas <= needed) memory.needed.pop();
    memory.needed.push({ at: now, replicas: needed });
    while (memory.needed[0]!.at < now - window) memory.needed.shift();
    // The most of the window: its oldest entry, since smaller ones before it were dropped.
    const most = Math.max(needed, memory.needed[0]!.replicas);
    const full = now - memory.busyAt >= idle;
    const least = full ? minReplicas : Math.max(minReplicas, Math.min(1, wanted));
    return Math.min(maxReplicas, Math.max(least, most));
  }

  #memory(name: string, started: number, wanted: number, now: number): Memory {
    let memory = this.#memories.get(name);
    if (memory === undefined) {
      // What runs was needed until now: fewer come only after a window that was seen whole.
      memory = { needed: [{ at: now, replicas: wanted }], started, busyAt: now };
      this.#memories.set(name, memory);
    }
    return memory;
  }

  #forget(candidates: readonly Scalable[]): void {
    if (this.#memories.size === 0) return;
    const names = new Set(candidates.map(({ name }) => name));
    for (const name of this.#memories.keys()) if (!names.has(name)) this.#memories.delete(name);
  }
}
