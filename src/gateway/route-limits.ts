import type { Route } from '../contracts/settings.ts';
import { Refusal } from '../errors.ts';
import type { Permit } from './authorize.ts';
import { networkOf } from './client-address.ts';
import type { Gateway } from './gateway.ts';
import type { Incoming } from './incoming.ts';

/**
 * Counts a request against its route's limits, which hold across all workers. Rejects with `rate_limited` or
 * `overloaded`. A place under the concurrency limit is given back when the exchange settles.
 */
export async function takeRouteLimits(
  gateway: Gateway,
  incoming: Incoming,
  limit: NonNullable<Route['limit']>,
  { route, principal }: Permit,
): Promise<void> {
  const { exchange, view } = incoming;
  if (limit.rate !== null) {
    const identity = principal === null ? networkOf(view.address) : `${principal.realm}/${principal.subject}`;
    const key = limit.perIdentity ? `route:${route.name}:${identity}` : `route:${route.name}`;
    const verdict = await gateway.control.takeRate([{ key, ...limit.rate }]);
    if (!verdict.ok) {
      throw new Refusal('rate_limited', 'Too many requests to this service', {
        retryAfter: verdict.retryAfter / 1000,
      });
    }
  }
  if (limit.concurrency === null || exchange.settled) return;
  const key = `route:${route.name}`;
  if (!(await gateway.control.enter(key, limit.concurrency))) {
    throw new Refusal('overloaded', 'Too many requests to this service at once', { retryAfter: 1 });
  }
  exchange.whenSettled(() => gateway.control.leave(key));
}
