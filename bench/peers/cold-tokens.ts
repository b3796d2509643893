import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, exportSPKI, importJWK, type CryptoKey, type JWK } from 'jose';
import { newSigningKey, signMany, type Algorithm, type SigningKey } from '../support/tokens.ts';

/** Many tokens, and the key that signed them. */
export interface ColdTokens {
  readonly key: SigningKey;
  readonly tokens: readonly string[];
}

/** How many tokens a round of the case `cold` sends, each once. */
const COLD = 20_000;

/** Tokens live for a day; those of a file that is older than this, in ms, might end during a run. */
const FRESH = 12 * 3_600_000;

interface Kept {
  readonly issuer: string;
  readonly signedAt: number;
  readonly kid: string;
  readonly privateJwk: JWK;
  readonly publicJwk: JWK;
  readonly tokens: readonly string[];
}

/**
 * Signing takes some 20 s with RS256, so the tokens stay in a folder between runs. They are good for nothing but the
 * bench's own realm.
 */
export async function coldTokens(
  algorithm: Algorithm,
  issuer: string,
  count = COLD,
  folder = join(homedir(), '.cache/realmgate/bench'),
): Promise<ColdTokens> {
  const file = join(folder, `cold-${algorithm}.json`);
  const kept = await readKept(file);
  if (kept?.issuer === issuer && kept.tokens.length >= count && Date.now() - kept.signedAt < FRESH) {
    const privateKey = (await importJWK(kept.privateJwk, algorithm)) as CryptoKey;
    const publicKey = (await importJWK(kept.publicJwk, algorithm, { extractable: true })) as CryptoKey;
    const jwk = { ...kept.publicJwk, kid: kept.kid, alg: algorithm, use: 'sig' };
    const key = { kid: kept.kid, algorithm, privateKey, jwk, pem: await exportSPKI(publicKey) };
    return { key, tokens: kept.tokens.slice(0, count) };
  }
  const key = await newSigningKey(algorithm);
  const signedAt = Date.now();
  const tokens = await signMany(key, issuer, count);
  const { kid, jwk } = key;
  const fresh: Kept = {
    ...{ issuer, signedAt, kid, tokens },
    privateJwk: await exportJWK(key.privateKey),
    publicJwk: jwk,
  };
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFile(file, JSON.stringify(fresh), { mode: 0o600 });
  return { key, tokens };
}

async function readKept(file: string): Promise<Kept | null> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Kept;
  } catch {
    return null;
  }
}
