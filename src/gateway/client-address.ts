import { BlockList, isIP } from 'node:net';

/** Tells whose `X-Forwarded-*` are believed, and by them where a request came from. */
export class TrustedProxies {
  readonly #blocks = new BlockList();
  readonly #none: boolean;

  /** `cidrs`: checked blocks such as `10.0.0.0/8` or single addresses. */
  constructor(cidrs: readonly string[]) {
    this.#none = cidrs.length === 0;
    for (const cidr of cidrs) {
      const [address = '', bits] = cidr.split('/');
      const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
      this.#blocks.addSubnet(
        address,
        bits === undefined ? (family === 'ipv6' ? 128 : 32) : Number(bits),
        family,
      );
    }
  }

  trusts(address: string): boolean {
    if (this.#none) return false;
    const plain = plainAddress(address);
    const family = isIP(plain);
    return family !== 0 && this.#blocks.check(plain, family === 6 ? 'ipv6' : 'ipv4');
  }

  /** The nearest address that is not a trusted proxy's, walking `forwardedFor` from its end. */
  clientAddress(peer: string, forwardedFor: string | null): string {
    if (forwardedFor === null || !this.trusts(peer)) return peer;
    const hops = forwardedFor.split(',');
    let client = peer;
    for (let i = hops.length - 1; i >= 0; i--) {
      const hop = plainAddress(hops[i]!.trim());
      if (isIP(hop) === 0) return client;
      client = hop;
      if (!this.trusts(hop)) return client;
    }
    return client;
  }
}

/** Without the IPv6 form of an IPv4 address, which a dual-stack socket reports. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
}
