import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';
import { ANSWER } from './upstream-server.ts';

/**
 * A service for connections that stay: `node echo-server.ts PORT`, on 127.0.0.1. It answers `ANSWER`, and on a
 * WebSocket every message with itself.
 */
const server = createServer((_request, response) => {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': ANSWER.length });
  response.end(ANSWER);
});
server.keepAliveTimeout = 600_000;
new WebSocketServer({ server, perMessageDeflate: false }).on('connection', (socket) => {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
});
server.listen({ port: Number(process.argv[2]), host: '127.0.0.1', backlog: 4_096 });
