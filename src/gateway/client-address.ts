import { BlockList, isIP } from 'node:net';

/** An address of a chain as proxies write it: alone, or with the port that some of them add. */
const HOP = /^(?:\[([0-9a-f:.]+)\]|([0-9.]+))(?::[0-9]{1,5})?$/i;

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

  /** An IPv4 address counts in its IPv6 form as well. */
  trusts(address: string): boolean {
    if (this.#none) return false;
    const family = isIP(address);
    return family !== 0 && this.#blocks.check(address, family === 6 ? 'ipv6' : 'ipv4');
  }

  /**
   * The part of `X-Forwarded-For` that trusted proxies vouch for, with the connection's own end behind it. The first
   * address is the client's: the nearest that is not a trusted proxy's, or the last one before something that is no
   * address. What stands further out is only what that client says, and no part of the answer.
   */
  believed(peer: string, forwardedFor: string | null): readonly string[] {
    const chain = [peer];
    if (forwardedFor === null || !this.trusts(peer)) return chain;
    const hops = forwardedFor.split(',');
    for (let i = hops.length - 1; i >= 0; i--) {
      const hop = readHop(hops[i]!.trim());
      if (hop === null) break;
      chain.unshift(hop);
      if (!this.trusts(hop)) break;
    }
    return chain;
  }
}

/** null = not an address. */
function readHop(text: string): string | null {
  const match = HOP.exec(text);
  const address = match?.[1] ?? match?.[2] ?? text;
  return isIP(address) === 0 ? null : plainAddress(address);
}

/** Without the IPv6 form of an IPv4 address (RFC 4291 section 2.5.5.2), which a dual-stack socket reports. */
export function plainAddress(address: string): string {
  if (isIP(address) !== 6) return address;
  const [a, b, c, d, e, f, high = 0, low = 0] = groupsOf(address);
  if (a !== 0 || b !== 0 || c !== 0 || d !== 0 || e !== 0 || f !== 0xffff) return address;
  return `${high >> 8}.${high & 0xff}.${low >> 8}.${low & 0xff}`;
}

/**
 * What limits count as one client: an IPv4 address, or the /64 network of an IPv6 address, all of whose addresses
 * are free for one host to use (RFC 4291 section 2.5.4).
 */
export function networkOf(address: string): string {
  const plain = plainAddress(address);
  if (isIP(plain) !== 6) return plain;
  const network = groupsOf(plain).slice(0, 4);
  return `${network.map((group) => group.toString(16)).join(':')}::/64`;
}

/** The eight numbers of a valid IPv6 address, without its zone. */
function groupsOf(address: string): number[] {
  const [plain = ''] = address.split('%');
  const [left = '', right = ''] = plain.split('::');
  const before = readGroups(left);
  const after = readGroups(right);
  const zeros = new Array<number>(8 - before.length - after.length).fill(0);
  return [...before, ...zeros, ...after];
}

function readGroups(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return parseInt(group, 16);
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
    return [a * 256 + b, c * 256 + d];
  });
}
