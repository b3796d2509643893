import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { createServer as createTlsServer, getCACertificates, setDefaultCACertificates } from 'node:tls';
import { describe, expect, test } from 'vitest';
import { always, closed, HELLO, onMessage, Upstream } from './upstream-server.ts';

describe('one exchange', () => {
  test('the request is written exactly, and the answer comes as head, data, end', async () => {
    let seen = '';
    await using upstream = await Upstream.start((socket) =>
      onMessage(socket, '\r\n\r\n', (message) => {
        seen = message;
        socket.write(HELLO);
      }),
    );
    const answer = upstream.send({ target: '/a?b=c', headers: ['X-One', '1', 'X-Latin', '\xe9'] });
    await answer.over;
    expect(seen).toBe(
      `GET /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:${upstream.port}\r\nX-One: 1\r\nX-Latin: \xe9\r\n\r\n`,
    );
    expect(answer.events).toEqual(['head', 'data', 'end']);
    expect(answer).toMatchObject({ status: 200, reason: 'OK', length: 5, body: 'hello', trailers: [] });
  });

  test.each(['POST', 'PUT', 'PATCH'])('%s without a body says Content-Length: 0', async (method) => {
    let seen = '';
    await using upstream = await Upstream.start((socket) =>
      onMessage(socket, '\r\n\r\n', (message) => {
        seen = message;
        socket.write(HELLO);
      }),
    );
    await upstream.send({ method }).over;
    expect(seen).toContain('\r\nContent-Length: 0\r\n');
  });

  test('a body of known length is written as it is', async () => {
    let seen = '';
    await using upstream = await Upstream.start((socket) =>
      onMessage(socket, 'hello, world', (message) => {
        seen = message;
        socket.write(HELLO);
      }),
    );
    const answer = upstream.send({ method: 'POST', body: 12 });
    expect(answer.exchange.write(Buffer.from('hello'))).toBe(true);
    answer.exchange.write(Buffer.alloc(0));
    answer.exchange.write(Buffer.from(', world'));
    answer.exchange.end();
    await answer.over;
    expect(seen).toContain('\r\nContent-Length: 12\r\n\r\nhello, world');
    expect(upstream.client.connections()).toEqual({ active: 0, idle: 1 });
  });

  test('a body of unknown length is written in chunks, with trailers', async () => {
    let seen = '';
    await using upstream = await Upstream.start((socket) =>
      onMessage(socket, 'X-Sum: 1\r\n\r\n', (message) => {
        seen = message;
        socket.write(HELLO);
      }),
    );
    const answer = upstream.send({ method: 'POST', body: 'chunked' });
    answer.exchange.write(Buffer.from('hello'));
    answer.exchange.write(Buffer.alloc(0));
    answer.exchange.write(Buffer.from('0123456789abcdef'));
    answer.exchange.end(['X-Sum', '1']);
    await answer.over;
    expect(seen).toContain(
      '\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\nX-Sum: 1\r\n\r\n',
    );
    expect(upstream.client.connections()).toEqual({ active: 0, idle: 1 });
  });

  test('the head is sent before the body when that waits for 100 (Continue)', async () => {
    await using upstream = await Upstream.start((socket) => {
      onMessage(socket, '\r\n\r\n', () => socket.write('HTTP/1.1 100 Continue\r\n\r\n'));
      onMessage(socket, 'body', () => socket.write(HELLO));
    });
    const answer = upstream.send({ method: 'POST', headers: ['Expect', '100-continue'], body: 4 });
    await answer.next('informational 100');
    answer.exchange.write(Buffer.from('body'));
    answer.exchange.end();
    await answer.over;
    expect(answer.events).toEqual(['informational 100', 'head', 'data', 'end']);
  });

  test('trailers of the answer come with its end', async () => {
    await using upstream = await Upstream.start(
      always('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nGrpc-Status: 0\r\n\r\n'),
    );
    const answer = upstream.send();
    await answer.over;
    expect(answer).toMatchObject({ length: 'chunked', body: 'ok', trailers: ['Grpc-Status', '0'] });
  });

  test('a body without a length ends when the connection does', async () => {
    await using upstream = await Upstream.start((socket) =>
      onMessage(socket, '\r\n\r\n', () => socket.end('HTTP/1.1 200 OK\r\n\r\nall of it')),
    );
    const answer = upstream.send();
    await answer.over;
    expect(answer).toMatchObject({ length: 'close', body: 'all of it', failure: undefined });
    expect(upstream.client.connections()).toEqual({ active: 0, idle: 0 });
  });

  test('HEAD, 204 and 304 end with their head, and the connection serves on', async () => {
    const heads = [
      'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n',
      'HTTP/1.1 204 No Content\r\n\r\n',
      'HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n',
    ];
    await using upstream = await Upstream.start((socket) =>
      onMessage(socket, '\r\n\r\n', () => socket.write(heads.shift()!)),
    );
    for (const method of ['HEAD', 'GET', 'GET']) {
      const answer = upstream.send({ method });
      await answer.over;
      expect(answer).toMatchObject({ length: 'none', events: ['head', 'end'] });
    }
    expect(upstream.connections).toHaveLength(1);
  });

  test('an IPv6 literal is an origin', async () => {
    await using upstream = await Upstream.start(always(HELLO), {}, '::1');
    const answer = upstream.send({}, `http://[::1]:${upstream.port}`);
    await answer.over;
    expect(answer.body).toBe('hello');
  });

  test('a host name is an origin, whichever of its addresses answers', async () => {
    await using upstream = await Upstream.start(always(HELLO));
    const answer = upstream.send({}, `http://localhost:${upstream.port}`);
    await answer.over;
    expect(answer.body).toBe('hello');
  });
});

