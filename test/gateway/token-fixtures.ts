import { compactVerify, decodeProtectedHeader, exportJWK, generateKeyPair, importJWK } from 'jose';
import type { CryptoKey, JWK } from 'jose';
import { expect } from 'vitest';
import type { ControlChannel } from '../../src/contracts/control-channel.ts';
import type { Principal } from '../../src/contracts/principal.ts';
import type { PublicJwk, RealmSnapshot } from '../../src/contracts/snapshot.ts';
import { Refusal } from '../../src/errors.ts';
import { Authenticator } from '../../src/gateway/authenticate.ts';

export const ISSUER = 'https://services.example.com/auth/realms/demo';

/** The instant at which every test happens, unless it moves the clock. */
export const NOW = 1_800_000_000_000;

export const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
];

export interface SigningKey {
  readonly alg: string;
  readonly privateKey: CryptoKey;
  readonly jwk: PublicJwk & { readonly kid: string };
}

export async function makeKey(alg: string, kid: string, options: { publishAlg?: boolean } = {}) {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  const jwk = (await exportJWK(publicKey)) as PublicJwk;
  const key: SigningKey = {
    alg,
    privateKey,
    jwk: { ...jwk, kid, ...(options.publishAlg === false ? {} : { alg }) },
  };
  return key;
}

export function encode(text: string | Uint8Array): string {
  return Buffer.from(text).toString('base64url');
}

/** Signs exactly this header and this payload, however wrong they are. */
export async function signText(key: SigningKey, header: string, payload: string): Promise<string> {
  const input = `${encode(header)}.${encode(payload)}`;
  const { name } = key.privateKey.algorithm;
  const bits = Number(key.alg.slice(2)) || 512;
  const parameters = { name, hash: `SHA-${bits}`, saltLength: bits / 8 };
  const signature = await crypto.subtle.sign(parameters, key.privateKey, Buffer.from(input));
  return `${input}.${encode(new Uint8Array(signature))}`;
}

/** What Keycloak puts into an access token of the public client `istio`. */
export function keycloakClaims(): Record<string, unknown> {
  return {
    exp: NOW / 1000 + 300,
    iat: NOW / 1000 - 10,
    jti: 'onrtro:3c1d1f9c-2f4f-4a5e-a8b0-0e2b7e6f9f11',
    iss: ISSUER,
    aud: 'account',
    sub: 'f2b1a9d0-6a4e-4b57-8b1d-7f1f0c9a5e21',
    typ: 'Bearer',
    azp: 'istio',
    sid: '9a2ed6f5-6f6e-4c57-9b1c-0b5f5c7a1c33',
    realm_access: { roles: ['offline_access', 'default-roles-demo'] },
    resource_access: { account: { roles: ['manage-account', 'view-profile'] } },
    scope: 'profile email',
    preferred_username: 'alice',
    email: 'alice@example.com',
  };
}

/** A token signed by `key`, like Keycloak's but for `claims` and `header`; undefined takes a member away. */
export function sign(
  key: SigningKey,
  claims: Record<string, unknown> = {},
  header: Record<string, unknown> = {},
): Promise<string> {
  return signText(
    key,
    JSON.stringify({ alg: key.alg, typ: 'JWT', kid: key.jwk.kid, ...header }),
    JSON.stringify({ ...keycloakClaims(), ...claims }),
  );
}

interface RealmChanges {
  readonly name?: string;
  readonly issuers?: readonly string[];
  readonly clients?: readonly string[] | null;
  readonly algorithms?: readonly string[];
  readonly clockSkew?: number;
  readonly cooldownUntil?: number;
  readonly introspectionCache?: number | null;
  readonly revocations?: RealmSnapshot['revocations'];
}

export function realmWith(keys: readonly SigningKey[], changes: RealmChanges = {}): RealmSnapshot {
  return {
    settings: {
      name: changes.name ?? 'demo',
      url: 'http://keycloak:8080/auth/realms/demo',
      issuers: null,
      clients: changes.clients ?? null,
      algorithms: changes.algorithms ?? ALGORITHMS,
      clockSkew: changes.clockSkew ?? 30_000,
      jwks: { refresh: 600_000, cooldown: 30_000, staleFor: 86_400_000, timeout: 5_000 },
      revocation: { backchannelLogout: true },
      passthrough: {
        endpoints: [],
        grants: [],
        limit: { perUser: { count: 10, window: 60_000 }, perAddress: { count: 60, window: 60_000 } },
      },
    },
    introspectionCache: changes.introspectionCache ?? null,
    issuers: changes.issuers ?? [ISSUER],
    keys: {
      jwks: keys.map((key) => key.jwk),
      fetchedAt: NOW,
      cooldownUntil: changes.cooldownUntil ?? NOW + 30_000,
    },
    revocations: changes.revocations ?? [],
  };
}

