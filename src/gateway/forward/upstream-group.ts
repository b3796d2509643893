import type { OriginLoad } from '../../contracts/worker-messages.ts';

/** One address of a service, as this worker sees it. */
export class Upstream {
  readonly origin: string;
  /** Requests in progress from this worker. */
  outstanding = 0;
  /** Requests begun by this worker so far. */
  started = 0;
  /** Set by the health checks of the primary. */
  healthy: boolean;
  /** Until when it is passed over after a failed connect, in ms since the epoch. */
  avoidedUntil = 0;

  constructor(origin: string, healthy: boolean) {
    this.origin = origin;
    this.healthy = healthy;
  }

  begin(): void {
    this.outstanding++;
    this.started++;
  }

  end(): void {
    this.outstanding--;
  }
}

/** How long an address that refused a connection is passed over while another one is left, in ms. */
const AVOID = 1_000;

/** The addresses of one service, balanced by least outstanding requests. */
export class UpstreamGroup {
  /** Replaced as replicas come and go: who holds the group never picks one that was withdrawn. */
  members: readonly Upstream[];
  /** Requests that wait until there is a member. */
  held = 0;
  /** Where the search starts, so that equally loaded members take turns. */
  #next = 0;

  constructor(members: readonly Upstream[]) {
    this.members = members;
  }

  get size(): number {
    return this.members.length;
  }

  /**
   * The healthy member with the fewest requests in progress; one that lately refused a connection only where there
   * is no other. null = no healthy member.
   */
  pick(now: number): Upstream | null {
    const { members } = this;
    if (members.length === 1) return members[0]!.healthy ? members[0]! : null;
    if (members.length === 0) return null;
    let best: Upstream | null = null;
    this.#next = (this.#next + 1) % members.length;
    for (let i = 0; i < members.length; i++) {
      const candidate = members[(this.#next + i) % members.length]!;
      if (candidate.healthy && (best === null || isBetter(candidate, best, now))) best = candidate;
    }
    return best;
  }

  /** Whether `pick` would find a member. */
  get ready(): boolean {
    return this.members.some(({ healthy }) => healthy);
  }

  avoid(member: Upstream, now: number): void {
    member.avoidedUntil = now + AVOID;
  }
}

function isBetter(candidate: Upstream, best: Upstream, now: number): boolean {
  const candidateAvoided = candidate.avoidedUntil > now;
  const bestAvoided = best.avoidedUntil > now;
  if (candidateAvoided !== bestAvoided) return bestAvoided;
  return candidate.outstanding < best.outstanding;
}

/** Who names an address: the static routes, the services or the realms. */
export type Naming = 'routes' | 'services' | 'realms';

/**
 * Every address that is named, one object each, so that its count of requests in progress outlives a change of who
 * names it. An address that no service names any more is kept until its last request has ended.
 */
export class Upstreams {
  readonly #named: Record<Naming, ReadonlyMap<string, Upstream>> = {
    routes: new Map(),
    services: new Map(),
    realms: new Map(),
  };
  readonly #retired = new Map<string, Upstream>();
  #unhealthy: ReadonlySet<string> = new Set();
  readonly #withdrawn: (origin: string) => void;

  /** `withdrawn` is told of every address that nobody names any more. */
  constructor(withdrawn: (origin: string) => void) {
    this.#withdrawn = withdrawn;
  }

  /** The addresses of the given lists of origins, which replace those that `naming` had before. */
  name(naming: Naming, lists: readonly (readonly string[])[]): Upstream[][] {
    const before = this.#named[naming];
    const now = new Map<string, Upstream>();
    const members = lists.map((origins) =>
      origins.map((origin) => {
        const member = now.get(origin) ?? this.#find(origin);
        now.set(origin, member);
        return member;
      }),
    );
    this.#named[naming] = now;
    for (const [origin, member] of before) {
      if (now.has(origin)) continue;
      if (naming === 'services' && member.outstanding > 0) this.#retired.set(origin, member);
      if (!Object.values(this.#named).some((named) => named.has(origin))) this.#withdrawn(origin);
    }
    if (naming === 'services') for (const origin of now.keys()) this.#retired.delete(origin);
    return members;
  }

  setUnhealthy(origins: readonly string[]): void {
    this.#unhealthy = new Set(origins);
    for (const named of Object.values(this.#named)) {
      for (const member of named.values()) member.healthy = !this.#unhealthy.has(member.origin);
    }
  }

  /** Of every address of a service, and of those that services named before and that still have requests. */
  load(): OriginLoad[] {
    for (const [origin, { outstanding }] of this.#retired) {
      if (outstanding === 0) this.#retired.delete(origin);
    }
    return [...this.#named.services.values(), ...this.#retired.values()].map(
      ({ origin, outstanding, started }) => ({ origin, outstanding, started }),
    );
  }

  #find(origin: string): Upstream {
    const { routes, services, realms } = this.#named;
    return (
      routes.get(origin) ??
      services.get(origin) ??
      realms.get(origin) ??
      this.#retired.get(origin) ??
      new Upstream(origin, !this.#unhealthy.has(origin))
    );
  }
}
