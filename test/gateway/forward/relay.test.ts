import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { expect, onTestFinished, test, vi } from 'vitest';
import { gatewaySettings, startRawUpstream, startUpstream } from '../../support/gateway.ts';
import { headerValues } from '../../support/parse-responses.ts';
import { rawRequest } from '../../support/raw-request.ts';
import {
  bearer,
  bodyOf,
  exchangeRaw,
  expectAtRest,
  gatewayTo,
  problemOf,
  responseTo,
  send,
} from './client.ts';
import { closed, onMessage } from './upstream-server.ts';
import { startGatewayProcess } from './gateway-process.ts';

const MIB = 1024 * 1024;
const { timeouts: TIMEOUTS } = gatewaySettings();

/** A service that answers every request without a body with these bytes. */
function answering(answer: string | readonly string[], end = false) {
  return startRawUpstream((socket) =>
    onMessage(socket, '\r\n\r\n', () => {
      for (const piece of typeof answer === 'string' ? [answer] : answer) socket.write(piece, 'latin1');
      if (end) socket.end();
    }),
  );
}

/** Resolves once `moved`, which `start` gets, has not been called for a while: every buffer on the way is full. */
async function standstill(start: (moved: () => void) => void): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), 300);
  start(() => timer.refresh());
  await promise;
}

/** Writes `size` bytes as fast as `stream` takes them, and tells of each wait. */
function pour(stream: Writable, size: number, waiting: (written: number) => void, done?: () => void): void {
  const chunk = Buffer.alloc(64 * 1024, 'x');
  let written = 0;
  const more = (): void => {
    while (written < size) {
      written += chunk.length;
      if (!stream.write(chunk)) {
        waiting(written);
        stream.once('drain', more);
        return;
      }
    }
    done?.();
  };
  more();
}

// 400 MiB in all go through three programs: on a machine that is busy with others as well, that takes a while.
test('100 MiB each way pass at once through a process that grows by less than 64 MiB', async () => {
  const size = 100 * MIB;
  const upstream = await startUpstream((request, response) => {
    request.removeAllListeners('data');
    request.pipe(response);
  });
  const worker = await startGatewayProcess(upstream.origin);
  await bodyOf(await responseTo(send(worker.port).end()));
  const before = worker.memory();
  let most = before;
  for (const headers of [{}, { 'content-length': size }]) {
    const request = send(worker.port, { method: 'POST', headers });
    pour(
      request,
      size,
      () => undefined,
      () => request.end(),
    );
    const response = await responseTo(request);
    let received = 0;
    let looked = 0;
    for await (const piece of response) {
      received += (piece as Buffer).length;
      if (received - looked < 10 * MIB) continue;
      looked = received;
      most = Math.max(most, worker.memory());
    }
    expect(received).toBe(size);
  }
  expect(most - before).toBeLessThan(64 * MIB);
}, 120_000);

