import { CONTENDERS } from '../contenders/all.ts';
import { burst } from './burst.ts';
import type { Case } from './case.ts';
import { cpuPerRequest } from './cpu.ts';
import { idleConnections } from './idle.ts';
import { latencyAtHalf } from './latency.ts';
import { memoryGrowth } from './memory.ts';
import { slowestOfMany } from './slowest.ts';
import { startAndRest } from './start.ts';
import { oneAndTwoWorkers } from './workers.ts';

/** Two workers have a core more than all others, so they are compared with one worker alone. */
const SINGLE = CONTENDERS.map(({ name }) => name).filter((name) => name !== 'realmgate-two');

/** Everything that can be measured, in the order of `--case all`. */
export const CASES: readonly Case[] = [
  {
    name: 'known',
    help: '1,000 tokens in turn, all of them seen before (default)',
    contenders: SINGLE,
    checksTokens: false,
    run: (context) => cpuPerRequest('known', context),
  },
  {
    name: 'cold',
    help: 'every token is new',
    contenders: SINGLE,
    checksTokens: true,
    run: (context) => cpuPerRequest('cold', context),
  },
  {
    name: 'hostile',
    help: 'random, malformed, expired, foreign and forged tokens, each by itself',
    contenders: SINGLE,
    checksTokens: true,
    run: (context) => cpuPerRequest('hostile', context),
  },
  {
    name: 'stream',
    help: 'answers and uploads of 1 MiB',
    contenders: SINGLE,
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
  {
    name: 'latency',
    help: 'at a constant rate, half of the saturating one',
    contenders: ['realmgate', 'envoy', 'haproxy', 'nginx'],
    checksTokens: false,
    run: latencyAtHalf,
  },
  {
    name: 'slowest',
    help: 'of a million requests, with reloads, new keys and scrapes of metrics in between',
    contenders: ['realmgate'],
    checksTokens: true,
    run: slowestOfMany,
  },
  {
    name: 'burst',
    help: 'what known tokens notice of many new ones, and of forged ones',
    contenders: ['realmgate', 'envoy'],
    checksTokens: true,
    run: burst,
  },
  {
    name: 'memory',
    help: 'growth by 100,000 distinct tokens, 10 GiB that stream through, clients that read nothing',
    contenders: ['realmgate', 'envoy', 'haproxy', 'nginx'],
    checksTokens: false,
    run: memoryGrowth,
  },
  {
    name: 'start',
    help: 'time to the first authenticated 200 after npm start, and memory at rest',
    contenders: ['realmgate'],
    checksTokens: false,
    run: startAndRest,
  },
  {
    name: 'workers',
    help: 'one worker and two: CPU per request, and how connections are spread',
    contenders: ['realmgate', 'realmgate-two'],
    checksTokens: false,
    run: oneAndTwoWorkers,
  },
];
