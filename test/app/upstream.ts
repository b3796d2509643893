import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { onTestFinished } from 'vitest';

/** A service; its origin. It ends with the test. */
export async function startService(handle: RequestListener): Promise<string> {
  const server = createServer(handle).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A service that answers `ok` to everything. */
export function startQuickService(): Promise<string> {
  return startService((request, response) => {
    request.resume();
    response.end('ok');
  });
}

/** A service whose answers the test writes: `next` resolves with each request as it comes. */
export async function startHeldService(): Promise<{
  origin: string;
  next(): Promise<{ request: IncomingMessage; response: ServerResponse }>;
}> {
  const come: { request: IncomingMessage; response: ServerResponse }[] = [];
  let tell = (): void => undefined;
  const origin = await startService((request, response) => {
    come.push({ request, response });
    tell();
  });
  return {
    origin,
    async next() {
      while (come.length === 0) await new Promise<void>((resolve) => (tell = resolve));
      return come.shift()!;
    },
  };
}
