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
  const groups = strings(own(own(claims, 'realm_access'), 'roles'));
  const expiry = seconds(own(claims, 'exp'));
  return {
    realm,
    subject: text(own(claims, 'sub')) ?? '',
    username: text(own(claims, 'preferred_username')),
    email: text(own(claims, 'email')),
    groups,
    roles: rolesOf(groups, own(claims, 'resource_access')),
    scopes: new Set((text(own(claims, 'scope')) ?? '').split(' ').filter((scope) => scope !== '')),
    clients: clientsOf(claims),
    sessionId: text(own(claims, 'sid')) ?? text(own(claims, 'session_state')),
    issuedAt: seconds(own(claims, 'iat')) ?? 0,
    notAfter: expiry === null ? 0 : expiry + clockSkew,
  };
}

function rolesOf(groups: readonly string[], resourceAccess: unknown): Set<string> {
  const roles = new Set(groups.map((name) => `realm:${name}`));
  if (!isRecord(resourceAccess)) return roles;
  for (const [client, access] of Object.entries(resourceAccess)) {
    if (client === '') continue;
    const prefix = `client:${client.replaceAll('%', '%25').replaceAll('/', '%2F')}/`;
    for (const name of strings(own(access, 'roles'))) roles.add(prefix + name);
  }
  return roles;
}

function clientsOf(claims: Claims): Set<string> {
  const audience = own(claims, 'aud');
  const clients = new Set(strings(typeof audience === 'string' ? [audience] : audience));
  const party = text(own(claims, 'azp')) ?? text(own(claims, 'client_id'));
  if (party !== null) clients.add(party);
  return clients;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An own property only: nothing that a prototype, real or named in the token, could supply. */
function own(value: unknown, name: string): unknown {
  return isRecord(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}

function text(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((member): member is string => text(member) !== null) : [];
}

/** NumericDate (RFC 7519 section 2) in milliseconds; JSON can spell an infinity as `1e999`. */
function seconds(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value * 1000) ? value * 1000 : null;
}
