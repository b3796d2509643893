import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * A TCP port of 127.0.0.1 that nothing listens on at this moment: only for programs that cannot be told port 0, or
 * that must come back on the port they had. It lies outside the range that systems take for port 0, so no other
 * test is given it by chance while the program is down.
 */
export function freePort(): Promise<number> {
  return freePorts(1);
}

/** So many of them in a row, for the services of one program: `services.local.portRange`. */
export async function portRange(count = 20): Promise<string> {
  const first = await freePorts(count);
  return `${first}-${first + count - 1}`;
}

/** The first of `count` such ports in a row. */
async function freePorts(count: number): Promise<number> {
  for (;;) {
    const first = randomInt(22_000, 32_000 - count);
    const ports = Array.from({ length: count }, (_, i) => first + i);
    if ((await Promise.all(ports.map(isFree))).every(Boolean)) return first;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const listening = once(server, 'listening').then(
    () => true,
    () => false,
  );
  server.listen(port, '127.0.0.1');
  if (!(await listening)) return false;
  server.close();
  await once(server, 'close');
  return true;
}
