import { nodeProxy } from './node-proxy.ts';

/** Its maintained successor. */
export const httpProxy3 = nodeProxy({ package: 'http-proxy-3', program: 'http-proxy-server.ts' });
