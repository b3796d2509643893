import { createServer } from 'node:http';
import { importJWK, type JWK, jwtVerify } from 'jose';
import { LRUCache } from 'lru-cache';

/**
 * What a Node programmer puts together: `node http-proxy-server.ts PACKAGE PORT UPSTREAM ISSUER TOKENS JWK` checks
 * tokens with jose, keeps the good ones with lru-cache, and forwards with PACKAGE (http-proxy or http-proxy-3).
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
const { Agent } = await import('node:http');
const proxy = createProxyServer({ target: upstream, agent: new Agent({ keepAlive: true }) });
const { alg = '', ...key } = JSON.parse(jwk) as JWK;
const publicKey = await importJWK(key, alg);
const known = new LRUCache<string, number>({ max: Number(tokens) });

/** Until when the token is good, in ms; 0 = it is not. */
async function goodUntil(token: string): Promise<number> {
  try {
    const { payload } = await jwtVerify(token, publicKey, { issuer, algorithms: [alg] });
    const until = (payload.exp ?? 0) * 1000;
    known.set(token, until);
    return until;
  } catch {
    return 0;
  }
}

proxy.on('error', (_error, _request, response) => {
  const answer = response as { writableEnded: boolean; writeHead(status: number): void; end(): void };
  if (answer.writableEnded) return;
  answer.writeHead(502);
  answer.end();
});

createServer((request, response) => {
  const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
  const forward = (until: number): void => {
    if (until <= Date.now()) {
      response.writeHead(401).end();
      return;
    }
    request.url = (request.url ?? '').replace(/^\/api/, '');
    delete request.headers.authorization;
    proxy.web(request, response, {});
  };
  const until = known.get(token);
  if (until === undefined) void goodUntil(token).then(forward);
  else forward(until);
}).listen(Number(port), '127.0.0.1');
