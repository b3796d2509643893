import type { ExplainCheck } from '../contracts/explain.ts';
import type { Principal } from '../contracts/principal.ts';
import { Refusal } from '../errors.ts';
import type { Authenticator } from './authenticate.ts';
import { isJwtShaped } from './compact-jwt.ts';
import { type TokenCheck, TokenRefusal } from './token-refusal.ts';

/** In the order in which `Authenticator` makes them. */
const OF_JWT: readonly TokenCheck[] = [
  'token', 'issuer', 'algorithm', 'time', 'type', 'client', 'subject', 'signature', 'introspection', 'session',
]; // prettier-ignore
const OF_OPAQUE: readonly TokenCheck[] = [
  'token', 'introspection', 'issuer', 'time', 'type', 'client', 'subject', 'session',
]; // prettier-ignore

/** What it means that a check held. */
const HELD: Readonly<Record<TokenCheck, string>> = {
  token: 'The token has the form of one',
  issuer: 'The issuer is accepted',
  algorithm: 'The algorithm is accepted',
  time: 'The token is valid now',
  type: 'It is an access token',
  client: 'The client is accepted',
  subject: 'The subject is a name',
  signature: 'The signature is that of a key of the realm',
  introspection: 'The realm says that the token is active',
  session: 'The session has not ended',
};

/**
 * Checks a token as a request's is checked, and adds each of the checks up to the first that fails. Rejects then with
 * the refusal that a request would get; the failed check is for the caller to add, under the name in `failedCheck`.
 */
export async function explainToken(
  authenticator: Authenticator,
  token: string,
  realm: string | null,
  checks: ExplainCheck[],
): Promise<Principal> {
  const order = isJwtShaped(token) ? OF_JWT : OF_OPAQUE;
  try {
    const principal = await authenticator.examine(token, realm);
    for (const name of order) {
      // Only a token that does not say everything itself is introspected.
      if (name !== 'introspection' || order === OF_OPAQUE) {
        checks.push({ name, ok: true, detail: held(name, principal) });
      }
    }
    return principal;
  } catch (error) {
    const failed = order.indexOf(failedCheck(error) ?? 'token');
    for (const name of order.slice(0, failed)) checks.push({ name, ok: true, detail: HELD[name] });
    throw error;
  }
}

/** Which check of a token it was that failed; null = none of a token. */
export function failedCheck(error: unknown): TokenCheck | null {
  if (error instanceof TokenRefusal) return error.check;
  return error instanceof Refusal && error.status === 401 ? 'token' : null;
}

function held(name: TokenCheck, principal: Principal): string {
  switch (name) {
    case 'issuer':
      return `The token is from the realm ${principal.realm}`;
    case 'time':
      return `The token is accepted until ${new Date(principal.notAfter).toISOString()}`;
    case 'client':
      return `Issued to or for ${[...principal.clients].join(', ')}`;
    case 'subject':
      return `The token speaks for ${principal.username ?? principal.subject}`;
    default:
      return HELD[name];
  }
}
