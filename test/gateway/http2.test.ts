import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { constants } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { connect as connectTls } from 'node:tls';
import { expect, onTestFinished, test, vi } from 'vitest';
import { gatewaySettings, startRawUpstream, startUpstream } from '../support/gateway.ts';
import { parseResponses } from '../support/parse-responses.ts';
import { rawRequest } from '../support/raw-request.ts';
import { bearer, bodyOf, expectAtRest, responseTo } from './forward/client.ts';
import { closed, onMessage } from './forward/upstream-server.ts';
import { answerOf, ask, CA, FRAME, openSession, RawHttp2, secureGatewayTo, TLS } from './http2-client.ts';

const MIB = 1024 * 1024;
const { timeouts: TIMEOUTS, limits: LIMITS } = gatewaySettings();
const codeOf = ({ body }: { body: string }): string => (JSON.parse(body) as { code: string }).code;

/** A service that answers every request without a body with these bytes. */
function answering(answer: string) {
  return startRawUpstream((socket) => onMessage(socket, '\r\n\r\n', () => socket.write(answer, 'latin1')));
}

test('a GET goes to the service as HTTP/1.1 with the identity of its token', async () => {
  const upstream = await startUpstream();
  const running = await secureGatewayTo(upstream.origin, { route: { public: false } });
  const session = openSession(running.port);
  const answer = await ask(session, { ':path': '/x?y=1', ...(await bearer()) });
  expect(answer).toMatchObject({ status: 200, body: 'ok', reset: 0 });
  expect(upstream.seen[0]).toMatchObject({ method: 'GET', url: '/x?y=1' });
  expect(upstream.seen[0]!.headers).toMatchObject({
    host: upstream.origin.slice(7),
    'x-forwarded-host': `localhost:${running.port}`,
    'x-forwarded-proto': 'https',
    'x-forwarded-user': 'alice-id',
  });
  expect(upstream.seen[0]!.rawHeaders.filter((name) => name.startsWith(':'))).toEqual([]);
  await expectAtRest(running);
  expect(running.accessLog().at(-1)).toMatchObject({ protocol: '2.0', status: 200, user: 'alice' });
});

test('refusals are problem details, for HEAD too, and the session serves on', async () => {
  const upstream = await startUpstream();
  const running = await secureGatewayTo(upstream.origin, { route: { public: false } });
  const session = openSession(running.port);
  const refused = await ask(session);
  expect([refused.status, codeOf(refused)]).toEqual([401, 'token_missing']);
  expect(refused.headers['www-authenticate']).toBe('Bearer realm="demo"');
  expect(await ask(session, { ':method': 'HEAD' })).toMatchObject({ status: 401, body: '', reset: 0 });
  const posted = await ask(session, { ':method': 'POST' }, 'x'.repeat(1000));
  expect([posted.status, codeOf(posted)]).toEqual([401, 'token_missing']);
  expect((await ask(session, await bearer())).status).toBe(200);
  await expectAtRest(running);
});

test('a large upload to a refusal is stopped, not read to its end', async () => {
  const upstream = await startUpstream();
  const running = await secureGatewayTo(upstream.origin, { route: { public: false } });
  const session = openSession(running.port);
  const stream = session.request({ ':method': 'POST', ':path': '/' });
  stream.write(Buffer.alloc(8 * MIB));
  expect(await answerOf(stream)).toMatchObject({ status: 401, reset: 0 });
  expect((await ask(session, await bearer())).status).toBe(200);
  await expectAtRest(running);
});

test('an answer before the end of an upload reaches the client, which is told to stop', async () => {
  const upstream = await startRawUpstream((socket) =>
    socket.once('data', () => {
      socket.pause();
      socket.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno');
    }),
  );
  const running = await secureGatewayTo(upstream.origin);
  const session = openSession(running.port);
  const stream = session.request({ ':method': 'POST', ':path': '/' });
  const chunk = Buffer.alloc(64 * 1024);
  const pump = (): void => {
    while (!stream.destroyed && stream.write(chunk));
  };
  stream.on('drain', pump);
  pump();
  expect(await answerOf(stream)).toMatchObject({ status: 403, body: 'no', reset: 0 });
  await expectAtRest(running);
});

