import type { RateBucket } from '../contracts/control-channel.ts';
import type { PassthroughSettings } from '../contracts/settings.ts';
import { Refusal } from '../errors.ts';
import { networkOf } from './client-address.ts';
import type { Gateway, PassthroughRealm } from './gateway.ts';

/** Counts a request by which somebody might guess passwords or codes. */
export async function limitByAddress(
  gateway: Gateway,
  realm: PassthroughRealm,
  address: string,
): Promise<void> {
  const { name, passthrough } = realm.snapshot.settings;
  await takeLimits(gateway, [addressBucket(name, passthrough, address)]);
}

/** One bucket for each IPv4 address and each /64 of IPv6. */
export function addressBucket(realm: string, { limit }: PassthroughSettings, address: string): RateBucket {
  return { key: `realm:${realm}:address:${networkOf(address)}`, ...limit.perAddress };
}

/** Rejects with `rate_limited` when one of the buckets is full; then none of them was counted. */
export async function takeLimits(gateway: Gateway, buckets: readonly RateBucket[]): Promise<void> {
  const verdict = await gateway.control.takeRate(buckets);
  if (verdict.ok) return;
  throw new Refusal('rate_limited', 'Too many attempts', { retryAfter: verdict.retryAfter / 1000 });
}
