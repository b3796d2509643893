import type { IncomingMessage } from 'node:http';
import { isB64Token, readBearer } from '../bearer.ts';
import type { Principal } from '../contracts/principal.ts';
import { Refusal } from '../errors.ts';
import { type Role, ROLES } from './operation.ts';

/** Who may administer. */
export interface AdminAccess {
  /** Whose tokens are accepted. */
  readonly realm: string;
  /** Names of realm roles. */
  readonly roles: Readonly<Record<Role, string>>;
  /** Longest token that is looked at. */
  readonly tokenBytes: number;
}

/**
 * The bearer token of a request. Only this header is ever looked at, no cookie: a browser sends nothing by itself that
 * another site could make use of. Throws `token_missing`, `token_invalid`, and `malformed_request` for two headers.
 */
export function readToken(request: IncomingMessage, tokenBytes: number): string {
  const [authorization, second] = request.headersDistinct['authorization'] ?? [];
  if (authorization === undefined) {
    throw new Refusal('token_missing', 'The request has no bearer token in its Authorization header');
  }
  if (second !== undefined) {
    throw new Refusal('malformed_request', 'The request has two Authorization headers');
  }
  const token = readBearer(authorization, tokenBytes);
  if (!isB64Token(token)) {
    throw new Refusal('token_invalid', 'the token has characters that no token has');
  }
  return token;
}

/** Throws `access_denied` when the principal has neither the role nor one that includes it. */
export function permit(principal: Principal, role: Role, { realm, roles }: AdminAccess): void {
  const sufficient = ROLES.slice(ROLES.indexOf(role)).map((name) => roles[name]);
  if (sufficient.some((name) => principal.roles.has(`realm:${name}`))) return;
  throw new Refusal('access_denied', `This needs the role ${sufficient.join(' or ')} of the realm ${realm}`);
}
