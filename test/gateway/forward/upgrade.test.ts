import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { expect, onTestFinished, test, vi } from 'vitest';
import { type ClientOptions, type RawData, WebSocket, WebSocketServer } from 'ws';
import { freePort } from '../../support/free-port.ts';
import { gatewaySettings, issueToken, startRawUpstream, startUpstream } from '../../support/gateway.ts';
import { parseResponses, untilResponses } from '../../support/parse-responses.ts';
import { rawRequest } from '../../support/raw-request.ts';
import { bearer, expectAtRest, gatewayTo, problemOf } from './client.ts';
import { closed, onMessage } from './upstream-server.ts';

const { timeouts: TIMEOUTS } = gatewaySettings();
const MIB = 1024 * 1024;
const HANDSHAKE = [
  'GET / HTTP/1.1',
  'Host: a',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
];
/** RFC 6455 section 1.3 gives this answer to that key. */
const ACCEPTED =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n';

const head = (...more: string[]): string => `${[...HANDSHAKE, ...more].join('\r\n')}\r\n\r\n`;

interface Service {
  readonly origin: string;
  readonly server: Server;
  readonly handshakes: IncomingMessage[];
  readonly sockets: WebSocket[];
}

/** A WebSocket service; by default it echoes. */
async function startService(
  behave: (socket: WebSocket) => void = (socket) =>
    socket.on('message', (data, binary) => socket.send(data, { binary })),
): Promise<Service> {
  const server = createServer();
  const handshakes: IncomingMessage[] = [];
  const sockets: WebSocket[] = [];
  const accepting = new WebSocketServer({ server, maxPayload: 256 * MIB });
  accepting.on('connection', (socket, request) => {
    handshakes.push(request);
    sockets.push(socket);
    socket.on('error', () => undefined);
    behave(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.terminate();
    server.close();
    server.closeAllConnections();
  });
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    server,
    handshakes,
    sockets,
  };
}

