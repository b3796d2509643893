import { once } from 'node:events';
import { connect as connectTls } from 'node:tls';
import { expect, onTestFinished, test } from 'vitest';
import { startRawUpstream, type TestGateway } from '../../support/gateway.ts';
import { headerValues, parseResponses, untilResponses } from '../../support/parse-responses.ts';
import { rawRequest } from '../../support/raw-request.ts';
import { gatewayTo } from '../forward/client.ts';
import { TLS } from '../http2-client.ts';
import { connected, exchange, expectQuiet, HOST, startWire, until } from '../wire.ts';

const TIMEOUTS = { header: 10_000, connect: 2_000, response: 60_000, idle: 300_000, drain: 30_000 };

/** A service that answers once it has a request's head. */
async function hastyGateway(): Promise<TestGateway> {
  const service = await startRawUpstream((socket) => {
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      if (!text.includes('\r\n\r\n')) return;
      text = '';
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhasty');
      socket.pause();
    });
  });
  return gatewayTo([service.origin]);
}

const post = (headers: string): string => `POST /a HTTP/1.1\r\n${HOST}${headers}\r\n`;

test.each([
  ['a small rest', 'Content-Length: 20\r\n', 'x'.repeat(20), true],
  ['the largest that is read', `Content-Length: ${64 * 1024}\r\n`, 'x'.repeat(64 * 1024), true],
  ['a larger one', `Content-Length: ${64 * 1024 + 1}\r\n`, 'x'.repeat(64 * 1024 + 1), false],
  ['chunks', 'Transfer-Encoding: chunked\r\n', '5\r\nhello\r\n0\r\n\r\n', false],
  ['a body that waits for 100', 'Content-Length: 20\r\nExpect: 100-continue\r\n', 'x'.repeat(20), false],
])(
  'a service that answers ahead of the body: with %s behind the answer, the connection is in step or ends',
  async (_name, headers, rest, stays) => {
    const running = await hastyGateway();
    const socket = await connected(running);
    let text = '';
    socket.on('data', (chunk: string) => (text += chunk));
    const ended = once(socket, 'end');
    socket.write(post(headers));
    await expect.poll(() => text).toContain('hasty');
    socket.write(`${rest}${post('Content-Length: 0\r\nConnection: close\r\n')}`);
    await ended;
    expect(parseResponses(text).map(({ body }) => body)).toEqual(stays ? ['hasty', 'hasty'] : ['hasty']);
  },
);

test('what is left of an answered request is never read as the next one, however late and in whatever pieces', async () => {
  const wire = await startWire();
  const inner = `GET /open/inner HTTP/1.1\r\n${HOST}\r\n`;
  const refused = `POST /hello HTTP/1.1\r\n${HOST}Content-Length: ${inner.length}\r\n\r\n`;
  const last = `GET /open/last HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`;
  const socket = await connected(wire);
  let text = '';
  socket.on('data', (chunk: string) => (text += chunk));
  socket.write(refused);
  await expect.poll(() => untilResponses(1)(text)).toBe(true);
  for (const byte of Array.from(inner)) {
    await new Promise((flushed) => socket.write(byte, flushed));
  }
  const ended = once(socket, 'end');
  socket.write(last);
  await ended;
  expect(parseResponses(text).map(({ status }) => status)).toEqual([401, 200]);
  expect(wire.upstream.seen.map(({ url }) => url)).toEqual(['/last']);
  await expectQuiet(wire);
});

test.each([
  ['204 with a length', 'HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n', 204, 'none'],
  ['204 without', 'HTTP/1.1 204 No Content\r\n\r\n', 204, 'none'],
  ['304 with a length', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n', 304, 'none'],
  ['304 in chunks', 'HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n', 304, 'none'],
  ['205', 'HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n', 205, 'length'],
  ['an empty answer', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', 200, 'length'],
  ['no chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 200, 'chunked'],
  ['an end without a length', 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nab', 200, 'chunked'],
])('behind an answer of %s the connection is in step', async (_name, answer, status, framing) => {
  const service = await startRawUpstream((socket) => {
    socket.on('data', () => {
      if (framing === 'none') socket.write(answer);
      else socket.end(answer);
    });
  });
  const running = await gatewayTo([service.origin]);
  for (const version of ['1.1', '1.0']) {
    const get = (connection: string): string =>
      `GET / HTTP/${version}\r\n${HOST}Connection: ${connection}\r\n\r\n`;
    const { text } = await rawRequest(running.port, get('keep-alive') + get('close'));
    const answers = parseResponses(text);
    const endless = version === '1.0' && framing === 'chunked';
    expect(answers.map((one) => one.status)).toEqual(endless ? [status] : [status, status]);
    expect(new Set(answers.map((one) => one.framing))).toEqual(new Set([endless ? 'close' : framing]));
  }
});

test('HEAD is in step behind any answer', async () => {
  const wire = await startWire({
    answer: (request, response) => {
      if (request.url === '/length') response.setHeader('Content-Length', '5');
      if (request.url === '/chunks') response.write('');
      response.end();
    },
  });
  const head = (path: string, end = ''): string => `HEAD /open/${path} HTTP/1.1\r\n${HOST}${end}\r\n`;
  const bytes = head('length') + head('chunks') + head('none') + head('last', 'Connection: close\r\n');
  const answers = await exchange(wire, bytes, ['HEAD', 'HEAD', 'HEAD', 'HEAD']);
  expect(answers.map(({ status, body }) => [status, body])).toEqual(Array(4).fill([200, '']));
  expect(headerValues(answers[0]!, 'content-length')).toEqual(['5']);
  await expectQuiet(wire);
});

test('on a kept connection a head has the header time from its first byte, and its answer is not lost', async () => {
  const wire = await startWire({ settings: { timeouts: { ...TIMEOUTS, header: 500 } } });
  const socket = await connected(wire);
  let text = '';
  socket.on('data', (chunk: string) => (text += chunk));
  const ended = once(socket, 'end');
  socket.write(`GET /open HTTP/1.1\r\n${HOST}\r\n`);
  await expect.poll(() => text).toContain('ok');
  socket.write('GET ');
  await ended;
  expect(parseResponses(text).map(({ status }) => status)).toEqual([200, 408]);
  socket.destroy();
  await expectQuiet(wire);
});

test('over TLS a client that ends its side in the middle of a request is told what is wrong', async () => {
  const wire = await startWire({ settings: { tls: TLS } });
  const options = { port: wire.port, host: '127.0.0.1', rejectUnauthorized: false, allowHalfOpen: true };
  const socket = connectTls(options);
  onTestFinished(() => void socket.destroy());
  await once(socket, 'secureConnect');
  socket.setEncoding('latin1').end(`POST /open HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nhel`);
  expect(await until(socket, '}')).toContain('HTTP/1.1 400 Bad Request');
  socket.destroy();
  await expectQuiet(wire);
});