test('a reader that stops holds up the service, and the gateway does not buffer the answer', async () => {
  let written = 0;
  let moved: () => void = () => undefined;
  const upstream = await startRawUpstream((socket) =>
    onMessage(socket, '\r\n\r\n', () => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${400 * MIB}\r\n\r\n`);
      pour(socket, 400 * MIB, (bytes) => {
        written = bytes;
        moved();
      });
    }),
  );
  const running = await gatewayTo([upstream.origin]);
  const client = connect(running.port, '127.0.0.1').pause();
  onTestFinished(() => void client.destroy());
  await standstill((callback) => {
    moved = callback;
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  });
  // What is left is what the kernel holds for two pairs of sockets.
  expect(written).toBeGreaterThan(0);
  expect(written).toBeLessThan(32 * MIB);
  client.destroy();
  await expectAtRest(running);
  expect(Number(running.accessLog().at(-1)!['bytesOut'])).toBeLessThan(16 * MIB);
});

test('a service that does not read stops the upload', async () => {
  const upstream = await startRawUpstream((socket) => void socket.pause());
  const running = await gatewayTo([upstream.origin], {
    settings: { timeouts: { ...TIMEOUTS, idle: 1_000 } },
  });
  const request = send(running.port, { method: 'PUT', headers: { 'content-length': 400 * MIB } });
  const answer = responseTo(request);
  let sent = 0;
  await standstill((moved) =>
    pour(request, 400 * MIB, (bytes) => {
      sent = bytes;
      moved();
    }),
  );
  expect(sent).toBeLessThan(32 * MIB);
  // Nothing moves for as long as `idle` says, and it was the service's turn.
  expect((await answer).statusCode).toBe(504);
  request.destroy();
  await expectAtRest(running);
  expect(running.accessLog().at(-1)).toMatchObject({ status: 504, code: 'upstream_timeout' });
});

test('a reader that comes late gets every byte of an answer in many small chunks', async () => {
  const chunks = Array.from({ length: 60_000 }, (_, i) => `${i},`.padEnd(500, '.'));
  const wire = chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join('');
  const upstream = await answering(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${wire}0\r\n\r\n`);
  const warnings: string[] = [];
  const warned = (warning: Error): void => void warnings.push(warning.name);
  process.on('warning', warned);
  onTestFinished(() => void process.off('warning', warned));
  const running = await gatewayTo([upstream.origin]);
  const response = await responseTo(send(running.port).end());
  await standstill(() => undefined);
  expect((await bodyOf(response)) === chunks.join('')).toBe(true);
  expect(warnings).toEqual([]);
});

test('what waits for a reader stays as it was while more is read', async () => {
  const sent = Buffer.alloc(16 * MIB);
  for (let i = 0; i < sent.length; i += 4) sent.writeUInt32LE(i, i);
  // Less than what a socket takes before it asks for a pause, and each read by itself.
  const piece = 40 * 1024;
  let moved: () => void = () => undefined;
  const upstream = await startUpstream((_request, response) => {
    response.writeHead(200, { 'Content-Length': sent.length });
    const more = (at: number): void => {
      moved();
      if (at >= sent.length) response.end();
      else response.write(sent.subarray(at, at + piece), () => setImmediate(more, at + piece));
    };
    more(0);
  });
  const running = await gatewayTo([upstream.origin]);
  const response = await responseTo(send(running.port).end());
  await standstill((callback) => (moved = callback));
  const answer = await bodyOf(response);
  expect(Buffer.from(answer, 'latin1').equals(sent)).toBe(true);
});

test('what waits for a service that reads slowly stays as it was while more is read', async () => {
  const sent = Buffer.alloc(16 * MIB);
  for (let i = 0; i < sent.length; i += 4) sent.writeUInt32LE(i, i);
  const piece = 40 * 1024;
  let service: IncomingMessage | undefined;
  const upstream = await startUpstream((request, response) => {
    service = request.removeAllListeners('data').pause();
    request.once('end', () => response.end());
  });
  const running = await gatewayTo([upstream.origin]);
  const request = send(running.port, { method: 'PUT', headers: { 'content-length': sent.length } });
  request.setNoDelay(true);
  let moved: () => void = () => undefined;
  const more = (at: number): void => {
    moved();
    if (at >= sent.length) request.end();
    else request.write(sent.subarray(at, at + piece), () => setImmediate(more, at + piece));
  };
  more(0);
  await standstill((callback) => (moved = callback));
  const answer = responseTo(request);
  const body = await bodyOf(service!);
  expect(Buffer.from(body, 'latin1').equals(sent)).toBe(true);
  expect((await answer).statusCode).toBe(200);
});

test('HEAD keeps the length of what GET would give, and has no body', async () => {
  const upstream = await answering('HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nETag: "a"\r\n\r\n');
  const running = await gatewayTo([upstream.origin]);
  const [answer] = await exchangeRaw(running.port, ['HEAD / HTTP/1.1']);
  expect(answer!.status).toBe(200);
  expect(headerValues(answer!, 'content-length')).toEqual(['1234']);
  expect(headerValues(answer!, 'transfer-encoding')).toEqual([]);
  await expectAtRest(running);
});

test.each([
  ['204 No Content', []],
  ['304 Not Modified', ['77']],
])('%s has no body, and the connection serves on', async (line, length) => {
  const upstream = await answering(
    `HTTP/1.1 ${line}\r\n${length.map((n) => `Content-Length: ${n}\r\n`).join('')}\r\n`,
  );
  const running = await gatewayTo([upstream.origin]);
  const twice = 'GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
  const { text } = await rawRequest(running.port, twice);
  const heads = text.split('\r\n\r\n').slice(0, -1);
  expect(heads.map((head) => head.split('\r\n')[0])).toEqual([`HTTP/1.1 ${line}`, `HTTP/1.1 ${line}`]);
  expect(/transfer-encoding/i.test(text)).toBe(false);
  expect(text.match(/content-length: \d+/gi) ?? []).toHaveLength(2 * length.length);
  await expectAtRest(running);
});

test('an answer that ends with its connection reaches an HTTP/1.1 client in chunks', async () => {
  const upstream = await answering('HTTP/1.1 200 OK\r\n\r\nall of it', true);
  const running = await gatewayTo([upstream.origin]);
  const [answer] = await exchangeRaw(running.port, ['GET / HTTP/1.1']);
  expect(answer).toMatchObject({ body: 'all of it', framing: 'chunked' });
  await expectAtRest(running);
});

test('an HTTP/1.0 client gets no chunks and no 1xx, but the whole answer', async () => {
  const upstream = await answering([
    'HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-T: 1\r\n\r\n',
  ]);
  const running = await gatewayTo([upstream.origin]);
  const [answer] = await exchangeRaw(running.port, ['GET / HTTP/1.0']);
  expect(answer).toMatchObject({ status: 200, body: 'abcde', framing: 'close', trailers: [] });
  await expectAtRest(running);
});

test('an HTTP/1.0 client sees the end of its connection as a reset when the answer was cut', async () => {
  const upstream = await startRawUpstream((socket) =>
    onMessage(socket, '\r\n\r\n', () => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n', () =>
        socket.destroy(),
      );
    }),
  );
  const running = await gatewayTo([upstream.origin]);
  const answer = await rawRequest(running.port, 'GET / HTTP/1.0\r\nHost: a\r\n\r\n');
  expect(answer).toMatchObject({ closed: true, reset: true });
  await expectAtRest(running);
});