test('bodies pass both ways with and without a length, and their trailers', async () => {
  const upstream = await startUpstream((request, response) => {
    response.writeHead(200, { trailer: 'x-sum' });
    request.on('data', (chunk) => response.write(chunk));
    request.on('end', () => {
      response.addTrailers({ 'X-Sum': '7', 'Set-Cookie': 'a=b' });
      response.end();
    });
  });
  const running = await secureGatewayTo(upstream.origin);
  const session = openSession(running.port);
  const text = 'x'.repeat(3 * MIB);
  expect((await ask(session, { ':method': 'POST', 'content-length': text.length }, text)).body).toBe(text);
  expect(upstream.seen[0]!.headers['content-length']).toBe(String(text.length));
  const stream = session.request({ ':method': 'POST', ':path': '/' }, { waitForTrailers: true });
  stream.once('wantTrailers', () => stream.sendTrailers({ 'x-up': '1', authorization: 'Bearer x' }));
  stream.end(text);
  const answer = await answerOf(stream);
  expect(answer.body).toBe(text);
  expect(Object.entries(answer.trailers)).toEqual([['x-sum', '7']]);
  expect(upstream.seen[1]).toMatchObject({ rawTrailers: ['x-up', '1'] });
  expect(upstream.seen[1]!.headers['transfer-encoding']).toBe('chunked');
  await expectAtRest(running);
});

test('a body of another length than announced ends the stream, and the service sees no whole request', async () => {
  const upstream = await startUpstream((request) => void request.on('error', () => undefined));
  const running = await secureGatewayTo(upstream.origin);
  const session = openSession(running.port);
  for (const length of [3, 9]) {
    const answer = await ask(session, { ':method': 'POST', 'content-length': length }, 'hello');
    expect(answer.status).not.toBe(200);
    expect(answer.reset).not.toBe(constants.NGHTTP2_NO_ERROR);
  }
  await expectAtRest(running);
  expect(upstream.seen).toEqual([]);
});

test('HEAD, 204 and 304 have no body', async () => {
  const lines = ['200 OK\r\nContent-Length: 7', '204 No Content', '304 Not Modified\r\nContent-Length: 9'];
  let next = 0;
  const upstream = await startRawUpstream((socket) =>
    onMessage(socket, '\r\n\r\n', () => socket.write(`HTTP/1.1 ${lines[next++]!}\r\n\r\n`)),
  );
  const running = await secureGatewayTo(upstream.origin);
  const session = openSession(running.port);
  const toHead = await ask(session, { ':method': 'HEAD' });
  expect(toHead).toMatchObject({ status: 200, body: '', reset: 0 });
  expect(toHead.headers['content-length']).toBe('7');
  expect(await ask(session)).toMatchObject({ status: 204, body: '', reset: 0 });
  expect(await ask(session)).toMatchObject({ status: 304, body: '', reset: 0 });
  await expectAtRest(running);
});

test('1xx answers pass, and Expect: 100-continue goes to the service and back', async () => {
  const upstream = await startUpstream((request, response) => {
    response.writeEarlyHints({ link: '</a.css>; rel=preload' });
    request.once('end', () => response.end('ok'));
  });
  const running = await secureGatewayTo(upstream.origin);
  const session = openSession(running.port);
  const hinted = await ask(session);
  expect(hinted.informational).toMatchObject([{ ':status': 103, link: '</a.css>; rel=preload' }]);
  const stream = session.request({ ':method': 'PUT', ':path': '/', expect: '100-continue' });
  const answer = answerOf(stream);
  await once(stream, 'continue');
  stream.end('data');
  expect(await answer).toMatchObject({ status: 200, body: 'ok' });
  expect(upstream.seen[1]!.body).toBe('data');
  await expectAtRest(running);
});

