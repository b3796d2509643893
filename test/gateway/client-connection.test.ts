import { once } from 'node:events';
import type { RequestListener, ServerResponse } from 'node:http';
import { describe, expect, test } from 'vitest';
import { headerValues, parseResponses, untilResponses } from '../support/parse-responses.ts';
import { rawRequest } from '../support/raw-request.ts';
import { connected, exchange, expectQuiet, HOST, problemOf, startWire, until, type Wire } from './wire.ts';

const BAD = 'GET /hello HTTP/1.1\r\nX : y\r\n\r\n';
const request = (wire: Wire, path: string, headers = ''): string =>
  `GET /hello/${path} HTTP/1.1\r\n${HOST}${wire.bearer}${headers}\r\n`;
const anonymous = (path: string): string => `GET /hello/${path} HTTP/1.1\r\n${HOST}\r\n`;
const paths = (wire: Wire): string[] => wire.upstream.seen.map(({ url }) => url);

/** A service whose answers the test gives, one request at a time. */
function heldAnswers(): { readonly answer: RequestListener; next: () => Promise<ServerResponse> } {
  const held: ServerResponse[] = [];
  let arrived = Promise.withResolvers<undefined>();
  return {
    answer: (_request, response) => {
      held.push(response);
      arrived.resolve(undefined);
    },
    next: async () => {
      if (held.length === 0) await arrived.promise;
      arrived = Promise.withResolvers<undefined>();
      return held.shift()!;
    },
  };
}

describe('pipelined requests', () => {
  test('are answered in order, and the service sees each only after the one before was answered', async () => {
    const { answer, next } = heldAnswers();
    const wire = await startWire({ answer });
    const socket = await connected(wire);
    socket.write(request(wire, 'a') + request(wire, 'b') + request(wire, 'c', 'Connection: close\r\n'));
    let text = '';
    socket.on('data', (chunk: string) => (text += chunk));
    for (const path of ['a', 'b', 'c']) {
      const response = await next();
      expect(paths(wire).at(-1)).toBe(`/${path}`);
      expect(wire.gateway.inFlight).toBe(1);
      expect(wire.gateway.client.connections().active).toBe(1);
      response.end(path);
    }
    await once(socket, 'close');
    expect(parseResponses(text).map(({ body }) => body)).toEqual(['a', 'b', 'c']);
    await expectQuiet(wire);
  });

  test('by the thousand are all answered, those that the gateway refuses at once among them', async () => {
    const { answer, next } = heldAnswers();
    const wire = await startWire({ answer });
    const count = 5_000;
    const bytes =
      request(wire, 'first') +
      anonymous('x').repeat(count) +
      anonymous('y').replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n');
    const text = exchange(wire, bytes);
    (await next()).end('first');
    const answers = await text;
    expect(answers).toHaveLength(count + 2);
    expect(answers[0]).toMatchObject({ status: 200, body: 'first' });
    expect(new Set(answers.slice(1).map(({ status }) => status))).toEqual(new Set([401]));
    expect(paths(wire)).toEqual(['/first']);
    await expectQuiet(wire);
  });

  test('by the hundred reach the service one after the other', async () => {
    const wire = await startWire();
    const count = 300;
    const bytes = Array.from({ length: count }, (_, i) => request(wire, String(i))).join('');
    const answers = await exchange(wire, bytes + request(wire, 'last', 'Connection: close\r\n'));
    expect(answers).toHaveLength(count + 1);
    expect(paths(wire)).toEqual([...Array.from({ length: count }, (_, i) => `/${i}`), '/last']);
    await expectQuiet(wire);
  });

  test('with bodies stay in step', async () => {
    const wire = await startWire();
    const post = (headers: string, body: string, target = '/hello') =>
      `POST ${target} HTTP/1.1\r\n${HOST}${wire.bearer}${headers}\r\n${body}`;
    const answers = await exchange(
      wire,
      post('Content-Length: 5\r\n', 'one\r\n') +
        post('Transfer-Encoding: chunked\r\n', '3\r\ntwo\r\n0\r\n\r\n') +
        post('Content-Length: 0\r\n', '') +
        post('Content-Length: 4\r\nConnection: close\r\n', 'four'),
    );
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(wire.upstream.seen.map(({ body }) => body)).toEqual(['one\r\n', 'two', '', 'four']);
    await expectQuiet(wire);
  });
});

