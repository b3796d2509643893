import type { ControlChannel } from '../contracts/control-channel.ts';
import { Refusal } from '../errors.ts';
import type { JsonObject } from './compact-jwt.ts';
import type { RealmState } from './realm-state.ts';
import { checkClaims, issuerOf } from './token-checks.ts';
import { invalidToken, TokenRefusal } from './token-refusal.ts';
import { WorkQueue } from './work-queue.ts';

/** What strangers send must not become a flood at the realm. */
const CONCURRENCY = 16;
const BACKLOG = 256;

/** Asks a realm about tokens that do not say everything themselves (RFC 7662), by way of the primary. */
export class Introspection {
  readonly #control: Pick<ControlChannel, 'introspect'>;
  readonly #now: () => number;
  readonly #queue = new WorkQueue(CONCURRENCY, BACKLOG);

  constructor(control: Pick<ControlChannel, 'introspect'>, now: () => number) {
    this.#control = control;
    this.#now = now;
  }

  /**
   * The claims of an active token, after every check that a JWT's claims pass; null for one that is not active.
   * `verified` are claims that a signature already vouches for; they win over what the realm adds.
   *
   * Rejects with `token_invalid` or `token_expired`, with `overloaded`, or with `keys_unavailable` when the realm
   * gives no answer, since nothing is known of the token then.
   */
  async claimsOf(token: string, realm: RealmState, verified: JsonObject): Promise<JsonObject | null> {
    const answer = await this.#ask(token, realm.name);
    if (answer === null) return null;
    if (answer['iss'] !== undefined) {
      const issuer = issuerOf(answer);
      if (issuer instanceof TokenRefusal) throw issuer;
      if (!realm.rules.issuers.includes(issuer)) throw invalidToken('issuer', 'the issuer is not accepted');
    }
    const type = answer['token_type'];
    if (type !== undefined && !(typeof type === 'string' && type.toLowerCase() === 'bearer')) {
      throw invalidToken('type', 'the token is not an access token');
    }
    const claims = { ...answer, ...verified };
    const refused = checkClaims(claims, realm.rules, this.#now());
    if (refused !== null) throw refused;
    if (claims['sub'] === undefined) throw invalidToken('subject', 'the subject is missing');
    return claims;
  }

  async #ask(token: string, realm: string): Promise<JsonObject | null> {
    try {
      return await this.#queue.run(() => this.#control.introspect(realm, token));
    } catch (error) {
      if (error instanceof Refusal) throw error;
      const detail = 'the realm could not be asked about the token';
      throw new TokenRefusal('introspection', 'keys_unavailable', detail, 1);
    }
  }
}
