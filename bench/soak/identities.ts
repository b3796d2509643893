import { randomUUID } from 'node:crypto';
import type { JWTPayload } from 'jose';
import { forged, hostileTokens } from '../support/hostile-tokens.ts';
import { keycloakClaims, sign, type SigningKey } from '../support/tokens.ts';
import type { RealmCycle, RealmKey } from './realm-cycle.ts';

/** Who a token is of, as the service has to be told. */
export interface Identity {
  readonly token: string;
  readonly user: string;
  readonly username: string;
  readonly editor: boolean;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** How many users each key of the realm signs for. */
const USERS = 20;

/** Every fourth user is an editor. */
const EDITORS = 4;

/** The tokens that the soak sends. Each key's are signed once, so that they are known to the gateway's cache. */
export class Identities {
  readonly #issuer: string;
  readonly #realm: RealmCycle;
  readonly #byKey = new Map<SigningKey, Identity[]>();
  #next = 0;

  constructor(issuer: string, realm: RealmCycle) {
    this.#issuer = issuer;
    this.#realm = realm;
  }

  /** A user whose token has to be accepted now. */
  async good(editor?: boolean): Promise<Identity> {
    return this.of(this.#realm.goodKeys.at(-1)!.key, editor);
  }

  /** A user of any key that the realm ever had. */
  async any(): Promise<{ readonly identity: Identity; readonly key: RealmKey }> {
    const key = this.#realm.keys[Math.floor(Math.random() * this.#realm.keys.length)]!;
    return { identity: await this.of(key.key), key };
  }

  async of(key: SigningKey, editor?: boolean): Promise<Identity> {
    let identities = this.#byKey.get(key);
    if (identities === undefined) {
      identities = await Promise.all(Array.from({ length: USERS }, (_, i) => this.#sign(key, i, {})));
      this.#byKey.set(key, identities);
    }
    const fitting = editor === undefined ? identities : identities.filter((one) => one.editor === editor);
    return fitting[this.#next++ % fitting.length]!;
  }

  /** A user whose token is good for so many seconds only. */
  async brief(seconds: number): Promise<Identity> {
    const exp = Math.floor(Date.now() / 1000) + seconds;
    return this.#sign(this.#realm.goodKeys.at(-1)!.key, 0, { exp });
  }

  /** A token that is refused with `token_invalid`, or for one that is over `token_expired`. */
  async bad(kind: 'expired' | 'foreign' | 'forged' | 'malformed'): Promise<string> {
    const { key } = this.#realm.goodKeys.at(-1)!;
    if (kind === 'forged') return forged(this.#next++, key, this.#issuer);
    const tokens = await hostileTokens(kind, key, this.#issuer, kind === 'malformed' ? 8 : 1);
    return tokens[this.#next++ % tokens.length]!;
  }

  async #sign(key: SigningKey, number: number, claims: JWTPayload): Promise<Identity> {
    const base = keycloakClaims(this.#issuer, number);
    const editor = number % EDITORS === 0;
    const user = randomUUID();
    const payload = {
      ...base,
      sub: user,
      ...(editor ? { realm_access: { roles: ['editor'] } } : {}),
      ...claims,
    };
    return {
      token: await sign(key, payload),
      ...{ user, editor },
      username: String(base['preferred_username']),
      expiresAt: payload.exp! * 1000,
    };
  }
}