describe('a bad request behind good ones', () => {
  test.each([1, 2, 3])(
    '%i of them are answered in full, then comes 400, and nothing behind it',
    async (count) => {
      const wire = await startWire();
      const good = Array.from({ length: count }, (_, i) => request(wire, String(i))).join('');
      const answers = await exchange(wire, good + BAD + request(wire, 'behind'));
      expect(answers.map(({ status }) => status)).toEqual([...Array<number>(count).fill(200), 400]);
      expect(problemOf(answers.at(-1)!)).toMatchObject({ code: 'malformed_request' });
      expect(paths(wire)).toEqual(Array.from({ length: count }, (_, i) => `/${i}`));
      await expectQuiet(wire);
    },
  );

  test('waits for a slow answer', async () => {
    const { answer, next } = heldAnswers();
    const wire = await startWire({ answer });
    const answers = exchange(wire, request(wire, 'a') + BAD + request(wire, 'behind'));
    const response = await next();
    response.write('first half, ');
    await new Promise((flushed) => response.end('second half', () => flushed(undefined)));
    expect((await answers).map(({ body }) => body.slice(0, 23))).toEqual([
      'first half, second half',
      expect.stringContaining('{"type"') as string,
    ]);
    await expectQuiet(wire);
  });

  test.each([1, 2, 3, 10])(
    '%i requests that were refused at once keep their place before it',
    async (count) => {
      const wire = await startWire();
      const answers = await exchange(wire, anonymous('x').repeat(count) + BAD + anonymous('behind'));
      expect(answers.map(({ status }) => status)).toEqual([...Array<number>(count).fill(401), 400]);
      await expectQuiet(wire);
    },
  );

  test('a body that breaks in a waiting request costs that request only', async () => {
    const { answer, next } = heldAnswers();
    const wire = await startWire({ answer });
    const broken = `POST /hello/broken HTTP/1.1\r\n${HOST}${wire.bearer}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\ng\r\n`;
    const answers = exchange(wire, request(wire, 'a') + broken + request(wire, 'behind'));
    (await next()).end('a');
    expect((await answers).map(({ status }) => status)).toEqual([200, 400]);
    expect(paths(wire)).toEqual(['/a']);
    await expectQuiet(wire);
  });

  test('the same when the bad request is read by the gateway itself', async () => {
    const wire = await startWire();
    const noHost = `GET /hello HTTP/1.1\r\n${wire.bearer}\r\n`;
    const answers = await exchange(wire, request(wire, 'a') + noHost + request(wire, 'behind'));
    expect(answers.map(({ status }) => status)).toEqual([200, 400]);
    expect(paths(wire)).toEqual(['/a']);
    await expectQuiet(wire);
  });

  test('a handshake and a CONNECT wait for the answer before them too', async () => {
    const upgrade =
      'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
    const wire = await startWire();
    const handshake = request(wire, 'ws', upgrade);
    const connect = `CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n`;
    for (const [second, status] of [
      [handshake, 200], // of a service that does not take it
      [connect, 400],
    ] as const) {
      const answers = await exchange(wire, request(wire, 'a') + second + request(wire, 'behind'));
      expect(answers.map((answer) => answer.status)).toEqual([200, status]);
    }
    expect(paths(wire)).toEqual(['/a', '/ws', '/a']);
    await expectQuiet(wire);
  });
});

test('nothing behind a request that closes the connection is handled or answered', async () => {
  const wire = await startWire();
  for (const behind of [request(wire, 'behind'), '\r\n', 'garbage', BAD]) {
    for (const first of [
      request(wire, 'a', 'Connection: close\r\n'),
      request(wire, 'a').replace('1.1', '1.0'),
    ]) {
      expect(await exchange(wire, first + behind)).toMatchObject([{ status: 200 }]);
    }
  }
  expect(new Set(paths(wire))).toEqual(new Set(['/a']));
  await expectQuiet(wire);
});

