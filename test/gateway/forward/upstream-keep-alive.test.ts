import { once } from 'node:events';
import type { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { always, closed, HELLO, onMessage, Upstream } from './upstream-server.ts';

const CLOSED = { active: 0, idle: 0 };

describe('connections are kept', () => {
  test('one after the other on the same connection', async () => {
    await using upstream = await Upstream.start(always(HELLO));
    for (let i = 0; i < 5; i++) await upstream.send().over;
    expect(upstream.connections).toHaveLength(1);
    expect(upstream.client.connections()).toEqual({ active: 0, idle: 1 });
  });

  test('the end of one exchange may begin the next on its connection', async () => {
    await using upstream = await Upstream.start(always(HELLO));
    const first = upstream.send();
    let second: ReturnType<typeof upstream.send> | undefined;
    first.during = (event) => {
      if (event === 'end') second = upstream.send();
    };
    await first.over;
    await second!.over;
    expect(second!.body).toBe('hello');
    expect(upstream.connections).toHaveLength(1);
  });

  test('no more than maxIdle of them, and the last used is used first', async () => {
    const held: Socket[] = [];
    await using upstream = await Upstream.start(
      (socket) =>
        onMessage(socket, '\r\n\r\n', (message) => {
          if (message.startsWith('GET /hold ')) held.push(socket);
          else
            socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Port: ${socket.remotePort}\r\n\r\nhello`);
        }),
      { maxIdle: 2 },
    );
    const answers = [1, 2, 3].map(() => upstream.send({ target: '/hold' }));
    while (held.length < 3) await new Promise(setImmediate);
    expect(upstream.client.connections()).toEqual({ active: 3, idle: 0 });
    const [first, second, third] = held as [Socket, Socket, Socket];
    for (const socket of [first, second]) {
      const before = upstream.client.connections().idle;
      socket.write(HELLO);
      while (upstream.client.connections().idle === before) await new Promise(setImmediate);
    }
    const last = upstream.send();
    await last.over;
    expect(last.headers.at(-1)).toBe(String(second.remotePort));
    third.write(HELLO);
    await Promise.all(answers.map(({ over }) => over));
    expect(upstream.client.connections()).toEqual({ active: 0, idle: 2 });
  });

  test('for idleTimeout', async () => {
    await using upstream = await Upstream.start(always(HELLO), { idleTimeout: 30 });
    await upstream.send().over;
    await once(upstream.connections[0]!, 'end');
    expect(upstream.client.connections()).toEqual(CLOSED);
    await upstream.send().over;
    expect(upstream.connections).toHaveLength(2);
  });

  test('not as long as the upstream says when that leaves no margin', async () => {
    await using upstream = await Upstream.start(
      always('HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 0\r\n\r\n'),
    );
    await upstream.send().over;
    expect(upstream.client.connections()).toEqual(CLOSED);
  });

  test('not by HTTP/1.0 or against Connection: close', async () => {
    const heads = ['HTTP/1.0 200 OK', 'HTTP/1.1 200 OK\r\nConnection: close'];
    await using upstream = await Upstream.start((socket) =>
      onMessage(socket, '\r\n\r\n', () => socket.write(`${heads.shift()!}\r\nContent-Length: 0\r\n\r\n`)),
    );
    for (let i = 0; i < 2; i++) {
      await upstream.send().over;
      expect(upstream.client.connections()).toEqual(CLOSED);
    }
  });

  test('not after close(), which lets active exchanges end', async () => {
    const sockets: Socket[] = [];
    await using upstream = await Upstream.start((socket) =>
      onMessage(socket, '\r\n\r\n', (message) => {
        if (message.startsWith('GET /hold ')) sockets.push(socket);
        else socket.write(HELLO);
      }),
    );
    const active = upstream.send({ target: '/hold' });
    while (sockets.length === 0) await new Promise(setImmediate);
    await upstream.send().over;
    expect(upstream.client.connections()).toEqual({ active: 1, idle: 1 });
    upstream.client.close();
    expect(upstream.client.connections()).toEqual({ active: 1, idle: 0 });
    sockets[0]!.write(HELLO);
    await active.over;
    expect(active.body).toBe('hello');
    expect(upstream.client.connections()).toEqual(CLOSED);
  });
});

describe('a poisoned connection is never used again', () => {
  test('bytes behind the answer, in the same read', async () => {
    await using upstream = await Upstream.start(
      always(`${HELLO}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`),
    );
    const answer = upstream.send();
    await answer.over;
    expect(answer.body).toBe('hello');
    expect(upstream.client.connections()).toEqual(CLOSED);
  });

  test('bytes on an idle connection', async () => {
    await using upstream = await Upstream.start(always(HELLO));
    await upstream.send().over;
    upstream.connections[0]!.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil');
    await closed(upstream.connections[0]!);
    expect(upstream.client.connections()).toEqual(CLOSED);
    const next = upstream.send();
    await next.over;
    expect(next.body).toBe('hello');
  });

  test('bytes behind an answer that filled the read buffer exactly', async () => {
    const head = 'HTTP/1.1 200 OK\r\nContent-Length: 65400\r\nX-Fill: ';
    const full = `${head}${'f'.repeat(64 * 1024 - head.length - 4 - 65400)}\r\n\r\n${'b'.repeat(65400)}`;
    expect(full).toHaveLength(64 * 1024);
    await using upstream = await Upstream.start(
      always(`${full}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`),
    );
    const first = upstream.send();
    let second: ReturnType<typeof upstream.send> | undefined;
    first.during = (event) => {
      if (event === 'end') second = upstream.send();
    };
    await first.over;
    await second!.over;
    expect(second!.received).toBe(65400);
  });

  test('bytes that come while the head of the next request still waits to be sent', async () => {
    await using upstream = await Upstream.start(always(HELLO));
    await upstream.send().over;
    // From a timer, so that the socket is read before the head goes out at the end of this turn of the event loop.
    await new Promise((resolve) => setTimeout(resolve));
    upstream.connections[0]!.write(HELLO);
    const answer = upstream.send({ method: 'POST', body: 4 });
    await answer.over;
    expect(answer.events).toEqual(['failed invalid']);
  });

  test('an answer before the whole body was sent ends the connection with it', async () => {
    await using upstream = await Upstream.start((socket) => {
      socket.once('data', () => socket.write('HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nhello'));
    });
    const answer = upstream.send({ method: 'POST', body: 'chunked' });
    answer.exchange.write(Buffer.from('a piece'));
    await answer.over;
    expect(answer).toMatchObject({ status: 413, events: ['head', 'data', 'end'] });
    expect(answer.exchange.write(Buffer.from('the rest'))).toBe(true);
    answer.exchange.end();
    expect(upstream.client.connections()).toEqual(CLOSED);
  });

  test('an idle connection that the upstream closes is forgotten', async () => {
    await using upstream = await Upstream.start(always(HELLO));
    await upstream.send().over;
    upstream.connections[0]!.end();
    await closed(upstream.connections[0]!);
    expect(upstream.client.connections()).toEqual(CLOSED);
  });
});

describe('a reused connection that closes before any byte of the answer', () => {
  /** Serves one request per connection, and cuts the connection when the second comes. */
  const servesOnce = (cut: (socket: Socket, message: string) => void) => (socket: Socket) => {
    let served = 0;
    onMessage(socket, '\r\n\r\n', (message) => {
      if (served++ === 0) socket.write(HELLO);
      else cut(socket, message);
    });
  };

  test.each([
    ['closed', (socket: Socket) => socket.end()],
    ['reset', (socket: Socket) => socket.resetAndDestroy()],
  ])('(%s) has its retryable request sent once more, on a new one', async (_name, cut) => {
    await using upstream = await Upstream.start(servesOnce(cut));
    await upstream.send().over;
    const again = upstream.send({ retryable: true });
    await again.over;
    expect(again.events).toEqual(['head', 'data', 'end']);
    expect(upstream.connections).toHaveLength(2);
  });

  test('is not tried a third time', async () => {
    let seen = 0;
    await using upstream = await Upstream.start((socket, number) =>
      onMessage(socket, '\r\n\r\n', () => {
        if (number === 0 && seen++ === 0) socket.write(HELLO);
        else socket.end();
      }),
    );
    await upstream.send().over;
    const again = upstream.send({ retryable: true });
    await again.over;
    expect(again.events).toEqual(['failed reset']);
    expect(upstream.connections).toHaveLength(2);
  });

  test('takes a new connection even when another is idle', async () => {
    const held: Socket[] = [];
    await using upstream = await Upstream.start((socket, number) =>
      onMessage(socket, '\r\n\r\n', (message) => {
        if (message.startsWith('GET /hold ')) held.push(socket);
        else if (number < 2) socket.end();
        else socket.write(HELLO);
      }),
    );
    const both = [upstream.send({ target: '/hold' }), upstream.send({ target: '/hold' })];
    while (held.length < 2) await new Promise(setImmediate);
    for (const socket of held) socket.write(HELLO);
    await Promise.all(both.map(({ over }) => over));
    expect(upstream.client.connections().idle).toBe(2);
    const again = upstream.send({ retryable: true });
    await again.over;
    expect(again.body).toBe('hello');
    expect(upstream.connections).toHaveLength(3);
  });

  test.each([
    ['a POST', { method: 'POST', retryable: true }],
    ['a request that may not be retried', { retryable: false }],
  ])('fails %s, which is never sent twice', async (_name, request) => {
    const seen: string[] = [];
    await using upstream = await Upstream.start(
      servesOnce((socket, message) => {
        seen.push(message);
        socket.end();
      }),
    );
    await upstream.send().over;
    const answer = upstream.send(request);
    await answer.over;
    expect(answer.events).toEqual(['failed reset']);
    expect(seen).toHaveLength(1);
    expect(upstream.connections).toHaveLength(1);
  });

  test('fails a request with a body, which is never sent twice', async () => {
    await using upstream = await Upstream.start(servesOnce((socket) => socket.end()));
    await upstream.send().over;
    const answer = upstream.send({ body: 4, retryable: true });
    answer.exchange.write(Buffer.from('\r\n\r\n'));
    answer.exchange.end();
    await answer.over;
    expect(answer.events).toEqual(['failed reset']);
    expect(upstream.connections).toHaveLength(1);
  });

  test('but after one byte of the answer is a failure', async () => {
    await using upstream = await Upstream.start(servesOnce((socket) => socket.end('H')));
    await upstream.send().over;
    const answer = upstream.send({ retryable: true });
    await answer.over;
    expect(answer.events).toEqual(['failed reset']);
    expect(upstream.connections).toHaveLength(1);
  });

  test('does not come back after an abort', async () => {
    await using upstream = await Upstream.start(servesOnce((socket) => socket.end()));
    await upstream.send().over;
    const answer = upstream.send({ retryable: true });
    answer.exchange.abort();
    await closed(upstream.connections[0]!);
    expect(answer.events).toEqual([]);
    expect(upstream.client.connections()).toEqual(CLOSED);
  });
});
