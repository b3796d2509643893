import { once } from 'node:events';
import { expect, test } from 'vitest';
import { headerValues, parseResponses } from '../../support/parse-responses.ts';
import { rawRequest } from '../../support/raw-request.ts';
import { connected, expectQuiet, HOST, startWire, until } from '../wire.ts';

const get = (path: string, headers = '', version = '1.1'): string =>
  `GET /open/${path} HTTP/${version}\r\n${HOST}${headers}\r\n`;

/** Resolves once `value` has not moved from what it became for as long as ten looks. */
async function untilUnchanged(value: () => number): Promise<void> {
  let before = 0;
  let unmoved = 0;
  const look = (): number => {
    const now = value();
    unmoved = now === before && now > 0 ? unmoved + 1 : 0;
    before = now;
    return unmoved;
  };
  await expect.poll(look, { interval: 50, timeout: 20_000 }).toBeGreaterThan(10);
}

test('a client that ends its side and takes nothing keeps no service busy', async () => {
  let written = 0;
  const wire = await startWire({
    answer: (_request, response) => {
      const fill = (): void => {
        do written++;
        while (response.write(Buffer.alloc(65_536)));
        response.once('drain', fill);
      };
      fill();
    },
  });
  const socket = await connected(wire);
  socket.pause();
  socket.write(get('a'));
  await untilUnchanged(() => written);
  expect(wire.gateway.inFlight).toBe(1);
  socket.end();
  await expect.poll(() => wire.gateway.inFlight, { timeout: 5_000 }).toBe(0);
  expect(wire.gateway.client.connections().active).toBe(0);
  socket.destroy();
  await expectQuiet(wire);
});

test('a part of an answer is no whole one to a client that ended its side and reads on', async () => {
  const begun = Promise.withResolvers<undefined>();
  const wire = await startWire({
    answer: (_request, response) => {
      response.write('first half');
      begun.resolve(undefined);
    },
  });
  const socket = await connected(wire);
  socket.write(get('a', '', '1.0'));
  expect(await until(socket, 'first half')).toContain('Connection: close');
  const gone = once(socket, 'error');
  socket.end();
  expect(await gone).toMatchObject([{ code: 'ECONNRESET' }]);
  await expectQuiet(wire);
});

test('a client that ends its side behind a request that is answered at once gets the answer', async () => {
  const wire = await startWire();
  const bytes = `GET /hello HTTP/1.1\r\n${HOST}\r\n`;
  const { text, reset } = await rawRequest(wire.port, bytes, { halfClose: true });
  expect(reset).toBe(false);
  expect(parseResponses(text).map(({ status }) => status)).toEqual([401]);
  await expectQuiet(wire);
});

test.each([
  ['1.1', 'keep-alive, close', ['close']],
  ['1.0', 'close, keep-alive', ['close']],
  ['1.0', 'Keep-Alive', ['keep-alive']],
  ['1.0', 'x, keep-alive', ['keep-alive']],
  ['1.0', 'x', ['close']],
  ['1.1', 'x', ['keep-alive']],
  ['1.1', 'x,\tCLOSE ,', ['close']],
])('HTTP/%s with Connection: %s is answered with %s', async (version, connection, answered) => {
  const wire = await startWire();
  const { text } = await rawRequest(wire.port, get('a', `Connection: ${connection}\r\n`, version), {
    until: (so) => so.endsWith('ok'),
  });
  const [answer] = parseResponses(text);
  expect(headerValues(answer!, 'connection')).toEqual(answered);
});
