import { apache } from './apache.ts';
import type { Contender } from './contender.ts';
import { envoy } from './envoy.ts';
import { fastifyHttpProxy } from './fastify-http-proxy.ts';
import { haproxy } from './haproxy.ts';
import { httpProxy3 } from './http-proxy-3.ts';
import { httpProxy } from './http-proxy.ts';
import { nginx } from './nginx.ts';
import { realmgate } from './realmgate.ts';

/** Everything that can be put side by side, in the order of the tables. */
export const CONTENDERS: readonly Contender[] = [
  realmgate({ description: 'access log off' }),
  realmgate({ suffix: '-log', description: 'access log on', accessLog: true }),
  realmgate({ suffix: '-routes', description: '10,000 routes', routes: 10_000 }),
  realmgate({ suffix: '-two', description: 'two workers', workers: 2 }),
  envoy(true),
  envoy(false),
  haproxy,
  apache,
  fastifyHttpProxy,
  httpProxy3,
  httpProxy,
  nginx,
];
