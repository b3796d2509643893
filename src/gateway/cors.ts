import type { Route } from '../contracts/settings.ts';
import { Refusal } from '../errors.ts';
import type { Exchange } from './exchange.ts';
import type { RequestHead } from './request-head.ts';

/** How long a browser may keep the answer to a preflight, in seconds. */
const MAX_AGE = '600';

/** Whether this is a CORS preflight that the edge answers itself (WHATWG Fetch, "CORS-preflight request"). */
export function isPreflight(route: Route, method: string, head: RequestHead): boolean {
  return route.cors !== null && method === 'OPTIONS' && head.origin !== null && head.preflightMethod !== null;
}

/** The fields that let a page of an allowed origin read the answer, flat; none for every other origin. */
export function corsHeaders(route: Route, head: RequestHead): readonly string[] {
  if (route.cors === null) return [];
  if (head.origin === null || !route.cors.origins.includes(head.origin)) return ['Vary', 'Origin'];
  return ['Access-Control-Allow-Origin', head.origin, 'Access-Control-Expose-Headers', '*', 'Vary', 'Origin'];
}

/** The origin and the method that a preflight asks for. Throws `access_denied` for an origin that is not allowed. */
export function checkPreflight(
  route: Route,
  { origin, preflightMethod }: RequestHead,
): { readonly origin: string; readonly method: string } {
  if (
    route.cors === null ||
    origin === null ||
    preflightMethod === null ||
    !route.cors.origins.includes(origin)
  ) {
    throw new Refusal('access_denied', 'Pages of this origin may not call the service');
  }
  return { origin, method: preflightMethod };
}

/** Preflights carry no token, so they are answered before authentication. Throws as `checkPreflight` does. */
export function answerPreflight(exchange: Exchange, route: Route, head: RequestHead): void {
  const { origin, method } = checkPreflight(route, head);
  const asked = head.passed.findIndex((name) => name.toLowerCase() === 'access-control-request-headers');
  const headers = [
    'Access-Control-Allow-Origin',
    origin,
    'Access-Control-Allow-Methods',
    method,
    'Access-Control-Max-Age',
    MAX_AGE,
    'Vary',
    'Origin, Access-Control-Request-Method, Access-Control-Request-Headers',
  ];
  if (asked !== -1) headers.push('Access-Control-Allow-Headers', head.passed[asked + 1]!);
  exchange.sendHead(204, 'No Content', headers);
  exchange.end(null, []);
}
