/*
 * Notations that configuration files and services have in common: ECMA-262 sources for the flag `u`, without anchors.
 */

/** What `endpointFault` has still to look at. */
export const ENDPOINT = "/[A-Za-z0-9._~!$&'()*+,;=:@%/\\-]*";

/** A Keycloak role: of the realm or of a client. */
export const ROLE =
  'realm:[^\\u0000-\\u001f\\u007f]+|client:[^/\\u0000-\\u001f\\u007f]+/[^\\u0000-\\u001f\\u007f]+';

/** RFC 6749 section 3.3, `scope-token`. */
export const SCOPE = '[!#-\\[\\]-~]+';

/** Path and query that a health check asks for. */
export const HEALTH_PATH = '/[!"$-~]*';

/** Names that only have to be a line of text: clients, roles, users, images. */
export const LINE = '[^\\u0000-\\u001f\\u007f]+';

/** Why a text of the form `ENDPOINT` is no canonical path prefix, or null when it is one. */
export function endpointFault(endpoint: string): string | null {
  if (endpoint.includes('//')) return 'it has an empty segment';
  if (endpoint.includes('%')) return 'it has an encoded character';
  // Before a semicolon too, which some servers cut off with what follows.
  if (endpoint.split('/').some((segment) => /^\.\.?(?:;|$)/.test(segment))) return 'it has a dot segment';
  if (endpoint !== '/' && endpoint.endsWith('/')) return 'it ends in a slash';
  if (endpoint === '/auth' || endpoint.startsWith('/auth/')) return '/auth belongs to the realms';
  return null;
}