test('a client gets the trailers of an answer, without those that only a head may carry', async () => {
  const trailers = 'X-Sum: 9\r\nSet-Cookie: a=b\r\nX-Forwarded-User: x\r\nAuthorization: y\r\n';
  const upstream = await answering(
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n${trailers}\r\n`,
  );
  const running = await gatewayTo([upstream.origin]);
  const [answer] = await exchangeRaw(running.port, ['GET / HTTP/1.1']);
  expect(answer).toMatchObject({ body: 'ok', trailers: [['X-Sum', '9']] });
  await expectAtRest(running);
});

test('a service sees the trailers of a request, without those that the gateway sets', async () => {
  const upstream = await startUpstream();
  const running = await gatewayTo([upstream.origin]);
  const body = '3\r\nabc\r\n0\r\nAuthorization: Bearer x\r\nX_Forwarded_User: root\r\nX-Sum: 7\r\n\r\n';
  await exchangeRaw(running.port, ['POST / HTTP/1.1', 'Transfer-Encoding: chunked'], body);
  expect(upstream.seen).toMatchObject([{ body: 'abc', rawTrailers: ['X-Sum', '7'] }]);
  await expectAtRest(running);
});

test('103 Early Hints passes before the answer, several times', async () => {
  const upstream = await answering([
    'HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: X-Private\r\nX-Private: 1\r\n\r\n',
    'HTTP/1.1 103 Early Hints\r\nLink: </b.css>\r\nLink: </c.css>\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
  ]);
  const running = await gatewayTo([upstream.origin]);
  const answers = await exchangeRaw(running.port, ['GET / HTTP/1.1'], '', 3);
  expect(
    answers.map(({ status, headers }) => [status, headers.filter(([name]) => name !== 'Date').length]),
  ).toEqual([
    [103, 1],
    [103, 2],
    [200, 3],
  ]);
  expect(headerValues(answers[1]!, 'link')).toEqual(['</b.css>', '</c.css>']);
  await expectAtRest(running);
});

test('content codings, doubled Set-Cookie and unknown fields stay as they are; hop-by-hop fields go', async () => {
  const upstream = await answering(
    [
      'HTTP/1.1 200 Fine',
      'Content-Encoding: gzip',
      'Set-Cookie: a=1',
      'Set-Cookie: b=2; HttpOnly',
      'X-Thing: \xe9',
      'Connection: close, X-Internal',
      'X-Internal: secret',
      'Keep-Alive: timeout=9',
      'Proxy-Authenticate: Basic',
      'Upgrade: h2c',
      'Content-Length: 3',
      '',
      '\x1f\x8b\x00',
    ].join('\r\n'),
  );
  const running = await gatewayTo([upstream.origin]);
  const [answer] = await exchangeRaw(running.port, ['GET / HTTP/1.1', 'Accept-Encoding: gzip']);
  expect(answer).toMatchObject({ status: 200, reason: 'Fine', body: '\x1f\x8b\x00' });
  expect(headerValues(answer!, 'content-encoding')).toEqual(['gzip']);
  expect(headerValues(answer!, 'set-cookie')).toEqual(['a=1', 'b=2; HttpOnly']);
  expect(headerValues(answer!, 'x-thing')).toEqual(['\xe9']);
  expect(headerValues(answer!, 'connection')).toEqual(['keep-alive']);
  for (const gone of ['x-internal', 'proxy-authenticate', 'upgrade'])
    expect(headerValues(answer!, gone)).toEqual([]);
  await expectAtRest(running);
});

test('Expect: 100-continue goes to the service, and its 100 lets the body come', async () => {
  const upstream = await startUpstream((request, response) => {
    request.once('end', () => response.end('stored'));
  });
  const running = await gatewayTo([upstream.origin]);
  const request = send(running.port, {
    method: 'PUT',
    headers: { expect: '100-continue', 'content-length': 4 },
  });
  request.flushHeaders();
  await once(request, 'continue');
  expect(upstream.seen).toEqual([]);
  request.end('data');
  const response = await responseTo(request);
  expect(await bodyOf(response)).toBe('stored');
  expect(upstream.seen).toMatchObject([{ headers: { expect: '100-continue' }, body: 'data' }]);
  await expectAtRest(running);
});

test('a service that answers an expectation at once never causes a 100, and the connection closes', async () => {
  const upstream = await answering('HTTP/1.1 409 Conflict\r\nContent-Length: 4\r\n\r\nbusy');
  const running = await gatewayTo([upstream.origin]);
  const head = 'PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n';
  const { text, closed } = await rawRequest(running.port, head);
  expect(text).toMatch(/^HTTP\/1\.1 409 Conflict\r\n/);
  expect(text).not.toContain('100 Continue');
  expect(closed).toBe(true);
  await expectAtRest(running);
});

test('a client without a token gets 401 and no 100, and the service hears nothing', async () => {
  const upstream = await startUpstream();
  const running = await gatewayTo([upstream.origin], { route: { public: false } });
  const head = 'PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n';
  const { text, closed } = await rawRequest(running.port, head);
  expect(text).toMatch(/^HTTP\/1\.1 401 /);
  expect(text).not.toContain(' 100 ');
  expect(closed).toBe(true);
  expect(upstream.seen).toEqual([]);
  await expectAtRest(running);
});

test('an answer while a large upload stands still lets the client send on, so that it comes to read the answer', async () => {
  const services: Socket[] = [];
  const upstream = await startRawUpstream((socket) => void services.push(socket.pause()));
  const running = await gatewayTo([upstream.origin]);
  const client = connect(running.port, '127.0.0.1').pause();
  client.on('error', () => undefined);
  client.write(`PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: ${400 * MIB}\r\n\r\n`);
  await standstill((moved) => pour(client, 400 * MIB, moved));
  const moving = once(client, 'drain');
  services[0]!.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno');
  await moving;
  const [answer] = (await once(client.resume(), 'data')) as [Buffer];
  expect(answer.toString()).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n[^]*no$/);
  client.destroy();
  await expectAtRest(running);
});

test.each(['head', 'body', 'waiting', 'answer'])(
  'a client that leaves in the phase %s aborts the request at the service',
  async (phase) => {
    const arrived = Promise.withResolvers<IncomingMessage>();
    const upstream = await startUpstream((request, response) => {
      request.on('error', () => undefined);
      if (phase === 'answer') response.write('some');
      arrived.resolve(request);
    });
    const running = await gatewayTo([upstream.origin]);
    const request = send(running.port, { method: phase === 'head' || phase === 'body' ? 'POST' : 'GET' });
    if (phase === 'head') request.flushHeaders();
    else if (phase === 'body') request.write('part');
    else request.end();
    const at = await arrived.promise;
    if (phase === 'answer') await responseTo(request);
    (request.socket as Socket).resetAndDestroy();
    await closed(at.socket);
    expect(at.complete).toBe(phase === 'waiting' || phase === 'answer');
    await expectAtRest(running);
    expect(running.accessLog().at(-1)).toMatchObject({ status: phase === 'answer' ? 200 : 0, code: null });
    const counted = running.gateway.metrics.toJSON().find(({ name }) => name === 'realmgate_requests_total');
    expect(counted!.values).toMatchObject([{ labels: { outcome: 'client_gone' }, value: 1 }]);
  },
);

test('a client that ends its side in the middle of a body gets 400, and the service an aborted request', async () => {
  const upstream = await startUpstream();
  const running = await gatewayTo([upstream.origin]);
  const head = 'PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n';
  const { text } = await rawRequest(running.port, `${head}12345`, { halfClose: true });
  expect(text).toMatch(/^HTTP\/1\.1 400 /);
  await expectAtRest(running);
  expect(upstream.seen).toEqual([]);
});

test('a Content-Length over the limit is 413 before the service hears of the request', async () => {
  const upstream = await startUpstream();
  const running = await gatewayTo([upstream.origin], {
    settings: { limits: { headerBytes: 32768, tokenBytes: 16384, bodyBytes: 10, connections: 100 } },
  });
  const [answer] = await exchangeRaw(running.port, ['PUT / HTTP/1.1', 'Content-Length: 11'], 'x'.repeat(11));
  expect(problemOf(answer!)).toEqual({ status: 413, code: 'body_too_large' });
  expect(upstream.seen).toEqual([]);
  await exchangeRaw(running.port, ['PUT / HTTP/1.1', 'Content-Length: 10'], 'x'.repeat(10));
  expect(upstream.seen).toMatchObject([{ body: 'xxxxxxxxxx' }]);
  await expectAtRest(running);
});

test('chunks over the limit are 413, and the service never sees a complete request', async () => {
  const aborted = Promise.withResolvers<undefined>();
  const upstream = await startUpstream((request, response) => {
    request.on('error', () => undefined);
    request.once('close', () => aborted.resolve(undefined));
    request.once('end', () => response.end());
  });
  const running = await gatewayTo([upstream.origin], {
    settings: { limits: { headerBytes: 32768, tokenBytes: 16384, bodyBytes: 10, connections: 100 } },
  });
  const request = send(running.port, { method: 'PUT' });
  request.write('12345');
  await vi.waitFor(() => expect(running.gateway.client.connections().active).toBe(1));
  request.write('678901');
  const response = await responseTo(request);
  expect(response.statusCode).toBe(413);
  expect(response.headers.connection).toBe('close');
  await aborted.promise;
  expect(upstream.seen).toEqual([]);
  request.destroy();
  await expectAtRest(running);
});

test('a stream ends at the end of the token in a way that the client notices', async () => {
  const upstream = await startUpstream((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: 1\n\n');
  });
  const running = await gatewayTo([upstream.origin], { route: { public: false } });
  const exp = Math.floor(Date.now() / 1000) + 2;
  const response = await responseTo(send(running.port, { headers: await bearer({ exp }) }).end());
  await expect(bodyOf(response)).rejects.toThrow('aborted');
  expect(Date.now()).toBeGreaterThanOrEqual(exp * 1000);
  await expectAtRest(running);
  expect(running.accessLog().at(-1)).toMatchObject({ status: 200, code: 'token_expired' });
});

test('a request that waits for its answer when the token ends gets 401', async () => {
  const upstream = await startRawUpstream(() => undefined);
  const running = await gatewayTo([upstream.origin], { route: { public: false } });
  const exp = Math.floor(Date.now() / 1000) + 2;
  const response = await responseTo(send(running.port, { headers: await bearer({ exp }) }).end());
  expect(response.statusCode).toBe(401);
  expect(response.headers['www-authenticate']).toContain('error="invalid_token"');
  expect(JSON.parse(await bodyOf(response))).toMatchObject({ code: 'token_expired' });
  await expectAtRest(running);
});
