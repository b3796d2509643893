import { createHash, randomUUID } from 'node:crypto';
import { SignJWT, compactVerify, decodeProtectedHeader, importJWK } from 'jose';
import type { JWTPayload } from 'jose';
import type { RealmSecrets } from './secrets.ts';
import type { User } from './users.ts';

/** What one token says; `handle` is the name under which the provider keeps it. */
export interface TokenFacts {
  readonly handle: string;
  readonly clientId: string;
  readonly user: User;
  readonly sessionId: string;
  /** Scopes of the grant, before Keycloak's default ones are added. */
  readonly scopes: ReadonlySet<string>;
  /** Seconds since the epoch. */
  readonly expiresAt: number;
  /** Seconds since the epoch; only where a browser signed in. */
  readonly authTime?: number | undefined;
  readonly nonce?: string | undefined;
}

/** A token of this realm that came back: its signature and issuer are right, its time may be over. */
export interface OpenedToken {
  readonly kind: 'access' | 'refresh';
  readonly handle: string;
  readonly claims: JWTPayload;
  readonly expired: boolean;
}

/** Scopes of every client of a fresh Keycloak realm that show in `scope`; the rest act without being named there. */
const DEFAULT_SCOPES = ['email', 'profile'];
const SILENT_SCOPES = ['acr', 'basic', 'roles', 'web-origins'];
export const KNOWN_SCOPES: readonly string[] = [
  'openid',
  ...DEFAULT_SCOPES,
  'offline_access',
  'address',
  'phone',
  ...SILENT_SCOPES,
];

/** The value of `scope`, in tokens and in the token response. */
export function scopeClaim(scopes: ReadonlySet<string>): string {
  const shown = KNOWN_SCOPES.filter((scope) => scopes.has(scope) && !SILENT_SCOPES.includes(scope));
  return [...new Set([...shown, ...DEFAULT_SCOPES])].join(' ');
}

/**
 * Writes and reads tokens in Keycloak's form. The provider keeps tokens under opaque handles; a client holds a JWT
 * whose `jti` is the handle, and the bare handle is worth nothing without the signature around it.
 */
export class TokenForm {
  readonly #issuer: string;
  readonly #secrets: RealmSecrets;
  readonly #refreshKey: Uint8Array;

  constructor(issuer: string, secrets: RealmSecrets) {
    this.#issuer = issuer;
    this.#secrets = secrets;
    this.#refreshKey = Buffer.from(secrets.refreshSecret, 'base64url');
  }

  access(facts: TokenFacts): Promise<string> {
    return this.#sign({
      ...this.#common(facts),
      aud: 'account',
      typ: 'Bearer',
      azp: facts.clientId,
      sid: facts.sessionId,
      acr: '1',
      'allowed-origins': ['/*'],
      realm_access: { roles: facts.user.realmRoles },
      resource_access: { account: { roles: ['manage-account', 'manage-account-links', 'view-profile'] } },
      scope: scopeClaim(facts.scopes),
      ...facts.user.profile,
    });
  }

  /** An ID token (OpenID Connect Core section 2) for the access token `accessToken`. */
  id(facts: TokenFacts, accessToken: string): Promise<string> {
    const digest = createHash('sha256').update(accessToken).digest();
    return this.#sign({
      ...this.#common(facts),
      jti: randomUUID(),
      aud: facts.clientId,
      typ: 'ID',
      azp: facts.clientId,
      ...(facts.nonce === undefined ? {} : { nonce: facts.nonce }),
      sid: facts.sessionId,
      at_hash: digest.subarray(0, digest.length / 2).toString('base64url'),
      acr: '1',
      ...facts.user.profile,
    });
  }

  /** A refresh token: for this realm alone, so signed with its secret and not with the published key. */
  refresh(facts: TokenFacts): Promise<string> {
    const claims = {
      ...this.#common(facts),
      aud: this.#issuer,
      typ: facts.scopes.has('offline_access') ? 'Offline' : 'Refresh',
      azp: facts.clientId,
      sid: facts.sessionId,
      scope: scopeClaim(facts.scopes),
    };
    return new SignJWT(claims).setProtectedHeader({ alg: 'HS512', typ: 'JWT' }).sign(this.#refreshKey);
  }

  /** Reads an access or refresh token; null when it is neither, or not of this realm and its present keys. */
  async open(token: string): Promise<OpenedToken | null> {
    try {
      const refresh = decodeProtectedHeader(token).alg === 'HS512';
      const key = refresh ? this.#refreshKey : await importJWK(publicPart(this.#secrets), 'RS256');
      const { payload } = await compactVerify(token, key, { algorithms: [refresh ? 'HS512' : 'RS256'] });
      const claims = JSON.parse(Buffer.from(payload).toString()) as JWTPayload;
      const types = refresh ? ['Refresh', 'Offline'] : ['Bearer'];
      if (claims.iss !== this.#issuer || !types.includes(String(claims['typ']))) return null;
      if (typeof claims.jti !== 'string' || typeof claims.exp !== 'number') return null;
      const expired = claims.exp * 1000 <= Date.now();
      return { kind: refresh ? 'refresh' : 'access', handle: claims.jti, claims, expired };
    } catch {
      return null;
    }
  }

  #common(facts: TokenFacts): JWTPayload {
    return {
      exp: facts.expiresAt,
      iat: Math.floor(Date.now() / 1000),
      ...(facts.authTime === undefined ? {} : { auth_time: facts.authTime }),
      jti: facts.handle,
      iss: this.#issuer,
      sub: facts.user.id,
    };
  }

  async #sign(claims: JWTPayload): Promise<string> {
    const { signingKey } = this.#secrets;
    const key = await importJWK({ ...signingKey }, 'RS256');
    return new SignJWT(claims)
      .setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid: signingKey.kid })
      .sign(key);
  }
}

/** The signing key as `certs` publishes it. */
export function publicPart({ signingKey }: RealmSecrets) {
  const { kty, kid, use, alg, n, e } = signingKey;
  return { kid, kty, alg, use, n, e };
}
