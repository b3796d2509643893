import { isIPv6 } from 'node:net';
import type { ListenAddress } from './settings.ts';

/** The address as people write it: `127.0.0.1:8080`, `[::1]:8080`. */
export function authorityOf({ host, port }: ListenAddress): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}
