import type { Work } from '../contenders/contender.ts';
import { publishRealm } from '../support/realm.ts';
import type { SigningKey } from '../support/tokens.ts';
import type { CaseContext } from './case.ts';

/** Of every token of the bench; only its keys are ever asked for. */
export const ISSUER = 'http://realm.bench/auth/realms/bench';

export interface WorkOptions {
  readonly key: SigningKey;
  /** `http://127.0.0.1:PORT`. */
  readonly upstream: string;
  /** How many tokens a cache has to hold. */
  readonly tokens: number;
  /** The keys were sent as a whole. */
  readonly onKeys?: () => void;
}

/** Publishes the realm's keys, calls `use` with what every contender is told, and closes the realm again. */
export async function withWork<T>(
  { workspace, cores, options }: CaseContext,
  { key, upstream, tokens, onKeys = () => undefined }: WorkOptions,
  use: (work: Work) => Promise<T>,
): Promise<T> {
  const realm = await publishRealm({ port: 0, issuer: ISSUER, keys: () => [key.jwk], onServed: onKeys });
  try {
    return await use({
      ...{ workspace, core: cores.gateway, upstream, issuer: ISSUER, realmUrl: realm.url },
      ...{ jwk: key.jwk, pem: key.pem, tokens, inspect: options.profile },
    });
  } finally {
    await realm.close();
  }
}
