import type { Route } from '../contracts/settings.ts';

/**
 * Finds the route of a request: a route for the very host first, then the longest endpoint whose segments begin the
 * path. Costs one map look-up for each segment of the path, up to the deepest endpoint that begins with the same one;
 * the number of routes does not matter.
 */
export class RouteTable<T extends { readonly route: Route }> {
  readonly #byHost = new Map<string, T>();
  readonly #byEndpoint = new Map<string, T>();
  readonly #depths: Depths;
  /** Entries that were added beside the table's own ones. */
  #beside: readonly T[] = [];
  #depthsBeside: Depths = new Map();

  constructor(entries: readonly T[]) {
    for (const entry of entries) {
      const { host, endpoint } = entry.route;
      if (host !== null) this.#byHost.set(host, entry);
      if (endpoint !== null) this.#byEndpoint.set(endpoint, entry);
    }
    this.#depths = depthsOf(entries);
  }

  /** Puts other entries beside the table's own, which win where both have the same; they replace the ones before. */
  putBeside(entries: readonly T[]): void {
    for (const entry of this.#beside) {
      const { host, endpoint } = entry.route;
      if (host !== null && this.#byHost.get(host) === entry) this.#byHost.delete(host);
      if (endpoint !== null && this.#byEndpoint.get(endpoint) === entry) this.#byEndpoint.delete(endpoint);
    }
    for (const entry of entries) {
      const { host, endpoint } = entry.route;
      if (host !== null && !this.#byHost.has(host)) this.#byHost.set(host, entry);
      if (endpoint !== null && !this.#byEndpoint.has(endpoint)) this.#byEndpoint.set(endpoint, entry);
    }
    this.#beside = entries;
    this.#depthsBeside = depthsOf(entries);
  }

  /**
   * `host` without port, in lower case; `path` canonical. Nothing matches where the answer would depend on whether
   * parameters (`/admin;v=1`, RFC 3986 section 3.3) are part of a segment: Java's servers and others ignore them, so
   * that a service could take for `/admin` what the policy took for something else.
   */
  match(host: string, path: string): T | null {
    const entry = this.#find(host, path);
    return path.includes(';') && this.#find(host, path.replace(PARAMETERS, '')) !== entry ? null : entry;
  }

  #find(host: string, path: string): T | null {
    if (this.#byHost.size > 0) {
      const entry = this.#byHost.get(host);
      if (entry !== undefined) return entry;
    }
    const first = path.slice(0, endOfSegments(path, 1));
    const depth = Math.max(this.#depths.get(first) ?? 0, this.#depthsBeside.get(first) ?? 0);
    for (let end = endOfSegments(path, depth); end > 0; end = path.lastIndexOf('/', end - 1)) {
      // The same string for the same text, where it is at hand: V8 computes the hash of each once.
      const entry = this.#byEndpoint.get(end === first.length ? first : path.slice(0, end));
      if (entry !== undefined) return entry;
    }
    return this.#byEndpoint.get('/') ?? null;
  }
}

/** Number of segments of the longest endpoint that begins with a segment, by that segment: `/api`. */
type Depths = ReadonlyMap<string, number>;

function depthsOf(entries: readonly { readonly route: Route }[]): Depths {
  const depths = new Map<string, number>();
  for (const { route } of entries) {
    if (route.endpoint === null || route.endpoint === '/') continue;
    const segments = route.endpoint.split('/');
    const first = `/${segments[1]}`;
    depths.set(first, Math.max(depths.get(first) ?? 0, segments.length - 1));
  }
  return depths;
}

const PARAMETERS = /;[^/]*/g;

/** Where the first `count` segments of `path` end. */
function endOfSegments(path: string, count: number): number {
  let end = 0;
  for (let i = 0; i < count && end < path.length; i++) {
    const next = path.indexOf('/', end + 1);
    end = next === -1 ? path.length : next;
  }
  return end;
}

/** What the upstream is asked for: the path without the route's endpoint where the route strips it. */
export function upstreamPath(route: Route, path: string): string {
  const { endpoint, stripPrefix } = route;
  if (!stripPrefix || endpoint === null || endpoint === '/') return path;
  return path.length === endpoint.length ? '/' : path.slice(endpoint.length);
}
