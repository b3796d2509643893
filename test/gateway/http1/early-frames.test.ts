import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { ISSUER, realmSnapshot, route, startGateway, startRawUpstream } from '../../support/gateway.ts';
import { connected, HOST } from '../wire.ts';

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const ACCEPT = createHash('sha1').update(`${KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
const HANDSHAKE =
  `GET /hello HTTP/1.1\r\n${HOST}Authorization: Bearer opaque\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
  `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n\r\n`;
const CLAIMS = {
  active: true,
  iss: ISSUER,
  sub: 'a',
  azp: 'istio',
  typ: 'Bearer',
  exp: Math.floor(Date.now() / 1000) + 300,
};

test.each([1, 10_000, 65_536, 500_000])(
  '%i bytes behind a handshake whose token is being checked all reach the service, and what comes later too',
  async (size) => {
    let received = '';
    const service = await startRawUpstream((socket) => {
      socket.setEncoding('latin1').once('data', () => {
        socket.on('data', (text: string) => (received += text));
        socket.write(
          `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${ACCEPT}\r\n\r\n`,
        );
      });
    });
    const gateway = await startGateway({
      routes: [route({ upstream: [service.origin] })],
      realms: [realmSnapshot({}, { introspectionCache: 30_000 })],
    });
    const asked = Promise.withResolvers<undefined>();
    const answer = Promise.withResolvers<Record<string, unknown>>();
    gateway.control.onIntrospect = () => {
      asked.resolve(undefined);
      return answer.promise;
    };
    const socket = await connected(gateway);
    const early = Array.from({ length: size }, (_, i) => String(i % 10)).join('');
    socket.write(`${HANDSHAKE}${early}`, 'latin1');
    await asked.promise;
    answer.resolve(CLAIMS);
    expect(String(await once(socket, 'data'))).toContain(' 101 ');
    socket.write('late');
    await expect.poll(() => received.length).toBe(size + 4);
    expect(received === `${early}late`).toBe(true);
    socket.destroy();
    await expect.poll(() => gateway.server.connections).toBe(0);
  },
);
