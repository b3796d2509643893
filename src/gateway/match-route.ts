import type { Route } from '../contracts/settings.ts';

/**
 * Finds the route of a request: a route for the very host first, then the longest endpoint whose segments begin the
 * path. Costs one map look-up for each segment of the path, up to the deepest endpoint; the number of routes does
 * not matter.
 */
export class RouteTable<T extends { readonly route: Route }> {
  readonly #byHost = new Map<string, T>();
  readonly #byEndpoint = new Map<string, T>();
  #deepest = 0;

  constructor(entries: readonly T[]) {
    for (const entry of entries) {
      const { host, endpoint } = entry.route;
      if (host !== null) this.#byHost.set(host, entry);
      if (endpoint === null) continue;
      this.#byEndpoint.set(endpoint, entry);
      this.#deepest = Math.max(this.#deepest, endpoint === '/' ? 0 : endpoint.split('/').length - 1);
    }
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
    let end = endOfSegments(path, this.#deepest);
    while (end > 0) {
      const entry = this.#byEndpoint.get(end === path.length ? path : path.slice(0, end));
      if (entry !== undefined) return entry;
      end = path.lastIndexOf('/', end - 1);
    }
    return this.#byEndpoint.get('/') ?? null;
  }
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
