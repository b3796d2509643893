import { Agent, createServer } from 'node:http';
import type { JWK } from 'jose';
import { tokenGuard } from './token-guard.ts';

/**
 * What a Node programmer puts together: `node http-proxy-server.ts PACKAGE PORT UPSTREAM ISSUER TOKENS JWK` forwards
 * with PACKAGE (http-proxy or http-proxy-3) what comes with a good token.
 */
interface Proxy {
  web(request: unknown, response: unknown, options: object): void;
  on(event: 'error', listener: (error: Error, request: unknown, response: unknown) => void): unknown;
}

const [name = '', port = '', upstream = '', issuer = '', tokens = '', jwk = ''] = process.argv.slice(2);
interface Package {
  createProxyServer: (options: object) => Proxy;
}
// Of http-proxy, which is CommonJS, node finds only the default export.
const loaded = (await import(name)) as Partial<Package> & { readonly default: Package };
const createProxyServer = loaded.createProxyServer ?? loaded.default.createProxyServer;
const proxy = createProxyServer({ target: upstream, agent: new Agent({ keepAlive: true }) });
const isGood = await tokenGuard({ jwk: JSON.parse(jwk) as JWK, issuer, tokens: Number(tokens) });

proxy.on('error', (_error, _request, response) => {
  const answer = response as { writableEnded: boolean; writeHead(status: number): void; end(): void };
  if (answer.writableEnded) return;
  answer.writeHead(502);
  answer.end();
});

createServer((request, response) => {
  const forward = (good: boolean): void => {
    if (!good) {
      response.writeHead(401).end();
      return;
    }
    request.url = (request.url ?? '').replace(/^\/api/, '');
    delete request.headers.authorization;
    proxy.web(request, response, {});
  };
  const good = isGood(request.headers.authorization);
  if (typeof good === 'boolean') forward(good);
  else void good.then(forward);
}).listen(Number(port), '127.0.0.1');