test('what a service sends for its own connection does not reach the client, and nothing doubled is lost', async () => {
  const fields = [
    'Connection: keep-alive, X-Internal',
    'X-Internal: 1',
    'Keep-Alive: timeout=5',
    'Upgrade: h2c',
    'Set-Cookie: a=1',
    'Set-Cookie: b=2',
    'Content-Type: text/a',
    'Content-Type: text/b',
    'ETag: "\xe9"',
    'Content-Length: 2',
  ];
  const upstream = await answering(`HTTP/1.1 200 OK\r\n${fields.join('\r\n')}\r\n\r\nok`);
  const running = await secureGatewayTo(upstream.origin);
  const answer = await ask(openSession(running.port));
  expect(answer).toMatchObject({ status: 200, body: 'ok', reset: 0 });
  expect(answer.headers['set-cookie']).toEqual(['a=1', 'b=2']);
  for (const name of ['connection', 'x-internal', 'keep-alive', 'upgrade']) {
    expect(answer.headers[name]).toBeUndefined();
  }
  await expectAtRest(running);
});

test.each([
  ['an answer', 'HTTP/1.1 200 OK\r\nHTTP2-Settings: AAMAAABk\r\nContent-Length: 0\r\n\r\n'],
  ['an interim answer', 'HTTP/1.1 103 Early Hints\r\nHTTP2-Settings: AAMAAABk\r\n\r\n'],
])('%s that HTTP/2 cannot carry is 502, and costs nobody else anything', async (_name, bytes) => {
  const upstream = await answering(bytes);
  const running = await secureGatewayTo(upstream.origin);
  const session = openSession(running.port);
  for (let i = 0; i < 2; i++) {
    const answer = await ask(session);
    expect([answer.status, codeOf(answer)]).toEqual([502, 'upstream_invalid']);
  }
  await expectAtRest(running);
});

test('requests on one connection are served at the same time', async () => {
  const waiting: (() => void)[] = [];
  const upstream = await startUpstream((request, response) => {
    waiting.push(() => response.end(request.url));
    if (waiting.length === 50) for (const end of waiting.reverse()) end();
  });
  const running = await secureGatewayTo(upstream.origin);
  const session = openSession(running.port);
  const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => ask(session, { ':path': `/${i}` })));
  expect(answers.map(({ body }) => body)).toEqual(Array.from({ length: 50 }, (_, i) => `/${i}`));
  await expectAtRest(running);
});

test('cookies that were split over fields reach the service as one', async () => {
  const upstream = await startUpstream();
  const running = await secureGatewayTo(upstream.origin);
  await ask(openSession(running.port), { cookie: ['a=1', 'b=2', 'c=3'] });
  const { rawHeaders } = upstream.seen[0]!;
  expect(rawHeaders.filter((name) => name.toLowerCase() === 'cookie')).toHaveLength(1);
  expect(upstream.seen[0]!.headers.cookie).toBe('a=1; b=2; c=3');
});

test('a Host that differs from :authority is 400', async () => {
  const upstream = await startUpstream();
  const running = await secureGatewayTo(upstream.origin);
  const session = openSession(running.port);
  const answer = await ask(session, { ':authority': 'a.example.com', host: 'b.example.com' });
  expect([answer.status, codeOf(answer)]).toEqual([400, 'malformed_request']);
  expect((await ask(session, { ':authority': 'a.example.com', host: 'a.example.com' })).status).toBe(200);
  expect(upstream.seen).toHaveLength(1);
});

const GET = [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':path', '/'],
  [':authority', 'localhost'],
] as const;

