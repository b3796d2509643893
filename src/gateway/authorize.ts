import type { Principal } from '../contracts/principal.ts';
import type { Route } from '../contracts/settings.ts';
import { Refusal } from '../errors.ts';

declare const permitted: unique symbol;

/** Proof that the policy of `route` let `principal` through; only `authorize` makes one, and `forward` takes nothing else. */
export interface Permit {
  readonly route: Route;
  /** null = a public route, called without a token. */
  readonly principal: Principal | null;
  readonly [permitted]: true;
}

/**
 * Applies the access rules of a route: of every list that is given, one member has to match.
 * Throws `token_missing` without a principal on a route that is not public, else `access_denied`.
 */
export function authorize(route: Route, principal: Principal | null): Permit {
  if (principal !== null) {
    const { roles, scopes, clients } = route.access;
    if (roles.length > 0 && !anyOf(roles, principal.roles)) {
      throw new Refusal('access_denied', 'The token lacks a role that this service asks for');
    }
    if (clients.length > 0 && !anyOf(clients, principal.clients)) {
      throw new Refusal(
        'access_denied',
        'The token was issued to a client that this service does not accept',
      );
    }
    if (scopes.length > 0 && !anyOf(scopes, principal.scopes)) {
      throw new Refusal('access_denied', 'The token lacks a scope that this service asks for', {
        scope: scopes.join(' '),
      });
    }
  } else if (!route.public) {
    throw new Refusal('token_missing', 'Send a token as Authorization: Bearer');
  }
  return { route, principal } as Permit;
}

function anyOf(wanted: readonly string[], held: ReadonlySet<string>): boolean {
  for (const item of wanted) if (held.has(item)) return true;
  return false;
}
