import { lookup } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

type Find = (name: string, options: { all: true }) => Promise<readonly { address: string }[]>;

/** Whether `address` is an IP literal of this machine's loopback interface; a name never is. */
export function isLoopback(address: string): boolean {
  const version = isIP(address);
  return version !== 0 && LOOPBACK.check(address, version === 4 ? 'ipv4' : 'ipv6');
}

/**
 * Resolves `host` to the one address to bind. Every address of a name has to be a loopback address: binding the
 * name itself would look it up a second time and could get another answer.
 * Throws an Error that says what would be right.
 */
export async function resolveLoopback(host: string, find: Find = lookup): Promise<string> {
  const found = isIP(host) === 0 ? await addressesOf(host, find) : [host];
  const outside = found.find((address) => !isLoopback(address));
  const [first] = found;
  if (first === undefined || outside !== undefined) {
    const what = outside === undefined || outside === host ? host : `${host} (${outside})`;
    throw new Error(
      `the embedded realm listens on loopback addresses only, such as 127.0.0.1, and ${what} is not one`,
    );
  }
  return first;
}

async function addressesOf(name: string, find: Find): Promise<string[]> {
  try {
    return (await find(name, { all: true })).map((entry) => entry.address);
  } catch (cause) {
    throw new Error(`the embedded realm's listen address ${name} cannot be resolved`, { cause });
  }
}