describe('a request that is refused before its body was read', () => {
  const post = (length: number, headers = ''): string =>
    `POST /hello HTTP/1.1\r\n${HOST}${headers}Content-Length: ${length}\r\n\r\n`;

  test('with a large body: the client gets all of the answer, and the connection closes without a reset', async () => {
    const wire = await startWire();
    const size = 4 * 1024 * 1024;
    const body = Buffer.alloc(size, 'x');
    const answers = await exchange(wire, Buffer.concat([Buffer.from(post(size)), body]));
    expect(answers).toHaveLength(1);
    expect(problemOf(answers[0]!)).toMatchObject({ status: 401, code: 'token_missing' });
    expect(headerValues(answers[0]!, 'connection')).toEqual(['close']);
    expect(wire.upstream.seen).toEqual([]);
    await expectQuiet(wire);
  });

  test('what the body says is never a request', async () => {
    const wire = await startWire();
    const inner = request(wire, 'inner');
    for (const bytes of [
      post(100_000) + inner.repeat(50),
      `POST /hello HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n${inner.length.toString(16)}\r\n${inner}\r\n0\r\n\r\n${inner}`,
    ]) {
      const answers = await exchange(wire, bytes);
      expect(answers.map(({ status }) => status)).toEqual([401]);
    }
    expect(paths(wire)).toEqual([]);
    await expectQuiet(wire);
  });

  test('with a small body the connection stays, and in step', async () => {
    const wire = await startWire();
    const inner = request(wire, 'inner');
    const bytes = post(inner.length) + inner + request(wire, 'next', 'Connection: close\r\n');
    for (const pieces of [[bytes], [bytes.slice(0, 90), bytes.slice(90, 300), bytes.slice(300)]]) {
      const { text } = await rawRequest(wire.port, pieces);
      expect(parseResponses(text).map(({ status }) => status)).toEqual([401, 200]);
    }
    expect(paths(wire)).toEqual(['/next', '/next']);
    await expectQuiet(wire);
  });

  test('404 and 403 are no different', async () => {
    const wire = await startWire();
    const size = 1024 * 1024;
    const head = post(size, wire.bearer).replace('/hello', '/nothing');
    const answers = await exchange(wire, Buffer.concat([Buffer.from(head), Buffer.alloc(size)]));
    expect(answers.map(({ status }) => status)).toEqual([404]);
    await expectQuiet(wire);
  });
});

test('a request is read the same wherever its bytes are split', { timeout: 120_000 }, async () => {
  const wire = await startWire();
  const bytes =
    `POST /hello/%61?b=c HTTP/1.1\r\n${HOST}Authorization: Bearer ${'x'.repeat(20)}\r\n`.replace(
      /Authorization.*\r\n/,
      '',
    ) + 'Transfer-Encoding: chunked\r\n\r\n5;e=f\r\nhello\r\n0\r\nX-Checksum: 1\r\n\r\n';
  const open = bytes.replace('/hello', '/open');
  for (let at = 1; at < open.length; at++) {
    const { text } = await rawRequest(wire.port, [open.slice(0, at), open.slice(at)], {
      until: untilResponses(1),
    });
    expect(parseResponses(text)).toMatchObject([{ status: 200, body: 'ok' }]);
    expect(wire.upstream.seen.at(-1)).toMatchObject({
      url: '/a?b=c',
      body: 'hello',
      rawTrailers: ['X-Checksum', '1'],
    });
  }
  await expectQuiet(wire);
});

test('a malformed request is refused wherever its bytes are split', async () => {
  const wire = await startWire();
  const bytes = `POST /open HTTP/1.1\r\n${HOST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello`;
  for (let at = 1; at < bytes.length; at++) {
    const { text, reset } = await rawRequest(wire.port, [bytes.slice(0, at), bytes.slice(at)]);
    expect(reset).toBe(false);
    expect(parseResponses(text)).toMatchObject([{ status: 400 }]);
  }
  expect(wire.upstream.seen).toEqual([]);
  await expectQuiet(wire);
});

