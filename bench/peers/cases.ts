import type { Case } from './case.ts';
import { cpuPerRequest } from './cpu.ts';
import { idleConnections } from './idle.ts';

/** Everything that can be measured, in the order of `--case all`. */
export const CASES: readonly Case[] = [
  {
    name: 'known',
    help: '1,000 tokens in turn, all of them seen before (default)',
    contenders: null,
    checksTokens: false,
    run: (context) => cpuPerRequest('known', context),
  },
  {
    name: 'cold',
    help: 'every token is new',
    contenders: null,
    checksTokens: true,
    run: (context) => cpuPerRequest('cold', context),
  },
  {
    name: 'hostile',
    help: 'random, malformed, expired, foreign and forged tokens, each by itself',
    contenders: null,
    checksTokens: true,
    run: (context) => cpuPerRequest('hostile', context),
  },
  {
    name: 'stream',
    help: 'answers and uploads of 1 MiB',
    contenders: null,
    checksTokens: false,
    run: (context) => cpuPerRequest('stream', context),
  },
  {
    name: 'idle',
    help: 'memory of 10,000 keep-alive clients and of 4,000 WebSockets that do nothing',
    contenders: ['realmgate', 'envoy', 'haproxy', 'nginx'],
    checksTokens: false,
    run: idleConnections,
  },
];