function dial(port: number, protocols: string[] = [], options: ClientOptions = {}): WebSocket {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/chat?x=1`, protocols, options);
  onTestFinished(() => socket.terminate());
  socket.on('error', () => undefined);
  return socket;
}

async function opened(
  port: number,
  protocols: string[] = [],
  options: ClientOptions = {},
): Promise<WebSocket> {
  const socket = dial(port, protocols, options);
  await once(socket, 'open');
  return socket;
}

async function nextMessage(socket: WebSocket): Promise<{ data: Buffer; binary: boolean }> {
  const [data, binary] = (await once(socket, 'message')) as [RawData, boolean];
  return { data: data as Buffer, binary };
}

async function closing(socket: WebSocket): Promise<{ code: number; reason: string }> {
  const [code, reason] = (await once(socket, 'close')) as [number, Buffer];
  return { code, reason: reason.toString() };
}

function tokenProtocol(token: string): string {
  return `base64url.bearer.authorization.k8s.io.${Buffer.from(token).toString('base64url')}`;
}

/** Sends a handshake and returns the one response. */
async function refusalOf(port: number, ...more: string[]) {
  const { text } = await rawRequest(port, head(...more), { until: untilResponses(1) });
  return parseResponses(text)[0]!;
}

test('messages pass both ways: text, binary, empty, large and fragmented', async () => {
  const service = await startService();
  const running = await gatewayTo([service.origin]);
  const socket = await opened(running.port);
  for (const message of ['hello', '', 'x'.repeat(126), 'é'.repeat(40_000)]) {
    socket.send(message);
    expect(await nextMessage(socket)).toEqual({ data: Buffer.from(message), binary: false });
  }
  const large = Buffer.alloc(8 * MIB, 7);
  socket.send(large);
  const echoed = await nextMessage(socket);
  expect(echoed.binary).toBe(true);
  expect(echoed.data.equals(large)).toBe(true);
  socket.send('one', { fin: false });
  socket.send('two', { fin: false });
  socket.send('three', { fin: true });
  expect((await nextMessage(socket)).data.toString()).toBe('onetwothree');
  socket.close();
  await closing(socket);
  await expectAtRest(running);
  expect(running.accessLog().at(-1)).toMatchObject({ status: 101, code: null, upstream: service.origin });
});

test('ping, pong and close codes with their reason pass both ways', async () => {
  const service = await startService();
  const running = await gatewayTo([service.origin]);
  const socket = await opened(running.port);
  const [peer] = service.sockets;
  socket.ping('a');
  expect(String(((await once(socket, 'pong')) as [Buffer])[0])).toBe('a');
  peer!.ping('b');
  expect(String(((await once(peer!, 'pong')) as [Buffer])[0])).toBe('b');
  const seen = closing(peer!);
  socket.close(4001, 'mine');
  expect(await seen).toEqual({ code: 4001, reason: 'mine' });
  const other = await opened(running.port);
  service.sockets[1]!.close(4002, 'yours');
  expect(await closing(other)).toEqual({ code: 4002, reason: 'yours' });
  await expectAtRest(running);
});

test('the service sees the handshake as any request: its own Host, the identity, no token', async () => {
  const service = await startService();
  const running = await gatewayTo([service.origin], { route: { public: false } });
  await opened(running.port, [], {
    headers: { ...(await bearer()), 'X-Forwarded-User': 'root', X_Forwarded_User: 'root', Cookie: 'a=1' },
  });
  const { url, headers } = service.handshakes[0]!;
  expect(url).toBe('/chat?x=1');
  expect(headers).toMatchObject({
    host: service.origin.slice(7),
    cookie: 'a=1',
    'x-forwarded-user': 'alice-id',
    'x-forwarded-for': '127.0.0.1',
  });
  expect(headers.authorization).toBeUndefined();
  expect(headers['x_forwarded_user']).toBeUndefined();
});

test('a token in a subprotocol is read and removed; the others stay, and one of them is chosen', async () => {
  const service = await startService();
  const running = await gatewayTo([service.origin], { route: { public: false } });
  const token = await issueToken();
  const socket = await opened(running.port, ['chat', tokenProtocol(token), 'v2']);
  expect(socket.protocol).toBe('chat');
  expect(service.handshakes[0]!.headers['sec-websocket-protocol']).toBe('chat, v2');
  expect(JSON.stringify(running.accessLog())).not.toContain(token);
});

test('a subprotocol with the token alone leaves no such header', async () => {
  const service = await startService();
  const running = await gatewayTo([service.origin], { route: { public: false } });
  const { text } = await rawRequest(
    running.port,
    head(`Sec-WebSocket-Protocol: ${tokenProtocol(await issueToken())}`),
    { until: (sofar) => sofar.endsWith('\r\n\r\n') },
  );
  expect(text).toMatch(/^HTTP\/1\.1 101 /);
  expect(text).not.toMatch(/sec-websocket-protocol/i);
  expect(service.handshakes[0]!.headers['sec-websocket-protocol']).toBeUndefined();
});

test('refusals come before the handshake, as problem details, and the service hears nothing', async () => {
  const service = await startService();
  const running = await gatewayTo([service.origin], {
    route: { public: false, endpoint: '/', access: { roles: ['realm:admin'], scopes: [], clients: [] } },
  });
  expect(problemOf(await refusalOf(running.port))).toEqual({ status: 401, code: 'token_missing' });
  expect(problemOf(await refusalOf(running.port, 'Authorization: Bearer x'))).toEqual({
    status: 401,
    code: 'token_invalid',
  });
  const authorization = `Authorization: Bearer ${await issueToken()}`;
  expect(problemOf(await refusalOf(running.port, authorization))).toEqual({
    status: 403,
    code: 'access_denied',
  });
  running.gateway.apply({ routes: [] });
  expect(problemOf(await refusalOf(running.port, authorization))).toEqual({
    status: 404,
    code: 'no_such_service',
  });
  expect(service.handshakes).toEqual([]);
  await expectAtRest(running);
});

test('a refused client that sends on still gets its answer', async () => {
  const running = await gatewayTo(['http://127.0.0.1:9'], { route: { public: false } });
  const { text, reset } = await rawRequest(
    running.port,
    [head() + 'x'.repeat(200_000), 'x'.repeat(200_000)],
    {
      halfClose: true,
    },
  );
  expect(text).toMatch(/^HTTP\/1\.1 401 [^]*token_missing/);
  expect(reset).toBe(false);
  await expectAtRest(running);
});

test('a service that refuses the handshake is passed on, with its body', async () => {
  const body = 'no entry '.repeat(300_000);
  const upstream = await startUpstream((_request, response) => {
    response.writeHead(403, { 'Set-Cookie': ['a=1', 'b=2'], 'X-Reason': 'closed' });
    response.end(body);
  });
  const running = await gatewayTo([upstream.origin]);
  const answer = await refusalOf(running.port);
  expect(answer).toMatchObject({ status: 403, reason: 'Forbidden' });
  expect(answer.body).toBe(body);
  expect(answer.headers.filter(([name]) => name === 'Set-Cookie')).toHaveLength(2);
  await expectAtRest(running);
  expect(running.accessLog().at(-1)).toMatchObject({ status: 403, bytesOut: body.length });
});

test.each(['204 No Content', '304 Not Modified'])(
  'a handshake answered with %s has no body',
  async (line) => {
    const upstream = await startRawUpstream((socket) =>
      onMessage(socket, '\r\n\r\n', () => socket.write(`HTTP/1.1 ${line}\r\nX-A: 1\r\n\r\n`)),
    );
    const running = await gatewayTo([upstream.origin]);
    const { text, closed: ended } = await rawRequest(running.port, head());
    expect(text).toMatch(new RegExp(`^HTTP/1\\.1 ${line}\r\n`));
    expect(text).toMatch(/\r\n\r\n$/);
    expect(text).not.toMatch(/transfer-encoding/i);
    expect(ended).toBe(true);
    await expectAtRest(running);
  },
);

test('a refusal that breaks off is cut', async () => {
  const upstream = await startRawUpstream((socket) =>
    onMessage(socket, '\r\n\r\n', () =>
      socket.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nabc', () => socket.destroy()),
    ),
  );
  const running = await gatewayTo([upstream.origin]);
  expect((await rawRequest(running.port, head())).closed).toBe(true);
  await expectAtRest(running);
  expect(running.accessLog().at(-1)).toMatchObject({ status: 403, code: 'upstream_unreachable' });
});

test('a service that is down is 502; another member is asked where there is one', async () => {
  const down = `http://127.0.0.1:${await freePort()}`;
  const running = await gatewayTo([down]);
  expect(problemOf(await refusalOf(running.port))).toEqual({ status: 502, code: 'upstream_unreachable' });
  await expectAtRest(running);
  const service = await startService();
  const both = await gatewayTo([down, service.origin]);
  for (let i = 0; i < 3; i++) (await opened(both.port)).close();
  expect(service.handshakes).toHaveLength(3);
  await expectAtRest(both);
});

