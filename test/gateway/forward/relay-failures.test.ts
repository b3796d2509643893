import type { Socket } from 'node:net';
import { expect, test, vi } from 'vitest';
import { gatewaySettings, startRawUpstream, startUpstream } from '../../support/gateway.ts';
import { headerValues } from '../../support/parse-responses.ts';
import { rawRequest } from '../../support/raw-request.ts';
import { freePort } from '../../support/free-port.ts';
import { bodyOf, exchangeRaw, expectAtRest, gatewayTo, problemOf, responseTo, send } from './client.ts';
import { onMessage } from './upstream-server.ts';

const { timeouts: TIMEOUTS } = gatewaySettings();
const GET = ['GET / HTTP/1.1'];

async function refusingOrigin(): Promise<string> {
  return `http://127.0.0.1:${await freePort()}`;
}

/** Counts connections and complete request heads, and does as `behave` says on each head. */
async function counting(behave: (socket: Socket, request: number) => void) {
  const counts = { connections: 0, requests: 0 };
  const upstream = await startRawUpstream((socket) => {
    counts.connections++;
    onMessage(socket, '\r\n\r\n', () => behave(socket, ++counts.requests));
  });
  return { ...upstream, counts };
}

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

test('a service that refuses the connection is 502 upstream_unreachable', async () => {
  const running = await gatewayTo([await refusingOrigin()]);
  const [answer] = await exchangeRaw(running.port, GET);
  expect(problemOf(answer!)).toEqual({ status: 502, code: 'upstream_unreachable' });
  await expectAtRest(running);
  expect(running.logged).toMatchObject([{ fields: { kind: 'unreachable' } }]);
});

test('a service that takes no connection in time is 504', async () => {
  // A server that never accepts: once its backlog is full, the kernel answers no SYN.
  const running = await gatewayTo(['http://192.0.2.1:81'], {
    settings: { timeouts: { ...TIMEOUTS, connect: 200 } },
  });
  const [answer] = await exchangeRaw(running.port, GET);
  // A machine without a route to the test network says so at once.
  if (answer!.status !== 502) expect(problemOf(answer!)).toEqual({ status: 504, code: 'upstream_timeout' });
  await expectAtRest(running);
});

test('a service that does not answer in time is 504, counted from the last byte of the request', async () => {
  const heads: string[] = [];
  const upstream = await startRawUpstream((socket) =>
    socket.on('data', (data) => heads.push(data.toString())),
  );
  const running = await gatewayTo([upstream.origin], {
    settings: { timeouts: { ...TIMEOUTS, response: 300 } },
  });
  const request = send(running.port, { method: 'POST', headers: { 'content-length': 3 } });
  const answered = responseTo(request);
  const startedAt = performance.now();
  request.write('a');
  await new Promise((resolve) => setTimeout(resolve, 500));
  request.end('bc');
  const response = await answered;
  expect(response.statusCode).toBe(504);
  expect(JSON.parse(await bodyOf(response))).toMatchObject({ code: 'upstream_timeout' });
  expect(performance.now() - startedAt).toBeGreaterThan(600);
  expect(heads.join('')).toContain('abc');
  await expectAtRest(running);
});

test('a client that stops in the middle of its body is 408 after the idle time', async () => {
  const upstream = await startUpstream();
  const running = await gatewayTo([upstream.origin], { settings: { timeouts: { ...TIMEOUTS, idle: 200 } } });
  const { text } = await rawRequest(running.port, 'PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na');
  expect(text).toMatch(/^HTTP\/1\.1 408 /);
  await expectAtRest(running);
  expect(upstream.seen).toEqual([]);
});

