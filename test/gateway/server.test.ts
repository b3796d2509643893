import { once } from 'node:events';
import { connect as connectTls } from 'node:tls';
import { describe, expect, test } from 'vitest';
import { headerValues, parseResponses, untilResponses } from '../support/parse-responses.ts';
import { rawRequest } from '../support/raw-request.ts';
import { TLS } from './http2-client.ts';
import {
  connected,
  exchange,
  expectQuiet,
  expectRefused,
  HOST,
  problemOf,
  startWire,
  until,
  type WireOptions,
} from './wire.ts';

const LIMITS = { headerBytes: 32 * 1024, tokenBytes: 16 * 1024, bodyBytes: null, connections: 10_000 };
const TIMEOUTS = { header: 10_000, connect: 2_000, response: 60_000, idle: 300_000, drain: 30_000 };
const GET = `GET /hello HTTP/1.1\r\n${HOST}`;

describe.each(['tcp', 'tls'])('over %s', (transport) => {
  const start = (options: WireOptions = {}) =>
    startWire({ ...options, settings: { tls: transport === 'tls' ? TLS : null, ...options.settings } });
  const socketTo = async (port: number) => {
    if (transport === 'tcp') return undefined;
    const socket = connectTls({
      port,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      ALPNProtocols: ['http/1.1'],
    });
    await once(socket, 'secureConnect');
    return socket;
  };
  const send = async (port: number, bytes: string | string[], until?: (text: string) => boolean) => {
    const socket = await socketTo(port);
    return rawRequest(port, bytes, {
      ...(socket === undefined ? {} : { socket }),
      ...(until === undefined ? {} : { until }),
    });
  };
  const refused = async (port: number, bytes: string | string[], status: number, code: string) => {
    const { text, closed } = await send(port, bytes);
    expect(closed).toBe(true);
    const answers = parseResponses(text);
    expect(answers).toHaveLength(1);
    expect(problemOf(answers[0]!)).toMatchObject({ status, code });
    expect(headerValues(answers[0]!, 'connection')).toEqual(['close']);
  };

  test('a header section as large as the limit allows is read', async () => {
    const wire = await start();
    const head = `GET /nothing HTTP/1.1\r\n${HOST}${wire.bearer}X-Long: ${'x'.repeat(30_000)}\r\n\r\n`;
    const { text } = await send(wire.port, head, untilResponses(1));
    expect(problemOf(parseResponses(text)[0]!)).toMatchObject({ status: 404, code: 'no_such_service' });
  });

  test.each<[string, (bearer: string) => string]>([
    ['one long field', (t) => `${GET}${t}X-Long: ${'x'.repeat(40_000)}\r\n\r\n`],
    ['many fields', (t) => `${GET}${t}${`X-Name: ${'x'.repeat(100)}\r\n`.repeat(400)}\r\n`],
    ['a long name', (t) => `${GET}${t}${'x'.repeat(40_000)}: x\r\n\r\n`],
    ['a long target', (t) => `GET /${'x'.repeat(40_000)} HTTP/1.1\r\n${HOST}${t}\r\n`],
    ['without an end', (t) => `${GET}${t}X-Long: ${'x'.repeat(40_000)}`],
  ])('a larger one is 431, and the connection closes: %s', async (_name, bytes) => {
    const wire = await start();
    await refused(wire.port, bytes(wire.bearer), 431, 'headers_too_large');
    await expectQuiet(wire);
    expect(wire.upstream.seen).toEqual([]);
  });

  test('a larger trailer section never makes a complete request', async () => {
    const wire = await start();
    const head = `POST /hello HTTP/1.1\r\n${HOST}${wire.bearer}Transfer-Encoding: chunked\r\n\r\n0\r\n`;
    await refused(wire.port, [head, `X-Long: ${'x'.repeat(40_000)}\r\n\r\n`], 431, 'headers_too_large');
    await expectQuiet(wire);
    expect(wire.upstream.seen).toEqual([]);
  });

  test.each([
    ['no byte', ''],
    ['a line', 'GET /hello HTTP/1.1\r\n'],
    ['all but the end', `${GET}\r`],
  ])('a header section that is late is 408, and the connection closes: %s', async (_name, bytes) => {
    const wire = await start({
      settings: { tls: transport === 'tls' ? TLS : null, timeouts: { ...TIMEOUTS, header: 100 } },
    });
    await refused(wire.port, bytes, 408, 'request_timeout');
    await expectQuiet(wire);
  });

  test('a late one behind a good request does not cost that its answer', async () => {
    const wire = await start({
      settings: { tls: transport === 'tls' ? TLS : null, timeouts: { ...TIMEOUTS, header: 100 } },
    });
    const { text } = await send(wire.port, `${GET}${wire.bearer}\r\nGET /hel`);
    expect(parseResponses(text).map(({ status }) => status)).toEqual([200, 408]);
    await expectQuiet(wire);
  });

  test('what is malformed, without a Host or a CONNECT is answered in the same form', async () => {
    const wire = await start();
    await refused(wire.port, `${GET}X : y\r\n\r\n`, 400, 'malformed_request');
    await refused(wire.port, 'GET /hello HTTP/1.1\r\n\r\n', 400, 'malformed_request');
    await refused(wire.port, 'GET /hello\r\n\r\n', 400, 'malformed_request');
    await refused(wire.port, 'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n', 400, 'ambiguous_path');
    await expectQuiet(wire);
  });

  test.each([
    ['h2c', 'GET', 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAAA\r\n'],
    ['another protocol', 'GET', 'Connection: Upgrade\r\nUpgrade: tls/1.2\r\n'],
    ['several protocols', 'GET', 'Connection: Upgrade\r\nUpgrade: h2c, websocket\r\n'],
    ['a WebSocket by POST', 'POST', 'Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n'],
    [
      'a WebSocket with chunks',
      'GET',
      'Connection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n',
    ],
  ])(
    'an upgrade that is no handshake is an ordinary request, and the last on its connection: %s',
    async (_name, method, headers) => {
      const wire = await start();
      const body = headers.includes('Length')
        ? 'hello'
        : headers.includes('chunked')
          ? '5\r\nhello\r\n0\r\n\r\n'
          : '';
      const first = `${method} /hello/a HTTP/1.1\r\n${HOST}${wire.bearer}${headers}\r\n${body}`;
      const { text, closed } = await send(wire.port, first + GET + wire.bearer + '\r\n');
      expect(closed).toBe(true);
      const answers = parseResponses(text);
      expect(answers.map(({ status }) => status)).toEqual([200]);
      expect(headerValues(answers[0]!, 'connection')).toEqual(['close']);
      expect(wire.upstream.seen).toMatchObject([{ method, url: '/a', body: body === '' ? '' : 'hello' }]);
      const { headers: seen } = wire.upstream.seen[0]!;
      for (const name of ['upgrade', 'http2-settings', 'connection']) expect(seen[name]).toBeUndefined();
      await expectQuiet(wire);
    },
  );
});

test('a connection over the limit is told so', async () => {
  const wire = await startWire({ settings: { limits: { ...LIMITS, connections: 1 } } });
  const first = await connected(wire);
  await expect.poll(() => wire.server.connections).toBe(1);
  const answers = await exchange(wire, `${GET}${wire.bearer}\r\n`);
  expect(answers).toHaveLength(1);
  expect(problemOf(answers[0]!)).toMatchObject({ status: 503, code: 'overloaded' });
  expect(headerValues(answers[0]!, 'retry-after')).toEqual(['1']);
  first.write(`${GET}${wire.bearer}\r\n`);
  expect(await until(first, 'ok')).toContain('200 OK');
  first.destroy();
  await expectQuiet(wire);
});

test('bytes behind an upgrade that was refused are not read as a request', async () => {
  const wire = await startWire();
  const handshake =
    'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
  await expectRefusedHandshake();
  async function expectRefusedHandshake(): Promise<void> {
    const answers = await exchange(wire, `${GET}${handshake}\r\n${GET}${wire.bearer}\r\n`);
    expect(answers).toHaveLength(1);
    expect(problemOf(answers[0]!)).toMatchObject({ status: 401, code: 'token_missing' });
    expect(wire.upstream.seen).toEqual([]);
    await expectQuiet(wire);
  }
});

test('a flood behind a refused request is thrown away, and the answer arrives', async () => {
  const wire = await startWire();
  const flood = `${GET}${wire.bearer}\r\n`.repeat(3_000);
  await expectRefused(wire, `${GET}X : y\r\n\r\n${flood}`, 400, 'malformed_request');
  await expectRefused(wire, `GET /hello HTTP/1.1\r\n\r\n${flood}`, 400, 'malformed_request');
  await expectQuiet(wire);
});