test('without a healthy member a handshake is 503', async () => {
  const service = await startService();
  const running = await gatewayTo([service.origin]);
  running.gateway.apply({ unhealthy: [service.origin] });
  expect(problemOf(await refusalOf(running.port))).toEqual({ status: 503, code: 'service_unavailable' });
  await expectAtRest(running);
});

test.each([
  ['a wrong Sec-WebSocket-Accept', ACCEPTED.replace('s3pP', 'S3pP')],
  ['no Sec-WebSocket-Accept', ACCEPTED.replace(/Sec-.*\r\n/, '')],
  ['another protocol', ACCEPTED.replace('websocket', 'h2c')],
  ['101 without an upgrade', 'HTTP/1.1 101 Switching Protocols\r\n\r\n'],
  ['a status that is none', 'HTTP/1.1 099 None\r\nContent-Length: 0\r\n\r\n'],
  ['a status of a class that is none', 'HTTP/1.1 600 None\r\nContent-Length: 0\r\n\r\n'],
  ['NUL in its reason', 'HTTP/1.1 403 N\0\r\nContent-Length: 0\r\n\r\n'],
  ['a coding that nobody undoes', 'HTTP/1.1 403 No\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n'],
  ['no HTTP', 'hello\r\n\r\n'],
])('an answer with %s is 502 upstream_invalid', async (_name, answer) => {
  const upstream = await startRawUpstream((socket) =>
    onMessage(socket, '\r\n\r\n', () => socket.write(answer)),
  );
  const running = await gatewayTo([upstream.origin]);
  const { text } = await rawRequest(running.port, head());
  expect(text).not.toContain(' 101 ');
  expect(problemOf(parseResponses(text)[0]!)).toEqual({ status: 502, code: 'upstream_invalid' });
  await expectAtRest(running);
});

