import { importJWK, type JWK, jwtVerify } from 'jose';
import { LRUCache } from 'lru-cache';

export interface GuardOptions {
  readonly jwk: JWK;
  readonly issuer: string;
  /** How many good tokens are remembered. */
  readonly tokens: number;
}

/**
 * The check that Node programmers put before a proxy package: jose verifies, lru-cache keeps the good ones. Takes the
 * value of `Authorization`; true = its bearer token is good.
 */
export async function tokenGuard({ jwk, issuer, tokens }: GuardOptions) {
  const { alg = '', ...key } = jwk;
  const publicKey = await importJWK(key, alg);
  /** Token to the time until which it is good, in ms. */
  const known = new LRUCache<string, number>({ max: tokens });
  const verify = async (token: string): Promise<boolean> => {
    try {
      const { payload } = await jwtVerify(token, publicKey, { issuer, algorithms: [alg] });
      const until = (payload.exp ?? 0) * 1000;
      known.set(token, until);
      return until > Date.now();
    } catch {
      return false;
    }
  };
  return (authorization: string | undefined): boolean | Promise<boolean> => {
    const token = /^Bearer (.+)$/.exec(authorization ?? '')?.[1] ?? '';
    const until = known.get(token);
    return until === undefined ? verify(token) : until > Date.now();
  };
}