describe('what must not reach the wire', () => {
  const BAD = ['a\r\nEvil: 1', 'a\nb', 'a\rb', 'a\0b', 'a\u010db', 'a\u010ab', 'a\ud83d\ude00'];

  test.each(BAD)('a method or target such as %j is refused', async (bad) => {
    await using upstream = await Upstream.start(always(HELLO));
    for (const request of [{ method: bad }, { target: bad }]) {
      expect(() => upstream.send(request)).toThrow(TypeError);
    }
    expect(upstream.client.connections()).toEqual({ active: 0, idle: 0 });
  });

  test.each([
    { target: '/a b' },
    { target: '/ HTTP/1.1\r\nHost: b\r\n\r\nGET /' },
    { method: 'GET /x' },
    { method: 'CONNECT' },
    { method: '' },
    { target: '' },
  ])('%j is refused', async (request) => {
    await using upstream = await Upstream.start(always(HELLO));
    expect(() => upstream.send(request)).toThrow(TypeError);
  });

  test.each(BAD)('a trailer such as %j is refused, and nothing of it is sent', async (bad) => {
    await using upstream = await Upstream.start(always(HELLO));
    const { exchange } = upstream.send({ method: 'POST', body: 'chunked' });
    expect(() => exchange.end(['x', bad])).toThrow(TypeError);
    exchange.abort();
  });

  test('more or less body than Content-Length says is refused', async () => {
    await using upstream = await Upstream.start(always(HELLO));
    const { exchange } = upstream.send({ method: 'POST', body: 4 });
    exchange.write(Buffer.from('abc'));
    expect(() => exchange.end()).toThrow(RangeError);
    expect(() => exchange.write(Buffer.from('de'))).toThrow(RangeError);
    exchange.write(Buffer.from('d'));
    exchange.end();
    expect(() => exchange.write(Buffer.from('e'))).toThrow(RangeError);
    exchange.abort();
  });
});