test('a service that closes before it answers a handshake is 502, and was asked once', async () => {
  let asked = 0;
  const upstream = await startRawUpstream((socket) =>
    onMessage(socket, '\r\n\r\n', () => {
      asked++;
      socket.destroy();
    }),
  );
  const running = await gatewayTo([upstream.origin, upstream.origin]);
  expect(problemOf(await refusalOf(running.port))).toEqual({ status: 502, code: 'upstream_unreachable' });
  expect(asked).toBe(1);
  await expectAtRest(running);
});

test('a service that does not answer a handshake in time is 504', async () => {
  const upstream = await startRawUpstream(() => undefined);
  const running = await gatewayTo([upstream.origin], {
    settings: { timeouts: { ...TIMEOUTS, response: 200 } },
  });
  expect(problemOf(await refusalOf(running.port))).toEqual({ status: 504, code: 'upstream_timeout' });
  await expectAtRest(running);
});

test('bytes right behind the handshake are not lost, on either side', async () => {
  const got = Promise.withResolvers<string>();
  const upstream = await startRawUpstream((socket) => {
    let text = '';
    socket.on('data', (data) => {
      text += data.toString('latin1');
      const at = text.indexOf('\r\n\r\n');
      if (at >= 0 && socket.bytesWritten === 0) socket.write(`${ACCEPTED}\x81\x02hi`, 'latin1');
      if (at >= 0 && text.length >= at + 4 + 8) got.resolve(text.slice(at + 4));
    });
  });
  const running = await gatewayTo([upstream.origin]);
  const frames = '\x81\x82\x00\x00\x00\x00ab';
  const { text } = await rawRequest(running.port, [head() + frames.slice(0, 5), frames.slice(5)], {
    until: (sofar) => sofar.endsWith('\x81\x02hi'),
  });
  expect(text).toMatch(/^HTTP\/1\.1 101 /);
  expect(await got.promise).toBe(frames);
  await expectAtRest(running);
});

test('a WebSocket is closed with 1008 at the end of the token', async () => {
  const service = await startService();
  const running = await gatewayTo([service.origin], { route: { public: false } });
  const exp = Math.floor(Date.now() / 1000) + 2;
  const socket = await opened(running.port, [], { headers: await bearer({ exp }) });
  const gone = closing(service.sockets[0]!);
  expect(await closing(socket)).toMatchObject({ code: 1008 });
  await gone;
  await expectAtRest(running);
  expect(running.accessLog().at(-1)).toMatchObject({ status: 101, code: 'token_expired' });
});

test('no close frame is put inside of another frame: such a connection is just cut', async () => {
  const upstream = await startRawUpstream((socket) =>
    onMessage(socket, '\r\n\r\n', () => socket.write(`${ACCEPTED}\x82\x7e\x10\x00part`, 'latin1')),
  );
  const running = await gatewayTo([upstream.origin], { route: { public: false } });
  const exp = Math.floor(Date.now() / 1000) + 2;
  const { text } = await rawRequest(
    running.port,
    head(`Authorization: ${(await bearer({ exp })).authorization}`),
  );
  expect(text.endsWith('\x82\x7e\x10\x00part')).toBe(true);
  await expectAtRest(running);
});

