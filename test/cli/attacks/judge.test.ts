import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import type { Attack } from '../../../src/cli/attacks/attack.ts';
import { attackOnce } from '../../../src/cli/attacks/judge.ts';

const ATTACK: Attack = {
  kind: 'head',
  name: 'x',
  advisory: null,
  bytes: 'GET /\r\n\r\n',
  expected: ['400 malformed_request'],
  closes: true,
};

/** What is made of a gateway that answers the attack with this, and then closes or does not. */
async function verdictOn(answer: string, closes = true, attack = ATTACK) {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket.on('error', () => undefined));
    socket.once('data', () => {
      if (closes) socket.end(answer);
      else socket.write(answer);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const { port } = server.address() as AddressInfo;
  const { ok, came } = await attackOnce({ host: '127.0.0.1', port, secure: false }, attack);
  return `${ok ? 'right' : 'wrong'}: ${came}`;
}

const answer = (status: number, body: string) =>
  `HTTP/1.1 ${status} X\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const BAD = answer(400, '{"code":"malformed_request"}');

test('right is the one answer that should come, with its code where it has one', async () => {
  expect(await verdictOn(BAD)).toBe('right: 400 malformed_request');
  expect(await verdictOn(answer(400, '<html>'))).toBe('right: 400');
  expect(await verdictOn(answer(400, '{"code":"ambiguous_path"}'))).toBe('wrong: 400 ambiguous_path');
  expect(await verdictOn(answer(200, 'ok'))).toBe('wrong: 200');
  expect(await verdictOn('')).toBe('wrong: no answer, the connection closed');
});

test('an answer to what stands behind the request is wrong, whatever came first', async () => {
  expect(await verdictOn(BAD + answer(401, ''))).toBe('wrong: 400 malformed_request, then 401');
  expect(await verdictOn(`${BAD}HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok`)).toBe(
    'wrong: 400 malformed_request, then 200',
  );
  expect(await verdictOn(BAD + BAD, true, { ...ATTACK, closes: false })).toBe(
    'wrong: 400 malformed_request, then 400 malformed_request',
  );
  expect(await verdictOn(`${BAD}<html>`)).toBe('wrong: 400 malformed_request, then bytes that are no HTTP response');
}); // prettier-ignore

test('a connection that stays open is wrong where it has to close', async () => {
  expect(await verdictOn(BAD, false)).toBe('wrong: 400 malformed_request, the connection stays open');
  expect(await verdictOn(BAD, false, { ...ATTACK, closes: false })).toBe('right: 400 malformed_request');
});

test('bytes that are no HTTP are told', async () => {
  expect(await verdictOn('<html>hello</html>')).toBe('wrong: bytes that are no HTTP response');
});
