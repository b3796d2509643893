import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { closed, HELLO, onMessage, Upstream } from './upstream-server.ts';

const MiB = 1024 * 1024;

/** Bytes in which every place is recognisable. */
function patterned(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i + 4 <= length; i += 4) bytes.writeUInt32LE(i, i);
  return bytes;
}

const digest = (...pieces: readonly Buffer[]) => {
  const hash = createHash('sha256');
  for (const piece of pieces) hash.update(piece);
  return hash.digest('hex');
};

test.each([
  ['Content-Length', (length: number) => `Content-Length: ${length}`],
  ['the end of the connection', () => 'Connection: close'],
])('a large body with %s arrives whole, and its chunks stay as they were', async (_name, field) => {
  const sent = patterned(8 * MiB);
  await using upstream = await Upstream.start((socket) =>
    onMessage(socket, '\r\n\r\n', () => {
      socket.write(`HTTP/1.1 200 OK\r\n${field(sent.length)}\r\n\r\n`);
      socket.end(sent);
    }),
  );
  const answer = upstream.send();
  await answer.over;
  expect(answer.events.at(-1)).toBe('end');
  expect(answer.received).toBe(sent.length);
  // Compared only now: a chunk that shares memory with a later read would differ.
  expect(digest(...answer.chunks)).toBe(digest(sent));
});

test('a large chunked body arrives whole, and its chunks stay as they were', async () => {
  const sent = patterned(4 * MiB);
  await using upstream = await Upstream.start((socket) =>
    onMessage(socket, '\r\n\r\n', () => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
      for (let at = 0, size = 1; at < sent.length; at += size, size = (size * 7) % 50_021) {
        const piece = sent.subarray(at, at + size);
        socket.write(`${piece.length.toString(16)}\r\n`);
        socket.write(piece);
        socket.write('\r\n');
      }
      socket.write('0\r\n\r\n');
    }),
  );
  const answer = upstream.send();
  await answer.over;
  expect(answer.events.at(-1)).toBe('end');
  expect(digest(...answer.chunks)).toBe(digest(sent));
});

test('a receiver that needs its chunks no longer gets the next ones in the same memory', async () => {
  const sent = patterned(32 * MiB);
  await using upstream = await Upstream.start((socket) =>
    onMessage(socket, '\r\n\r\n', () => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${sent.length}\r\n\r\n`);
      socket.write(sent);
    }),
  );
  const answer = upstream.send();
  const memories = new Set<ArrayBufferLike>();
  const copies: Buffer[] = [];
  answer.holdsData = false;
  answer.during = (event) => {
    const chunk = answer.chunks.at(-1);
    if (event !== 'data' || chunk === undefined) return;
    copies.push(Buffer.from(chunk));
    if (chunk.length >= 32 * 1024) memories.add(chunk.buffer);
  };
  await answer.over;
  expect(digest(...copies)).toBe(digest(sent));
  expect(copies.length).toBeGreaterThan(100);
  expect(memories.size).toBeLessThan(16);
});

test('two bodies at once do not mix', async () => {
  const sent = patterned(4 * MiB);
  await using upstream = await Upstream.start((socket) =>
    onMessage(socket, '\r\n\r\n', () => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${sent.length}\r\n\r\n`);
      socket.write(sent);
    }),
  );
  const answers = [upstream.send(), upstream.send(), upstream.send()];
  await Promise.all(answers.map(({ over }) => over));
  for (const { chunks } of answers) expect(digest(...chunks)).toBe(digest(sent));
});

test('a receiver that takes no more stops the upstream, and gets the rest when it resumes', async () => {
  const sent = patterned(64 * MiB);
  let server: Socket | undefined;
  await using upstream = await Upstream.start((socket) =>
    onMessage(socket, '\r\n\r\n', () => {
      server = socket;
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${sent.length}\r\n\r\n`);
      socket.write(sent);
    }),
  );
  const answer = upstream.send();
  answer.flowing = false;
  await answer.next('data');
  // Other exchanges go to and fro while this one stands still.
  for (let i = 0; i < 50; i++) await new Promise(setImmediate);
  expect(answer.events).toEqual(['head', 'data']);
  expect(answer.received).toBeLessThanOrEqual(256 * 1024); // one read
  expect(server!.writableLength).toBeGreaterThan(0);

  for (let i = 0; i < 10; i++) {
    const more = answer.next('data');
    answer.exchange.resume();
    await more;
    for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
  }
  expect(answer.events).toEqual(['head', ...Array<string>(11).fill('data')]);

  answer.flowing = true;
  answer.exchange.resume();
  await answer.over;
  expect(digest(...answer.chunks)).toBe(digest(sent));
});

test('a pause ends with its exchange', async () => {
  await using upstream = await Upstream.start((socket) =>
    onMessage(socket, '\r\n\r\n', () => socket.write(HELLO)),
  );
  for (let i = 0; i < 3; i++) {
    const answer = upstream.send();
    answer.flowing = false;
    await answer.over;
    expect(answer.body).toBe('hello');
  }
  expect(upstream.connections).toHaveLength(1);
});

test.each(['chunked', 32 * MiB] as const)(
  'an upstream that does not read stops a sender of %s',
  async (body) => {
    let server: Socket | undefined;
    await using upstream = await Upstream.start((socket) => (server = socket));
    const answer = upstream.send({ method: 'POST', body });
    // Far more than the kernel holds for a connection.
    expect(answer.exchange.write(Buffer.alloc(32 * MiB))).toBe(false);
    while (server === undefined) await new Promise(setImmediate);
    for (let i = 0; i < 50; i++) await new Promise(setImmediate);
    expect(answer.events).toEqual([]);

    const drained = answer.next('drain');
    server.resume();
    await drained;
    answer.exchange.end();
    server.write(HELLO);
    await answer.over;
    expect(answer.events).toEqual(['drain', 'head', 'data', 'end']);
  },
);

test('an abort in the middle of a body closes the connection and ends the events', async () => {
  await using upstream = await Upstream.start((socket) =>
    onMessage(socket, '\r\n\r\n', () => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${32 * MiB}\r\n\r\n`);
      socket.write(Buffer.alloc(32 * MiB));
    }),
  );
  const answer = upstream.send();
  answer.during = () => {
    if (answer.received > MiB) answer.exchange.abort();
  };
  while (upstream.connections.length === 0) await new Promise(setImmediate);
  await closed(upstream.connections[0]!);
  expect(answer.received).toBeLessThan(2 * MiB);
  expect(answer.events.at(-1)).toBe('data');
  expect(upstream.client.connections()).toEqual({ active: 0, idle: 0 });
});