test('a handshake that waits when its token ends gets 401', async () => {
  const upstream = await startRawUpstream(() => undefined);
  const running = await gatewayTo([upstream.origin], { route: { public: false } });
  const exp = Math.floor(Date.now() / 1000) + 2;
  const answer = await refusalOf(running.port, `Authorization: ${(await bearer({ exp })).authorization}`);
  expect(problemOf(answer)).toEqual({ status: 401, code: 'token_expired' });
  await expectAtRest(running);
});

test('a tunnel without a byte either way is closed after the idle time', async () => {
  const service = await startService();
  const running = await gatewayTo([service.origin], { settings: { timeouts: { ...TIMEOUTS, idle: 300 } } });
  const socket = await opened(running.port);
  expect(await closing(socket)).toMatchObject({ code: 1001 });
  await expectAtRest(running);
});

test('draining closes WebSockets with 1001 and refuses handshakes that wait', async () => {
  const service = await startService();
  const silent = await startRawUpstream(() => undefined);
  const running = await gatewayTo([service.origin]);
  const socket = await opened(running.port);
  running.gateway.apply({
    routes: [{ ...running.gateway.match('', '/')!.route, upstream: [silent.origin] }],
  });
  const waiting = refusalOf(running.port);
  await vi.waitFor(() => expect(running.gateway.tunnels.size).toBe(2));
  const [answer, end] = await Promise.all([waiting, closing(socket), running.server.drain()]);
  expect(end).toMatchObject({ code: 1001 });
  expect(problemOf(answer)).toEqual({ status: 503, code: 'service_unavailable' });
  await expectAtRest(running);
});

test('every other upgrade is an ordinary request without the upgrade', async () => {
  const upstream = await startUpstream();
  const running = await gatewayTo([upstream.origin]);
  const others = [
    ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__'],
    ['Connection: Upgrade', 'Upgrade: TLS/1.0'],
    ['Connection: Upgrade', 'Upgrade: websocket, h2c'],
  ];
  for (const lines of others) {
    const bytes = `${['GET / HTTP/1.1', 'Host: a', ...lines].join('\r\n')}\r\n\r\n`;
    const { text } = await rawRequest(running.port, bytes, { until: untilResponses(1) });
    expect(parseResponses(text)[0]).toMatchObject({ status: 200, body: 'ok' });
  }
  for (const { headers } of upstream.seen) {
    expect(headers.upgrade).toBeUndefined();
    expect(headers['http2-settings']).toBeUndefined();
  }
  await expectAtRest(running);
});

test.each([
  ['a length', ['Content-Length: 3'], 'abc'],
  ['chunks', ['Transfer-Encoding: chunked'], '3\r\nabc\r\n0\r\n\r\n'],
])('a handshake with a body of %s is no tunnel', async (_name, lines, body) => {
  const upstream = await startUpstream();
  const running = await gatewayTo([upstream.origin]);
  const { text } = await rawRequest(running.port, head(...lines) + body, { until: untilResponses(1) });
  expect(parseResponses(text)[0]).toMatchObject({ status: 200 });
  expect(upstream.seen).toMatchObject([{ body: 'abc' }]);
  expect(upstream.seen[0]!.headers.upgrade).toBeUndefined();
  await expectAtRest(running);
});

test('a handshake that says that its body is empty opens a tunnel', async () => {
  const upstream = await startRawUpstream((socket) =>
    onMessage(socket, '\r\n\r\n', () => socket.write(ACCEPTED)),
  );
  const running = await gatewayTo([upstream.origin]);
  const { text } = await rawRequest(running.port, head('Content-Length: 0'), {
    until: (answer) => answer.endsWith('\r\n\r\n'),
  });
  expect(text).toMatch(/^HTTP\/1\.1 101 /);
});

