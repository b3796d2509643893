import httpProxy from '@fastify/http-proxy';
import fastify from 'fastify';
import type { JWK } from 'jose';
import { tokenGuard } from './token-guard.ts';

/**
 * The same with fastify's own proxy: `node fastify-proxy-server.ts PACKAGE PORT UPSTREAM ISSUER TOKENS JWK`, where
 * PACKAGE is @fastify/http-proxy.
 */
const [, port = '', upstream = '', issuer = '', tokens = '', jwk = ''] = process.argv.slice(2);
const isGood = await tokenGuard({ jwk: JSON.parse(jwk) as JWK, issuer, tokens: Number(tokens) });
const app = fastify();
await app.register(httpProxy, {
  upstream,
  prefix: '/api',
  preHandler: (request, reply, done) => {
    const decide = (good: boolean): void => {
      if (good) done();
      else void reply.code(401).send();
    };
    const good = isGood(request.headers.authorization);
    if (typeof good === 'boolean') decide(good);
    else void good.then(decide);
  },
  replyOptions: {
    rewriteRequestHeaders: (_request, headers) => {
      delete headers.authorization;
      return headers;
    },
  },
});
await app.listen({ host: '127.0.0.1', port: Number(port) });
