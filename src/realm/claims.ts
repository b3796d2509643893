import type { Principal } from '../contracts/principal.ts';

type Claims = Readonly<Record<string, unknown>>;

/**
 * Who a token with these (already verified) claims speaks for, in Keycloak's form: `realm_access.roles`,
 * `resource_access.{client}.roles`, `scope`, `azp` or `client_id`, `aud`, `sid` or `session_state`.
 *
 * A claim is whatever the issuer wrote. One of the wrong type counts as absent: it is neither converted nor an
 * error, so that roles given as one string are no roles at all. Members of a list are judged one by one.
 *
 * A client role is written `client:CLIENT/NAME`. In CLIENT, `%` stands as `%25` and `/` as `%2F`, so that the first
 * `/` always ends the client: role `c` of client `a/b` is `client:a%2Fb/c` and can never pass for role `b/c` of
 * client `a`, which is `client:a/b/c`.
 *
 * @param clockSkew milliseconds, added to `exp`. Without a usable `exp` the token is over: `notAfter` is 0.
 */
export function principalFromClaims(realm: string, claims: Claims, clockSkew: number): Principal {
  return new ClaimedPrincipal(realm, claims, clockSkew);
}

/** Its sets are made when a route asks for them: most tokens are never asked for one. */
class ClaimedPrincipal implements Principal {
  readonly realm: string;
  readonly subject: string;
  readonly username: string | null;
  readonly email: string | null;
  readonly groups: readonly string[];
  readonly members: number;
  readonly sessionId: string | null;
  readonly issuedAt: number;
  readonly notAfter: number;
  readonly #clientAccess: unknown;
  readonly #scope: string;
  readonly #audience: readonly string[];
  readonly #party: string | null;
  #roles: ReadonlySet<string> | null = null;
  #scopes: ReadonlySet<string> | null = null;
  #clients: ReadonlySet<string> | null = null;

  constructor(realm: string, claims: Claims, clockSkew: number) {
    const expiry = seconds(own(claims, 'exp'));
    const audience = own(claims, 'aud');
    this.realm = realm;
    this.subject = text(own(claims, 'sub')) ?? '';
    this.username = text(own(claims, 'preferred_username'));
    this.email = text(own(claims, 'email'));
    this.groups = strings(own(own(claims, 'realm_access'), 'roles'));
    this.sessionId = text(own(claims, 'sid')) ?? text(own(claims, 'session_state'));
    this.issuedAt = seconds(own(claims, 'iat')) ?? 0;
    this.notAfter = expiry === null ? 0 : expiry + clockSkew;
    this.#clientAccess = own(claims, 'resource_access');
    this.#scope = text(own(claims, 'scope')) ?? '';
    this.#audience = strings(typeof audience === 'string' ? [audience] : audience);
    this.#party = text(own(claims, 'azp')) ?? text(own(claims, 'client_id'));
    this.members = this.groups.length + this.#audience.length + 1 + words(this.#scope);
    for (const [, roles] of clientRoles(this.#clientAccess)) this.members += roles.length;
  }

  get roles(): ReadonlySet<string> {
    return (this.#roles ??= rolesOf(this.groups, this.#clientAccess));
  }

  get scopes(): ReadonlySet<string> {
    return (this.#scopes ??= new Set(this.#scope.split(' ').filter((scope) => scope !== '')));
  }

  get clients(): ReadonlySet<string> {
    return (this.#clients ??= new Set(
      this.#party === null ? this.#audience : [...this.#audience, this.#party],
    ));
  }
}

function rolesOf(groups: readonly string[], resourceAccess: unknown): Set<string> {
  const roles = new Set(groups.map((name) => `realm:${name}`));
  for (const [client, names] of clientRoles(resourceAccess)) {
    const prefix = `client:${client.replaceAll('%', '%25').replaceAll('/', '%2F')}/`;
    for (const name of names) roles.add(prefix + name);
  }
  return roles;
}

/** By client. One without a name has none. */
function clientRoles(resourceAccess: unknown): [client: string, roles: readonly string[]][] {
  if (!isRecord(resourceAccess)) return [];
  return Object.keys(resourceAccess)
    .filter((client) => client !== '')
    .map((client) => [client, strings(own(resourceAccess[client], 'roles'))]);
}

/** At most so many words stand in a text between spaces. */
function words(text: string): number {
  let count = 1;
  for (let at = text.indexOf(' '); at !== -1; at = text.indexOf(' ', at + 1)) count++;
  return count;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An own property only: nothing that a prototype, real or named in the token, could supply. */
function own(value: unknown, name: string): unknown {
  return isRecord(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}

function text(value: unknown): string | null {
  return isText(value) ? value : null;
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

const NONE: readonly string[] = [];

function strings(value: unknown): readonly string[] {
  if (!Array.isArray(value)) return NONE;
  // As a rule all of them are, and no copy has to be made.
  return value.every(isText) ? value : value.filter(isText);
}

/** NumericDate (RFC 7519 section 2) in milliseconds; JSON can spell an infinity as `1e999`. */
function seconds(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value * 1000) ? value * 1000 : null;
}