describe('failures', () => {
  test('a refused connection is unreachable', async () => {
    let origin: string;
    {
      await using gone = await Upstream.start(always(HELLO));
      origin = gone.origin;
    }
    await using upstream = await Upstream.start(always(HELLO));
    const answer = upstream.send({ retryable: true }, origin);
    await answer.over;
    expect(answer.events).toEqual(['failed unreachable']);
    expect(answer.failure?.detail).toContain('ECONNREFUSED');
    expect(upstream.client.connections()).toEqual({ active: 0, idle: 0 });
  });

  test('a name that does not resolve is unreachable', async () => {
    await using upstream = await Upstream.start(always(HELLO));
    const answer = upstream.send({}, 'http://nowhere.invalid');
    await answer.over;
    expect(answer.events).toEqual(['failed unreachable']);
  });

  test('a connection that is not established in time is given up', async () => {
    // A TLS client is not connected before the handshake, which this server never answers.
    await using upstream = await Upstream.start(() => undefined, { connectTimeout: 40 });
    const answer = upstream.send({}, `https://127.0.0.1:${upstream.port}`);
    await answer.over;
    expect(answer.events).toEqual(['failed connect-timeout']);
    expect(upstream.client.connections()).toEqual({ active: 0, idle: 0 });
  });

  test('an answer may take longer than connecting may', async () => {
    await using upstream = await Upstream.start(
      (socket) => onMessage(socket, '\r\n\r\n', () => setTimeout(() => socket.write(HELLO), 120)),
      { connectTimeout: 40 },
    );
    const answer = upstream.send();
    await answer.over;
    expect(answer.body).toBe('hello');
  });

  test.each([
    ['closed', (socket: Socket) => socket.end()],
    ['reset', (socket: Socket) => socket.resetAndDestroy()],
  ])('a new connection that is %s before the head is a reset, and not tried again', async (_name, cut) => {
    await using upstream = await Upstream.start((socket) => onMessage(socket, '\r\n\r\n', () => cut(socket)));
    const answer = upstream.send({ retryable: true });
    await answer.over;
    expect(answer.events).toEqual(['failed reset']);
    expect(upstream.connections).toHaveLength(1);
  });

  test.each([
    ['Content-Length', 'HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello'],
    ['chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'],
  ])('a connection that is closed within a body of %s is a reset', async (_name, text) => {
    await using upstream = await Upstream.start((socket) =>
      onMessage(socket, '\r\n\r\n', () => socket.end(text)),
    );
    const answer = upstream.send();
    await answer.over;
    expect(answer.events).toEqual(['head', 'data', 'failed reset']);
    expect(answer.body).toBe('hello');
  });

  test('a connection that is reset within a body that lasts until it closes is a reset', async () => {
    await using upstream = await Upstream.start((socket) =>
      onMessage(socket, '\r\n\r\n', () => socket.write('HTTP/1.1 200 OK\r\n\r\nhello')),
    );
    const answer = upstream.send();
    await answer.next('data');
    upstream.connections[0]!.resetAndDestroy();
    await answer.over;
    expect(answer.events).toEqual(['head', 'data', 'failed reset']);
  });

  test.each([
    ['a length', 'HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nhello', ['head', 'data', 'end']],
    ['no end of its own', 'HTTP/1.1 413 Too Large\r\n\r\nhello', ['head', 'data', 'failed reset']],
    ['a head alone', 'HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\n', ['head', 'failed reset']],
    ['half a head', 'HTTP/1.1 413 Too Large\r\nContent-', ['failed reset']],
  ])(
    'of an answer with %s, what lies before a reset is read, even where a write meets the reset first',
    async (_name, text, events) => {
      await using upstream = await Upstream.start(() => undefined);
      const answer = upstream.send({ method: 'POST', body: 'chunked' });
      answer.exchange.write(Buffer.from('a piece'));
      await expect.poll(() => upstream.connections.length).toBe(1);
      // Within one turn, so that nothing is read in between.
      upstream.connections[0]!.write(text);
      upstream.connections[0]!.resetAndDestroy();
      for (let i = 0; i < 3; i++) answer.exchange.write(Buffer.from('another piece'));
      await answer.over;
      expect(answer.events).toEqual(events);
      expect(upstream.client.connections()).toEqual({ active: 0, idle: 0 });
    },
  );

  test('an answer that is not HTTP is invalid and closes the connection', async () => {
    await using upstream = await Upstream.start(always('SSH-2.0-OpenSSH_9.9\r\n'));
    const answer = upstream.send({ retryable: true });
    await answer.over;
    expect(answer.events).toEqual(['failed invalid']);
    expect(upstream.client.connections()).toEqual({ active: 0, idle: 0 });
    expect(upstream.connections).toHaveLength(1);
  });

  test('a head above headBytes is invalid', async () => {
    const filler = 'a'.repeat(2000);
    await using upstream = await Upstream.start(
      always(`HTTP/1.1 200 OK\r\na: ${filler}\r\nContent-Length: 0\r\n\r\n`),
      { headBytes: 2000 },
    );
    const answer = upstream.send();
    await answer.over;
    expect(answer.events).toEqual(['failed invalid']);
  });

  test.each(['ftp://127.0.0.1', 'not an origin'])('%s is no origin', async (origin) => {
    await using upstream = await Upstream.start(always(HELLO));
    expect(() => upstream.send({}, origin)).toThrow(TypeError);
  });
});