test.each<[string, readonly (readonly [string, string])[]]>([
  ['a path without a slash', GET.map((field) => (field[0] === ':path' ? [':path', 'hello'] : field))],
  ['a whole URL as path', GET.map((field) => (field[0] === ':path' ? [':path', 'http://x/'] : field))],
  ['an empty path', GET.map((field) => (field[0] === ':path' ? [':path', ''] : field))],
  ['a space in the path', GET.map((field) => (field[0] === ':path' ? [':path', '/a HTTP/1.1'] : field))],
  ['a line break in the path', GET.map((field) => (field[0] === ':path' ? [':path', '/a\r\nX: 1'] : field))],
  ['a fragment', GET.map((field) => (field[0] === ':path' ? [':path', '/a#b'] : field))],
  ['a space in the method', GET.map((field) => (field[0] === ':method' ? [':method', 'GET /x'] : field))],
  ['an empty method', GET.map((field) => (field[0] === ':method' ? [':method', ''] : field))],
  ['no path', GET.filter(([name]) => name !== ':path')],
  ['two paths', [...GET, [':path', '/b']]],
  ['an unknown pseudo-header', [...GET, [':user', 'root']]],
  ['a response pseudo-header', [...GET, [':status', '200']]],
  ['a pseudo-header behind a field', [...GET.slice(0, 3), ['x', '1'], GET[3]]],
  ['user information in the authority', [...GET.slice(0, 3), [':authority', 'a@b']]],
  ['a path in the authority', [...GET.slice(0, 3), [':authority', 'a/b']]],
  ['no authority and no host', GET.slice(0, 3)],
  ['two hosts', [...GET.slice(0, 3), ['host', 'a'], ['host', 'b']]],
  ['Connection', [...GET, ['connection', 'close']]],
  ['Transfer-Encoding', [...GET, ['transfer-encoding', 'chunked']]],
  ['Keep-Alive', [...GET, ['keep-alive', 'timeout=5']]],
  ['Upgrade', [...GET, ['upgrade', 'websocket']]],
  ['Proxy-Connection', [...GET, ['proxy-connection', 'close']]],
  ['TE other than trailers', [...GET, ['te', 'gzip']]],
  ['an upper-case name', [...GET, ['X-Forwarded-User', 'root']]],
  ['two lengths', [...GET, ['content-length', '0'], ['content-length', '5']]],
  [
    'CONNECT',
    [
      [':method', 'CONNECT'],
      [':authority', 'localhost:22'],
    ],
  ],
  ['extended CONNECT', [[':method', 'CONNECT'], [':protocol', 'websocket'], ...GET.slice(1)]],
])('a request with %s never reaches the service', async (_name, fields) => {
  const upstream = await startUpstream();
  const running = await secureGatewayTo(upstream.origin);
  const raw = await RawHttp2.open(running.port);
  raw.request(1, fields);
  await raw.ended(1);
  expect(upstream.seen).toEqual([]);
  expect((await ask(openSession(running.port))).status).toBe(200);
  await expectAtRest(running);
});

test('CONNECT is answered as over HTTP/1.1, and the connection goes on', async () => {
  const running = await secureGatewayTo((await startUpstream()).origin);
  const session = openSession(running.port);
  const stream = session.request({ ':method': 'CONNECT', ':authority': 'localhost:22' }, { endStream: true });
  const answer = await answerOf(stream);
  expect([answer.status, codeOf(answer)]).toEqual([400, 'ambiguous_path']);
  expect((await ask(session)).status).toBe(200);
});

// nghttp2 drops such a field as if it had not been sent, which RFC 9113 section 8.2.1 would have a stream end for.
test.each<[string, readonly (readonly [string, string])[]]>([
  ['a line break in a value', [...GET, ['x-a', '1\r\nX-Forwarded-User: root']]],
  ['a bare CR in a value', [...GET, ['x-a', '1\rX: 2']]],
  ['NUL in a value', [...GET, ['x-a', 'a\0b']]],
  ['a line break in a name', [...GET, ['x\r\ny', '1']]],
  ['a space in a name', [...GET, ['x-forwarded-user ', 'root']]],
  ['a colon in a name', [...GET, ['x: 1\r\nx-forwarded-user', 'root']]],
])('%s does not reach the service with the field', async (_name, fields) => {
  const upstream = await startUpstream();
  const running = await secureGatewayTo(upstream.origin);
  const raw = await RawHttp2.open(running.port);
  raw.request(1, fields);
  await raw.ended(1);
  for (const { rawHeaders } of upstream.seen) {
    expect(rawHeaders.join('\n')).not.toMatch(/root|^x$|^x-a$|^x-forwarded-user/im);
  }
  raw.socket.destroy();
  await expectAtRest(running);
});

