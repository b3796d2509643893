/** One address of a service, as this worker sees it. */
export class Upstream {
  readonly origin: string;
  /** Requests in progress from this worker. */
  outstanding = 0;
  /** Set by the health checks of the primary. */
  healthy = true;
  /** Until when it is passed over after a failed connect, in ms since the epoch. */
  avoidedUntil = 0;

  constructor(origin: string) {
    this.origin = origin;
  }
}

/** How long an address that refused a connection is passed over while another one is left, in ms. */
const AVOID = 1_000;

/** The addresses of one service, balanced by least outstanding requests. */
export class UpstreamGroup {
  readonly members: readonly Upstream[];
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
    let best: Upstream | null = null;
    this.#next = (this.#next + 1) % members.length;
    for (let i = 0; i < members.length; i++) {
      const candidate = members[(this.#next + i) % members.length]!;
      if (candidate.healthy && (best === null || isBetter(candidate, best, now))) best = candidate;
    }
    return best;
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

/** Every address that any route names, so that its count of requests in progress outlives a change of the routes. */
export class Upstreams {
  #byOrigin = new Map<string, Upstream>();

  /** Groups for the given lists of origins; addresses that no list names any more are forgotten. */
  groups(lists: readonly (readonly string[])[]): UpstreamGroup[] {
    const kept = new Map<string, Upstream>();
    const groups = lists.map(
      (origins) =>
        new UpstreamGroup(
          origins.map((origin) => {
            const member = kept.get(origin) ?? this.#byOrigin.get(origin) ?? new Upstream(origin);
            kept.set(origin, member);
            return member;
          }),
        ),
    );
    this.#byOrigin = kept;
    return groups;
  }

  setUnhealthy(origins: readonly string[]): void {
    const unhealthy = new Set(origins);
    for (const member of this.#byOrigin.values()) member.healthy = !unhealthy.has(member.origin);
  }
}
