import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HOSTILE_KINDS, hostileTokens } from '../support/hostile-tokens.ts';
import { signMany, type SigningKey } from '../support/tokens.ts';
import { STREAM_BYTES } from '../support/upstream-server.ts';
import type { Workspace } from '../support/workspace.ts';
import type { ColdTokens } from './cold-tokens.ts';

/** One or more kinds of requests each. */
export type WorkloadName = 'known' | 'cold' | 'hostile' | 'stream';

/** One kind of request that is sent over and over. */
export interface Workload {
  readonly name: string;
  /** Below the gateway's own URL. */
  readonly path: string;
  readonly method: 'GET' | 'POST';
  readonly bodyBytes: number;
  readonly tokenFile: string;
  /** How many tokens a cache has to hold so that all of them can be known. */
  readonly tokens: number;
  /** 200 for each, or 401 for each. */
  readonly expect: 'answered' | 'refused';
  /** 0 = until the time is over; else each token is sent once, after the gateway was started anew. */
  readonly requests: number;
  /** What one request moves, for MB/s; null = not what this is about. */
  readonly moves: number | null;
}

/** Tokens in turn: more than a handful, so that a lookup counts, and few enough for every cache. */
const KNOWN = 1_000;

/** Each comes with a body of 1 MiB in the memory of the load's program. */
const STREAMING = 16;

/** Signs what the case needs, and writes it into the workspace. */
export async function prepareWorkloads(
  chosen: WorkloadName,
  workspace: Workspace,
  key: SigningKey,
  issuer: string,
  cold: ColdTokens | null,
): Promise<Workload[]> {
  const file = async (name: string, tokens: readonly string[]): Promise<string> => {
    const path = join(workspace.folder, `${name}.tokens`);
    await writeFile(path, `${tokens.join('\n')}\n`, { mode: 0o600 });
    return path;
  };
  const good = async (count: number): Promise<Workload> => ({
    name: 'known tokens',
    path: '/api/items/42',
    method: 'GET',
    bodyBytes: 0,
    tokenFile: await file('known', await signMany(key, issuer, count)),
    tokens: count,
    expect: 'answered',
    requests: 0,
    moves: null,
  });
  switch (chosen) {
    case 'known':
      return [await good(KNOWN)];
    case 'cold': {
      if (cold === null) throw new TypeError('the case cold needs its tokens');
      const tokenFile = await file('cold', cold.tokens);
      const count = cold.tokens.length;
      return [{ ...(await good(1)), name: 'new tokens', tokenFile, requests: count, tokens: count }];
    }
    case 'hostile': {
      const workloads = [await good(KNOWN)];
      for (const kind of HOSTILE_KINDS) {
        const tokenFile = await file(kind, await hostileTokens(kind, key, issuer, KNOWN));
        workloads.push({ ...workloads[0]!, name: kind, tokenFile, expect: 'refused' });
      }
      return workloads;
    }
    case 'stream': {
      const base = { ...(await good(STREAMING)), moves: STREAM_BYTES };
      return [
        { ...base, name: 'download', path: '/api/download' },
        { ...base, name: 'upload', path: '/api/upload', method: 'POST', bodyBytes: STREAM_BYTES },
      ];
    }
  }
}
