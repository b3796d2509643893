import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';

import { describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';

import { inBatches } from '../../bench/support/in-batches.ts';
import { RawConnection, rawRequest } from '../../bench/support/raw-connection.ts';
import { ANSWER } from '../../bench/support/upstream-server.ts';
import { untilAccepting, Workspace } from '../../bench/support/workspace.ts';
import { freePort } from '../support/free-port.ts';

async function connected(answer: (socket: Socket, requests: number) => void): Promise<RawConnection> {
  const server = createServer((socket) => {
    let requests = 0;
    socket.on('error', () => undefined);
    socket.on('data', () => answer(socket, ++requests));
    onTestFinished(() => void socket.destroy());
  }).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  const connection = await RawConnection.open((server.address() as AddressInfo).port);
  onTestFinished(() => connection.close());
  return connection;
}

/** The event loop reads between two turns of setImmediate. */
function afterTheNextRead(act: () => void): void {
  setImmediate(() => setImmediate(act));
}

describe('a raw connection', () => {
  const request = rawRequest('/api', 'token');

  test('takes one answer after the other, however they are cut', async () => {
    const first = 'HTTP/1.1 200 OK\r\nX: 1\r\nCONTENT-LENGTH:  5\r\n\r\nabcde';
    const connection = await connected((socket, requests) => {
      if (requests === 1) {
        socket.write(first.slice(0, 30));
        afterTheNextRead(() => {
          socket.write(first.slice(30, -2));
          afterTheNextRead(() => socket.write(first.slice(-2)));
        });
      } else socket.write('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n');
    });

    expect(await connection.ask(request)).toBe(200);
    expect(await connection.ask(request)).toBe(401);
    expect(connection.usable).toBe(true);
  });

  test('takes one request at a time', async () => {
    const connection = await connected(() => undefined);
    connection.send(request, () => undefined);

    expect(connection.usable).toBe(false);
    expect(() => connection.send(request, () => undefined)).toThrow();
  });

  test('says 0 of an answer that does not end, and of none', async () => {
    const connection = await connected((socket) => {
      socket.end('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcd');
    });

    expect(await connection.ask(request)).toBe(0);
    expect(connection.usable).toBe(false);
    expect(await connection.ask(request)).toBe(0);
  });

  test('says 0 of an answer whose length it does not know', async () => {
    const connection = await connected((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n');
    });

    expect(await connection.ask(request)).toBe(0);
  });
});

describe('inBatches', () => {
  test('keeps the order and no more than so many at a time', async () => {
    let [open, most] = [0, 0];
    const results = await inBatches(7, 3, async (number) => {
      most = Math.max(most, ++open);
      await Promise.resolve();
      open--;
      return number * 2;
    });

    expect(results).toEqual([0, 2, 4, 6, 8, 10, 12]);
    expect(most).toBe(3);
  });
});

describe('the service for connections that stay', () => {
  test('answers requests, and messages with themselves', async () => {
    const workspace = new Workspace();
    onTestFinished(() => workspace.close());
    const port = await freePort();
    const program = fileURLToPath(new URL('../../bench/support/echo-server.ts', import.meta.url));
    await untilAccepting(port, await workspace.start(process.execPath, [program, String(port)]));

    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe(ANSWER);
    const socket = new WebSocket(`ws://127.0.0.1:${port}/socket`);
    await once(socket, 'open');
    socket.send('hello');
    expect(String((await once(socket, 'message'))[0])).toBe('hello');
    socket.close();
  });
});