test('bytes that UTF-8 has for U+010D and U+010A stay bytes, which end no line', async () => {
  const upstream = await startUpstream();
  const running = await secureGatewayTo(upstream.origin);
  const raw = await RawHttp2.open(running.port);
  for (const [i, length] of [8, 90].entries()) {
    const value = `${'a'.repeat(length)}\xc4\x8d\xc4\x8aX-Forwarded-User: root`;
    raw.request(2 * i + 1, [...GET, ['x-a', value]]);
    await raw.ended(2 * i + 1);
    expect(upstream.seen[i]?.headers['x-a']).toBe(value);
  }
  raw.socket.destroy();
  await expectAtRest(running);
});

test('a well-formed request of raw frames does reach the service', async () => {
  const upstream = await startUpstream();
  const running = await secureGatewayTo(upstream.origin);
  const raw = await RawHttp2.open(running.port);
  raw.request(1, [...GET, ['te', 'trailers'], ['x-forwarded-user', 'root'], ['x_forwarded_user', 'root']]);
  expect(await raw.ended(1)).toMatchObject({ stream: 1 });
  expect(upstream.seen).toHaveLength(1);
  expect(upstream.seen[0]!.headers['te']).toBe('trailers');
  expect(upstream.seen[0]!.rawHeaders).not.toContain('root');
  raw.socket.destroy();
  await expectAtRest(running);
});

test.each([constants.NGHTTP2_CANCEL, constants.NGHTTP2_NO_ERROR])(
  'a client that resets a stream with code %i in the middle of its body aborts the request at the service',
  async (code) => {
    const arrived = Promise.withResolvers<IncomingMessage>();
    const upstream = await startUpstream((request) => {
      request.on('error', () => undefined);
      request.once('data', () => arrived.resolve(request));
    });
    const running = await secureGatewayTo(upstream.origin);
    const raw = await RawHttp2.open(running.port);
    raw.request(1, [[':method', 'POST'], ...GET.slice(1)], false);
    raw.send(FRAME.data, 0, 1, Buffer.from('part'));
    const request = await arrived.promise;
    const reset = Buffer.alloc(4);
    reset.writeUInt32BE(code);
    raw.send(FRAME.reset, 0, 1, reset);
    await closed(request.socket);
    expect(request.complete).toBe(false);
    await expectAtRest(running);
    expect(upstream.seen).toEqual([]);
    expect(running.accessLog().at(-1)).toMatchObject({ status: 0, code: null });
  },
);

test('a client that leaves in the middle of an answer aborts it at the service', async () => {
  const upstream = await startUpstream((_request, response) => void response.write('some'));
  const running = await secureGatewayTo(upstream.origin);
  const session = openSession(running.port);
  const stream = session.request({ ':path': '/' });
  await once(stream, 'data');
  stream.close(constants.NGHTTP2_CANCEL);
  await expectAtRest(running);
  const other = session.request({ ':path': '/' });
  await once(other, 'data');
  session.destroy();
  await expectAtRest(running);
  const counted = running.gateway.metrics.toJSON().find(({ name }) => name === 'realmgate_requests_total');
  expect(counted!.values).toMatchObject([{ labels: { outcome: 'client_gone', status: 200 }, value: 2 }]);
});

test('an answer that breaks off resets its stream, and only that', async () => {
  const upstream = await startRawUpstream((socket) =>
    onMessage(socket, '\r\n\r\n', () =>
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc', () => socket.destroy()),
    ),
  );
  const running = await secureGatewayTo(upstream.origin);
  const session = openSession(running.port);
  expect((await ask(session)).reset).toBe(constants.NGHTTP2_INTERNAL_ERROR);
  expect((await ask(session)).reset).toBe(constants.NGHTTP2_INTERNAL_ERROR);
  expect(session.destroyed).toBe(false);
  await expectAtRest(running);
});

