import { nodeProxy } from './node-proxy.ts';

/** fastify's own proxy, over undici. */
export const fastifyHttpProxy = nodeProxy({
  package: '@fastify/http-proxy',
  program: 'fastify-proxy-server.ts',
});