test.each([
  ['is answered at once', 'GET /a/.. HTTP/1.1\r\nHost: a\r\n\r\n', 'HTTP/1.1 400 '],
  ['a service answers', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', 'HTTP/1.1 204 '],
])('a handshake right behind a request that %s waits for that answer', async (_name, before, first) => {
  const upstream = await startRawUpstream((socket) =>
    onMessage(socket, '\r\n\r\n', (text) =>
      socket.write(text.includes('Upgrade') ? ACCEPTED : 'HTTP/1.1 204 No Content\r\n\r\n'),
    ),
  );
  const running = await gatewayTo([upstream.origin]);
  const socket = connect(running.port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  socket.write(before + head() + 'early');
  let text = '';
  while (!text.includes('HTTP/1.1 101 ')) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    text += chunk.toString('latin1');
  }
  expect(text.startsWith(first)).toBe(true);
});

test('a handshake follows on the connection of an answered request', async () => {
  const upstream = await startRawUpstream((socket) =>
    onMessage(socket, '\r\n\r\n', () => socket.write(ACCEPTED)),
  );
  const running = await gatewayTo([upstream.origin]);
  const socket = connect(running.port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  socket.write('GET /a/.. HTTP/1.1\r\nHost: a\r\n\r\n');
  await once(socket, 'data');
  socket.write(head());
  const [answer] = (await once(socket, 'data')) as [Buffer];
  expect(answer.toString()).toMatch(/^HTTP\/1\.1 101 /);
});

test('a client that vanishes takes its tunnel with it, and so does a service', async () => {
  const service = await startService();
  const running = await gatewayTo([service.origin]);
  const first = await opened(running.port);
  const gone = closing(service.sockets[0]!);
  first.terminate();
  expect(await gone).toMatchObject({ code: 1006 });
  await expectAtRest(running);
  const second = await opened(running.port);
  const cut = closing(second);
  service.sockets[1]!.terminate();
  expect(await cut).toMatchObject({ code: 1006 });
  await expectAtRest(running);
  await vi.waitFor(() => expect(running.server.connections).toBe(0));
});

test.each(['end', 'reset'])(
  'a client that leaves (%s) before the answer takes the handshake back',
  async (way) => {
    const arrived = Promise.withResolvers<Socket>();
    const upstream = await startRawUpstream((socket) => socket.once('data', () => arrived.resolve(socket)));
    const running = await gatewayTo([upstream.origin]);
    const client = connect(running.port, '127.0.0.1');
    client.on('error', () => undefined);
    client.write(head());
    const socket = await arrived.promise;
    if (way === 'end') client.end();
    else client.resetAndDestroy();
    await closed(socket);
    await expectAtRest(running);
    expect(running.accessLog().at(-1)).toMatchObject({ status: 0 });
  },
);

test('a client that resets while its token is still being checked leaves nothing behind', async () => {
  const service = await startService();
  const running = await gatewayTo([service.origin], { route: { public: false } });
  for (let i = 0; i < 10; i++) {
    const client = connect(running.port, '127.0.0.1');
    client.on('error', () => undefined);
    const { authorization } = await bearer({ jti: String(i) });
    client.write(head(`Authorization: ${authorization}`), () => client.resetAndDestroy());
    await closed(client);
  }
  await expectAtRest(running);
});

test('a tunnel holds up the faster side instead of buffering for the slower one', async () => {
  const upstream = await startRawUpstream((socket) =>
    onMessage(socket, '\r\n\r\n', () => {
      socket.write(ACCEPTED);
      const frame = Buffer.concat([Buffer.from([0x82, 0x7e, 0xff, 0xff]), Buffer.alloc(65_535)]);
      const more = (): void => {
        while (socket.bytesWritten < 400 * MIB && socket.write(frame));
        if (socket.bytesWritten < 400 * MIB) socket.once('drain', more);
      };
      more();
      held = socket;
    }),
  );
  let held: Socket | undefined;
  const running = await gatewayTo([upstream.origin]);
  const client = connect(running.port, '127.0.0.1').pause();
  onTestFinished(() => void client.destroy());
  client.write(head());
  let before = -1;
  while (held === undefined || held.bytesWritten !== before) {
    before = held?.bytesWritten ?? -1;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  expect(before).toBeLessThan(32 * MIB);
  client.destroy();
  await expectAtRest(running);
  expect(Number(running.accessLog().at(-1)!['bytesOut'])).toBeLessThan(16 * MIB);
});
