import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';

import { describe, expect, onTestFinished, test } from 'vitest';

import { rawRequest } from './raw-request.ts';

/** A server that treats each connection as told; resolves to its port. */
async function serve(handle: (socket: Socket) => void): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, handle).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

describe('rawRequest', () => {
  test('sends exactly the bytes given and collects until the other side closes', async () => {
    const port = await serve((socket) => socket.pipe(socket));

    const bytes = Buffer.from([0, 13, 10, 255, 128]);
    const answer = await rawRequest(port, [bytes, 'é'], { halfClose: true });

    expect(answer).toEqual({ text: '\0\r\n\xff\x80é', closed: true, reset: false });
  });

  test('stops at a condition while the connection is still open', async () => {
    const port = await serve((socket) => socket.pipe(socket));

    const answer = await rawRequest(port, 'abc', { until: (text) => text.endsWith('c') });

    expect(answer).toEqual({ text: 'abc', closed: false, reset: false });
  });

  test('tells a reset from an orderly end', async () => {
    const port = await serve((socket) => socket.once('data', () => socket.resetAndDestroy()));

    expect(await rawRequest(port, 'x')).toEqual({ text: '', closed: true, reset: true });
  });

  test('gives up with what came so far when nothing ends the wait', async () => {
    const port = await serve((socket) => socket.write('partial'));

    await expect(rawRequest(port, 'x', { patience: 200 })).rejects.toThrow(/stayed open.*"partial"/);
  });

  test('rejects with what its condition throws', async () => {
    const port = await serve((socket) => socket.pipe(socket));
    const until = (): never => {
      throw new Error('malformed');
    };

    await expect(rawRequest(port, 'x', { until })).rejects.toThrow('malformed');
  });

  test('rejects when nobody listens', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');

    await expect(rawRequest(port, 'x')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });
});
