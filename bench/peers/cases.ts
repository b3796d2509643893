import type { Case } from './case.ts';
import { cpuPerRequest } from './cpu.ts';

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
];