test('a stream is reset at the end of the token', async () => {
  const upstream = await startUpstream((_request, response) => void response.write('data: 1\n\n'));
  const running = await secureGatewayTo(upstream.origin, { route: { public: false } });
  const exp = Math.floor(Date.now() / 1000) + 2;
  const answer = await ask(openSession(running.port), await bearer({ exp }));
  expect(answer).toMatchObject({ status: 200, reset: constants.NGHTTP2_INTERNAL_ERROR });
  await expectAtRest(running);
});

test('chunks over the limit are 413, and the service never sees a complete request', async () => {
  const upstream = await startUpstream((request) => void request.on('error', () => undefined));
  const running = await secureGatewayTo(upstream.origin, {
    settings: { tls: TLS, limits: { ...LIMITS, bodyBytes: 10 } },
  });
  const session = openSession(running.port);
  const answer = await ask(session, { ':method': 'POST' }, 'x'.repeat(11));
  expect([answer.status, codeOf(answer)]).toEqual([413, 'body_too_large']);
  await expectAtRest(running);
  expect(upstream.seen).toEqual([]);
});

test('a flood of streams that are reset at once ends the connection, and leaves nothing behind', async () => {
  const upstream = await startUpstream(() => undefined);
  const running = await secureGatewayTo(upstream.origin);
  const raw = await RawHttp2.open(running.port);
  const cancel = Buffer.alloc(4);
  cancel.writeUInt32BE(constants.NGHTTP2_CANCEL);
  for (let stream = 1; stream < 8_000 && !raw.socket.destroyed; stream += 2) {
    raw.request(stream, GET);
    raw.send(FRAME.reset, 0, stream, cancel);
  }
  await raw.ended(-1);
  expect(raw.frames.filter(({ type }) => type === FRAME.goAway)).not.toEqual([]);
  await expectAtRest(running);
});

test('header fields over the limit are 431, and never reach the service', async () => {
  const upstream = await startUpstream();
  const running = await secureGatewayTo(upstream.origin);
  const session = openSession(running.port);
  const large = { 'x-large': 'x'.repeat(LIMITS.headerBytes) };
  const many = Object.fromEntries(Array.from({ length: 600 }, (_, i) => [`x-${i}`, '']));
  // The first ones come before the client has agreed to the settings, which is when node begins to look at the size.
  for (const headers of [large, many, large, many]) {
    const answer = await ask(session, headers);
    expect([answer.status, codeOf(answer)]).toEqual([431, 'headers_too_large']);
  }
  expect(upstream.seen).toEqual([]);
  expect((await ask(openSession(running.port))).status).toBe(200);
  await expectAtRest(running);
});

test('as many header fields as over HTTP/1.1 reach the service', async () => {
  const upstream = await startUpstream();
  const running = await secureGatewayTo(upstream.origin);
  const cookies = Array.from({ length: 400 }, (_, i) => `c${i}=1`);
  expect((await ask(openSession(running.port), { cookie: cookies })).status).toBe(200);
  expect(upstream.seen[0]!.headers.cookie).toBe(cookies.join('; '));
  await expectAtRest(running);
});

test.each(['get', 'head', 'FOO'])('the method %s is unknown, as over HTTP/1.1', async (method) => {
  const upstream = await startUpstream();
  const running = await secureGatewayTo(upstream.origin);
  const answer = await ask(openSession(running.port), { ':method': method });
  expect([answer.status, codeOf(answer)]).toEqual([400, 'malformed_request']);
  expect(upstream.seen).toEqual([]);
  await expectAtRest(running);
});

test('an unknown expectation is 417 with problem details', async () => {
  const running = await secureGatewayTo((await startUpstream()).origin);
  const answer = await ask(openSession(running.port), { ':method': 'POST', expect: 'a miracle' }, 'data');
  expect([answer.status, codeOf(answer)]).toEqual([417, 'expectation_failed']);
  await expectAtRest(running);
});