describe('abort', () => {
  test.each(['head', 'data'])('during %s ends the events and closes the connection', async (moment) => {
    await using upstream = await Upstream.start(always(HELLO));
    const answer = upstream.send();
    answer.during = (event) => {
      if (event === moment) answer.exchange.abort();
    };
    await answer.next(moment);
    await closed(upstream.connections[0]!);
    expect(answer.events.at(-1)).toBe(moment);
    expect(upstream.client.connections()).toEqual({ active: 0, idle: 0 });
  });

  test('while connecting ends the exchange', async () => {
    await using upstream = await Upstream.start(always(HELLO));
    const aborted = upstream.send();
    aborted.exchange.abort();
    await upstream.send().over;
    expect(aborted.events).toEqual([]);
    expect(upstream.client.connections()).toEqual({ active: 0, idle: 1 });
  });

  test('after the end harms neither the connection nor the next exchange', async () => {
    await using upstream = await Upstream.start(always(HELLO));
    const first = upstream.send();
    await first.over;
    const second = upstream.send();
    first.exchange.abort();
    first.exchange.resume();
    first.exchange.end();
    expect(first.exchange.write(Buffer.from('x'))).toBe(true);
    await second.over;
    expect(second.body).toBe('hello');
    expect(first.events).toEqual(['head', 'data', 'end']);
    expect(upstream.connections).toHaveLength(1);
  });
});

describe('TLS', () => {
  const cert = readFileSync('test/fixtures/tls/localhost.crt', 'utf8');
  const key = readFileSync('test/fixtures/tls/localhost.key', 'utf8');
  const tlsUpstream = () =>
    Upstream.on(createTlsServer({ cert, key }, always(HELLO)).on('tlsClientError', () => undefined));

  test('an untrusted certificate is refused before anything is sent', async () => {
    await using upstream = await tlsUpstream();
    const answer = upstream.send({}, `https://localhost:${upstream.port}`);
    await answer.over;
    expect(answer.events).toEqual(['failed unreachable']);
    expect(answer.failure?.detail).toContain('self-signed');
  });

  test('a trusted certificate is accepted for its own names, and the connection is kept', async () => {
    const before = getCACertificates('default');
    setDefaultCACertificates([...before, cert]);
    try {
      await using upstream = await tlsUpstream();
      for (const host of ['localhost', '127.0.0.1', 'localhost']) {
        const answer = upstream.send({}, `https://${host}:${upstream.port}`);
        await answer.over;
        expect(answer.body).toBe('hello');
        await new Promise(setImmediate);
      }
      expect(upstream.connections).toHaveLength(2);
      const other = upstream.send({}, `https://127.0.0.2:${upstream.port}`);
      await other.over;
      expect(other.events).toEqual(['failed unreachable']);
    } finally {
      setDefaultCACertificates(before);
    }
  });
});
