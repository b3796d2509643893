// A service behind the gateway: plain HTTP on the port it is given, and no word about tokens.
import { createServer } from 'node:http';

const port = Number(process.env.PORT ?? 8787);

const server = createServer((request, response) => {
  const path = (request.url ?? '/').split('?', 1)[0];
  if (path === '/events') return tick(response);
  // The gateway checked the token and says here who it is; nobody else can set this header.
  const user = request.headers['x-forwarded-preferred-username'] ?? null;
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify({ greeting: `Hello, ${user ?? 'stranger'}!`, user, path })}\n`);
});

/** Server-sent events: the time, each second, until the client goes away. */
function tick(response) {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  const send = () => response.write(`data: ${new Date().toISOString()}\n\n`);
  send();
  const timer = setInterval(send, 1000);
  response.on('close', () => clearInterval(timer));
}

server.listen(port, '127.0.0.1', () => console.log(`hello listens on 127.0.0.1:${server.address().port}`));

process.on('SIGTERM', () => {
  server.close();
  server.closeAllConnections();
});