/** The primary, as a test wants it to answer; every call is noted. */
export class FakeControl implements ControlChannel {
  readonly refreshes: string[] = [];
  readonly introspections: { readonly realm: string; readonly token: string }[] = [];
  onRefresh: (realm: string) => Promise<void> = () => Promise.resolve();
  onIntrospect: (realm: string) => Promise<Record<string, unknown> | null> = () => Promise.resolve(null);

  refreshKeys(realm: string): Promise<void> {
    this.refreshes.push(realm);
    return this.onRefresh(realm);
  }

  introspect(realm: string, token: string): Promise<Record<string, unknown> | null> {
    this.introspections.push({ realm, token });
    return this.onIntrospect(realm);
  }

  takeRate(): Promise<never> {
    throw new Error('not part of a token check');
  }

  enter(): Promise<never> {
    throw new Error('not part of a token check');
  }

  leave(): never {
    throw new Error('not part of a token check');
  }

  awaitUpstream(): Promise<never> {
    throw new Error('not part of a token check');
  }

  backchannelLogout(): Promise<never> {
    throw new Error('not part of a token check');
  }
}

export interface Bench {
  readonly authenticator: Authenticator;
  readonly control: FakeControl;
  /** Sets the clock, in ms since the epoch. */
  setNow(now: number): void;
  /** Published now by the realms. */
  jwks(): readonly PublicJwk[];
}

export function benchWith(...realms: RealmSnapshot[]): Bench {
  const control = new FakeControl();
  let now = NOW;
  const authenticator = new Authenticator({ control, cacheBytes: 1024 * 1024, now: () => now });
  const apply = authenticator.apply.bind(authenticator);
  let current: readonly RealmSnapshot[] = [];
  authenticator.apply = (snapshots) => apply((current = snapshots));
  authenticator.apply(realms);
  return {
    authenticator,
    control,
    setNow: (instant) => (now = instant),
    jwks: () => current.flatMap(({ keys }) => keys.jwks),
  };
}

/** jose's verdict on a token, by one key and for one algorithm: the gateway's own has to be the same. */
export async function joseAccepts(token: string, jwk: JWK, alg: string): Promise<boolean> {
  try {
    await compactVerify(token, await importJWK(jwk, alg), { algorithms: [alg] });
    return true;
  } catch {
    return false;
  }
}

/** Whether jose accepts the signature by the key that the token names; null = it names none that is published. */
async function joseVerdict(token: string, jwks: readonly PublicJwk[]): Promise<boolean | null> {
  if (token.split('.').length !== 3) return null;
  const { alg, kid } = decodeProtectedHeader(token);
  const named = jwks.filter((jwk) => jwk.kid !== undefined && jwk.kid === kid);
  if (named.length !== 1 || alg === undefined) return null;
  return joseAccepts(token, { ...named[0]!, alg }, alg);
}

/**
 * How a check ended: the principal, or the refusal as `code: detail`. Wherever that depended on the signature, jose
 * has to come to the same verdict.
 */
export async function outcome(
  bench: Bench,
  token: string,
  realm: string | null = 'demo',
): Promise<Principal | string> {
  const result = await outcomeAlone(bench, token, realm);
  if (typeof result === 'string' && result !== WRONG_SIGNATURE) return result;
  const verdict = await joseVerdict(token, bench.jwks());
  if (verdict !== null) expect(verdict).toBe(result !== WRONG_SIGNATURE);
  return result;
}

const WRONG_SIGNATURE = 'token_invalid: the signature is wrong';

async function outcomeAlone(bench: Bench, token: string, realm: string | null): Promise<Principal | string> {
  try {
    const result = await bench.authenticator.authenticate(token, realm);
    return result instanceof Refusal ? `${result.code}: ${result.message}` : result;
  } catch (error) {
    if (error instanceof Refusal) return `${error.code}: ${error.message}`;
    throw error;
  }
}
