import { nodeProxy } from './node-proxy.ts';

/** The package of 2020 that most projects still have. */
export const httpProxy = nodeProxy({ package: 'http-proxy', program: 'http-proxy-server.ts' });