describe('a client that goes away leaves nothing behind', () => {
  const HEAD = (wire: Wire): string =>
    `POST /hello HTTP/1.1\r\n${HOST}${wire.bearer}Transfer-Encoding: chunked\r\n\r\n`;
  const PHASES: Record<string, (wire: Wire) => string> = {
    'before a byte': () => '',
    'in the request line': () => 'GET /hel',
    'in the header section': () => `GET /hello HTTP/1.1\r\nHost: a`,
    'before the body': HEAD,
    'in the body': (wire) => `${HEAD(wire)}5\r\nhel`,
    'in the trailers': (wire) => `${HEAD(wire)}5\r\nhello\r\n0\r\nX-`,
    'while the service thinks': (wire) => request(wire, 'a'),
    'with more requests waiting': (wire) => request(wire, 'a').repeat(20),
    'behind a bad request': () => BAD,
    'behind a bad request that waits': (wire) => request(wire, 'a') + BAD,
    'behind a CONNECT': () => 'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n',
    'behind a refused handshake': () =>
      `GET /hello HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n`,
    'in a large body that was refused': () =>
      `POST /hello HTTP/1.1\r\n${HOST}Content-Length: 1000000\r\n\r\nxxx`,
  };
  const WAYS = {
    'with a reset': (socket: Awaited<ReturnType<typeof connected>>) => void socket.resetAndDestroy(),
    'by closing': (socket: Awaited<ReturnType<typeof connected>>) => void socket.destroy(),
    'by ending its side': (socket: Awaited<ReturnType<typeof connected>>) => void socket.resume().end(),
  };
  describe.each(Object.entries(WAYS))('%s', (_way, leave) => {
    test.each(Object.entries(PHASES))('%s', async (_phase, bytes) => {
      const wire = await startWire({ answer: () => undefined });
      const socket = await connected(wire);
      socket.on('error', () => undefined);
      const text = bytes(wire);
      if (text !== '') await new Promise((flushed) => socket.write(text, flushed));
      await expect.poll(() => wire.server.connections).toBeGreaterThan(0);
      leave(socket);
      await expectQuiet(wire);
    });
  });

  test('in the answer', async () => {
    const wire = await startWire({
      answer: (_request, response) => {
        response.write('x'.repeat(1_000_000));
      },
    });
    const socket = await connected(wire);
    socket.write(request(wire, 'a'));
    await until(socket, 'xxx');
    socket.resetAndDestroy();
    await expectQuiet(wire);
  });
});

test.each(['in one piece with it', 'by itself'])(
  'an empty line behind a request, %s, is no late request, and the next one is answered',
  async (how) => {
    const timeouts = { header: 200, connect: 2_000, response: 60_000, idle: 800, drain: 0 };
    const wire = await startWire({ settings: { timeouts } });
    const socket = await connected(wire);
    let text = '';
    socket.on('data', (chunk: string) => (text += chunk));
    for (const path of ['a', 'b']) {
      if (how === 'by itself') {
        socket.write(anonymous(path));
        await once(socket, 'data');
        socket.write('\r\n');
      } else {
        socket.write(`${anonymous(path)}\r\n`);
        await once(socket, 'data');
      }
    }
    await once(socket, 'close');
    expect(parseResponses(text).map(({ status }) => status)).toEqual([401, 401]);
    await expectQuiet(wire);
  },
);

test('a client that never reads is cut when nothing moved for the idle time', async () => {
  const wire = await startWire({
    settings: { timeouts: { header: 10_000, connect: 2_000, response: 60_000, idle: 300, drain: 0 } },
    answer: (_request, response) => {
      const fill = (): void => {
        while (response.write(Buffer.alloc(65_536)));
        response.once('drain', fill);
      };
      fill();
    },
  });
  const socket = await connected(wire);
  socket.on('error', () => undefined);
  socket.write(request(wire, 'a'));
  socket.pause();
  await expect.poll(() => wire.gateway.inFlight).toBe(1);
  await expectQuiet(wire);
});

describe('a client that sends thousands of requests is not read for ever', () => {
  /** Resolves once the client cannot get rid of its bytes any more. */
  const stalled = async (socket: Awaited<ReturnType<typeof connected>>): Promise<void> => {
    let before = -1;
    let unmoved = 0;
    await expect
      .poll(
        () => {
          const unsent = socket.writableLength;
          unmoved = unsent === before && unsent > 0 ? unmoved + 1 : 0;
          before = unsent;
          return unmoved;
        },
        { interval: 100, timeout: 20_000 },
      )
      .toBeGreaterThan(10);
  };
  const flood = async (socket: Awaited<ReturnType<typeof connected>>): Promise<void> => {
    socket.on('error', () => undefined);
    socket.pause();
    socket.write(anonymous('x').repeat(200_000));
    await stalled(socket);
    socket.resetAndDestroy();
  };

  test('and never reads an answer', async () => {
    const wire = await startWire();
    await flood(await connected(wire));
    await expectQuiet(wire);
  });

  test.each([
    ['behind one that the service is slow to answer', ''],
    ['behind one that is the last of its connection', 'Connection: Upgrade\r\nUpgrade: h2c\r\n'],
  ])('%s', async (_name, headers) => {
    const { answer, next } = heldAnswers();
    const wire = await startWire({ answer });
    const socket = await connected(wire);
    socket.write(request(wire, 'a', headers));
    const response = await next();
    await flood(socket);
    response.end('too late');
    await expectQuiet(wire);
    expect(paths(wire)).toEqual(['/a']);
  });
});
