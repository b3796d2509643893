import type { Principal } from '../../contracts/principal.ts';

const built = Symbol('identity lines');

/** A property and no WeakMap: one of 30,000 principals made every garbage collection longer. */
interface Described extends Principal {
  [built]?: string | undefined;
}

/** The field lines that tell a service who calls; built once per token. */
export function identityLines(principal: Described): string {
  return (principal[built] ??= build(principal));
}

function build(principal: Principal): string {
  const { subject, username, email, groups } = principal;
  const lines = ['X-Forwarded-User: ', fieldValue(subject), '\r\n'];
  if (username !== null) lines.push('X-Forwarded-Preferred-Username: ', fieldValue(username), '\r\n');
  if (email !== null) lines.push('X-Forwarded-Email: ', fieldValue(email), '\r\n');
  if (groups.length > 0) lines.push('X-Forwarded-Groups: ', groups.map(groupName).join(','), '\r\n');
  return lines.join('');
}

/** Printable ASCII without white space around it: what most claims are. */
const PLAIN = /^[!-~](?:[ -~]*[!-~])?$/;

/** A comma separates groups, so one inside a name is escaped, and `%` with it, or two names could read the same. */
function groupName(name: string): string {
  return fieldValue(name.replaceAll('%', '%25').replaceAll(',', '%2C'));
}

/**
 * A claim as a header value: UTF-8 in the latin1 form that sockets are given, control characters escaped, since a
 * user may choose their own name and must not be able to end the line (RFC 9110 section 5.5).
 */
function fieldValue(claim: string): string {
  if (PLAIN.test(claim)) return claim;
  // Trimmed as text: a byte of its UTF-8 may look like white space (the last one of `à` does).
  const utf8 = Buffer.from(claim.trim(), 'utf8').toString('latin1');
  return utf8.replace(
    /[\x00-\x1f\x7f]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
}