test('a slow reader holds up its service, not the other streams', async () => {
  let sent = 0;
  const upstream = await startUpstream((request, response) => {
    if (request.url === '/small') {
      response.end('small');
      return;
    }
    const chunk = Buffer.alloc(64 * 1024);
    const more = (): void => {
      while (sent < 400 * MIB) {
        sent += chunk.length;
        if (!response.write(chunk)) {
          response.once('drain', more);
          return;
        }
      }
    };
    more();
  });
  const running = await secureGatewayTo(upstream.origin);
  const session = openSession(running.port);
  const slow = session.request({ ':path': '/large' });
  slow.on('error', () => undefined);
  await once(slow, 'response');
  let before = -1;
  while (before !== sent) {
    before = sent;
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect((await ask(session, { ':path': '/small' })).body).toBe('small');
  }
  expect(sent).toBeLessThan(32 * MIB);
  session.destroy();
  await expectAtRest(running);
});

test('draining lets streams in progress finish, and refuses new ones with GOAWAY', async () => {
  const finish = Promise.withResolvers<() => void>();
  const upstream = await startUpstream((_request, response) => finish.resolve(() => response.end('late')));
  const running = await secureGatewayTo(upstream.origin);
  const session = openSession(running.port);
  const answer = ask(session);
  const end = await finish.promise;
  const told = once(session, 'goaway');
  const drained = running.server.drain();
  await told;
  end();
  expect(await answer).toMatchObject({ status: 200, body: 'late', reset: 0 });
  await drained;
  expect(running.server.connections).toBe(0);
  await expectAtRest(running);
});

test('the same port speaks HTTP/1.1, by ALPN or without', async () => {
  const upstream = await startUpstream();
  const running = await secureGatewayTo(upstream.origin);
  const request = httpsRequest({ port: running.port, host: 'localhost', ca: CA, agent: false }).end();
  const response = await responseTo(request);
  expect([response.httpVersion, await bodyOf(response)]).toEqual(['1.1', 'ok']);
  const socket = connectTls({ port: running.port, host: 'localhost', ca: CA });
  await once(socket, 'secureConnect');
  const lines = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
  const { text } = await rawRequest(running.port, lines, { socket });
  expect(parseResponses(text)[0]).toMatchObject({ status: 200, body: 'ok' });
  expect(upstream.seen[0]!.headers['x-forwarded-proto']).toBe('https');
  await expectAtRest(running);
});

test('a renewed certificate serves new connections, and open ones go on', async () => {
  const upstream = await startUpstream();
  const running = await secureGatewayTo(upstream.origin);
  const renew = (cert: string, key: string): void => {
    running.gateway.apply({ gateway: { ...running.gateway.settings, tls: { cert, key } } });
    running.server.reloadCertificate();
  };
  const session = openSession(running.port);
  expect((await ask(session)).status).toBe(200);
  const [cert = '', key = ''] = ['crt', 'key'].map((kind) =>
    readFileSync(new URL(`../config/tls/server.${kind}`, import.meta.url), 'utf8'),
  );
  renew(cert, key);
  expect((await ask(session)).status).toBe(200);
  const socket = connectTls({ port: running.port, host: 'localhost', rejectUnauthorized: false });
  onTestFinished(() => void socket.destroy());
  await once(socket, 'secureConnect');
  const { fingerprint256 } = new X509Certificate(CA);
  expect(socket.getPeerX509Certificate()!.fingerprint256).not.toBe(fingerprint256);
  // What cannot be used is refused, and the one before stays.
  expect(() => renew(cert, TLS.key)).toThrow();
  const next = connectTls({ port: running.port, host: 'localhost', rejectUnauthorized: false });
  onTestFinished(() => void next.destroy());
  await once(next, 'secureConnect');
  expect(next.getPeerX509Certificate()!.fingerprint256).toBe(socket.getPeerX509Certificate()!.fingerprint256);
});

test('a client that sends nothing on its stream is told so after the idle time', async () => {
  const upstream = await startUpstream();
  const running = await secureGatewayTo(upstream.origin, {
    settings: { tls: TLS, timeouts: { ...TIMEOUTS, idle: 300 } },
  });
  const stream = openSession(running.port).request({ ':method': 'POST', ':path': '/' });
  stream.write('part');
  expect((await answerOf(stream)).status).toBe(408);
  await expectAtRest(running);
  await vi.waitFor(() => expect(running.server.connections).toBe(0));
});