test('an answer that stops in its middle is cut after the idle time', async () => {
  const upstream = await counting((socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na'));
  const running = await gatewayTo([upstream.origin], { settings: { timeouts: { ...TIMEOUTS, idle: 200 } } });
  const response = await responseTo(send(running.port).end());
  await expect(bodyOf(response)).rejects.toThrow('aborted');
  await expectAtRest(running);
  expect(running.accessLog().at(-1)).toMatchObject({ status: 200, code: 'upstream_timeout', bytesOut: 1 });
});

test('a service that closes before its answer is 502, and a POST was sent once', async () => {
  const upstream = await counting((socket) => socket.destroy());
  const running = await gatewayTo([upstream.origin]);
  const [answer] = await exchangeRaw(running.port, ['POST / HTTP/1.1', 'Content-Length: 0']);
  expect(problemOf(answer!)).toEqual({ status: 502, code: 'upstream_unreachable' });
  expect(upstream.counts).toEqual({ connections: 1, requests: 1 });
  await expectAtRest(running);
});

test.each([
  ['with a length', 'Content-Length: 10', 'abc'],
  ['in chunks', 'Transfer-Encoding: chunked', '3\r\nabc\r\n'],
])('a body %s that breaks off does not look complete to the client', async (_name, framing, part) => {
  const upstream = await counting((socket) =>
    socket.write(`HTTP/1.1 200 OK\r\n${framing}\r\n\r\n${part}`, () => socket.destroy()),
  );
  const running = await gatewayTo([upstream.origin]);
  const { text, closed } = await rawRequest(running.port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  expect(closed).toBe(true);
  expect(text).not.toMatch(/\r\n0\r\n\r\n$/);
  await expectAtRest(running);
  expect(running.accessLog().at(-1)).toMatchObject({ status: 200, code: 'upstream_unreachable' });
});

test.each([
  ['no HTTP at all', 'SSH-2.0-OpenSSH_9.9\r\n'],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'],
  ['a bare line feed', 'HTTP/1.1 200 OK\nContent-Length: 0\n\n'],
])('%s from a service is 502 upstream_invalid', async (_name, bytes) => {
  const upstream = await counting((socket) => socket.write(bytes));
  const running = await gatewayTo([upstream.origin]);
  const [answer] = await exchangeRaw(running.port, GET);
  expect(problemOf(answer!)).toEqual({ status: 502, code: 'upstream_invalid' });
  await expectAtRest(running);
});

test('without a healthy member a request is 503 with Retry-After', async () => {
  const upstream = await startUpstream();
  const running = await gatewayTo([upstream.origin]);
  running.gateway.apply({ unhealthy: [upstream.origin] });
  const [answer] = await exchangeRaw(running.port, GET);
  expect(problemOf(answer!)).toEqual({ status: 503, code: 'service_unavailable' });
  expect(headerValues(answer!, 'retry-after')).toEqual(['1']);
  running.gateway.apply({ unhealthy: [] });
  expect((await exchangeRaw(running.port, GET))[0]).toMatchObject({ status: 200 });
  await expectAtRest(running);
});

test.each([
  ['that says nothing of a body', []],
  ['with a length of 0', ['Content-Length: 0']],
])(
  'a safe request %s is sent once more when a kept connection had closed, and only once',
  async (_name, lines) => {
    const upstream = await counting((socket, request) => {
      if (request === 1) socket.write(OK);
      else socket.destroy();
    });
    const running = await gatewayTo([upstream.origin]);
    expect((await exchangeRaw(running.port, GET))[0]!.status).toBe(200);
    expect((await exchangeRaw(running.port, [...GET, ...lines]))[0]!.status).toBe(502);
    expect(upstream.counts).toEqual({ connections: 2, requests: 3 });
    await expectAtRest(running);
  },
);

test.each(['POST', 'PUT', 'DELETE', 'PATCH'])('%s is never sent twice', async (method) => {
  const upstream = await counting((socket, request) => {
    if (request === 1) socket.write(OK);
    else socket.destroy();
  });
  const running = await gatewayTo([upstream.origin]);
  expect((await exchangeRaw(running.port, GET))[0]!.status).toBe(200);
  expect((await exchangeRaw(running.port, [`${method} / HTTP/1.1`]))[0]!.status).toBe(502);
  expect(upstream.counts).toEqual({ connections: 1, requests: 2 });
  await expectAtRest(running);
});

test('a GET with a body is never sent twice', async () => {
  const upstream = await counting((socket, request) => {
    if (request === 1) socket.write(OK);
    else socket.destroy();
  });
  const running = await gatewayTo([upstream.origin]);
  await exchangeRaw(running.port, GET);
  const [answer] = await exchangeRaw(running.port, [...GET, 'Content-Length: 4'], '\r\n\r\n');
  expect(answer!.status).toBe(502);
  expect(upstream.counts.connections).toBe(1);
  await expectAtRest(running);
});

test.each([
  ['GET', GET, '', ''],
  ['POST with a length', ['POST / HTTP/1.1', 'Content-Length: 5'], 'hello', 'hello'],
  ['POST in chunks', ['POST / HTTP/1.1', 'Transfer-Encoding: chunked'], '5\r\nhello\r\n0\r\n\r\n', 'hello'],
])('%s goes to another member when one refuses the connection', async (_name, lines, body, seen) => {
  const upstream = await startUpstream();
  const running = await gatewayTo([await refusingOrigin(), await refusingOrigin(), upstream.origin]);
  for (let i = 0; i < 3; i++) {
    expect((await exchangeRaw(running.port, lines, body))[0]!.status).toBe(200);
  }
  expect(upstream.seen.map((request) => request.body)).toEqual([seen, seen, seen]);
  await expectAtRest(running);
});

test('a large upload that began before a member refused the connection arrives whole at another', async () => {
  const upstream = await startUpstream();
  const running = await gatewayTo([await refusingOrigin(), upstream.origin]);
  for (let i = 0; i < 2; i++) {
    const request = send(running.port, { method: 'PUT' });
    const text = Array.from({ length: 200_000 }, (_, n) => `${n};`).join('');
    request.end(text);
    const response = await responseTo(request);
    expect([response.statusCode, await bodyOf(response)]).toEqual([200, 'ok']);
    expect(upstream.seen[i]!.body).toBe(text);
  }
  await expectAtRest(running);
});

test('when every member refuses, each was tried once', async () => {
  const running = await gatewayTo([await refusingOrigin(), await refusingOrigin()]);
  const [answer] = await exchangeRaw(running.port, ['POST / HTTP/1.1', 'Content-Length: 1'], 'x');
  expect(problemOf(answer!)).toEqual({ status: 502, code: 'upstream_unreachable' });
  await expectAtRest(running);
});

test('a member that closed after it took the request is not replaced by another', async () => {
  const first = await counting((socket) => socket.destroy());
  const second = await counting((socket) => socket.destroy());
  const running = await gatewayTo([first.origin, second.origin]);
  const [answer] = await exchangeRaw(running.port, GET);
  expect(answer!.status).toBe(502);
  expect(first.counts.requests + second.counts.requests).toBe(1);
  await expectAtRest(running);
});

test('requests go to the member with the fewest in progress', async () => {
  const held: (() => void)[] = [];
  const slow = await startUpstream((_request, response) => void held.push(() => response.end('slow')));
  const fast = await startUpstream();
  const running = await gatewayTo([slow.origin, fast.origin]);
  const waiting = [send(running.port).end()];
  while (slow.seen.length === 0) {
    const response = responseTo(send(running.port).end());
    await Promise.race([response, vi.waitFor(() => expect(slow.seen.length).toBe(1), { interval: 5 })]);
  }
  const before = fast.seen.length;
  for (let i = 0; i < 6; i++) expect(await bodyOf(await responseTo(send(running.port).end()))).toBe('ok');
  expect(slow.seen).toHaveLength(1);
  expect(fast.seen).toHaveLength(before + 6);
  held.forEach((end) => end());
  waiting.forEach((request) => request.destroy());
  await expectAtRest(running);
});

test('a response head that takes a whole connection is not mistaken for the next answer', async () => {
  const upstream = await counting((socket, request) => socket.write(request === 1 ? OK + OK : OK));
  const running = await gatewayTo([upstream.origin]);
  await exchangeRaw(running.port, GET);
  await exchangeRaw(running.port, GET);
  expect(upstream.counts.connections).toBe(2);
  await expectAtRest(running);
});
