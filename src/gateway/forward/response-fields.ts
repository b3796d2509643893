/** What a field of a response means to the gateway. */
export const PASS = 0;
const DROP = 1;
export const CONNECTION = 2;
export const KEEP_ALIVE = 3;
export const TRANSFER_ENCODING = 4;
export const CONTENT_LENGTH = 5;
/** What the edge decides itself on a route with `cors`. */
export const CORS = 6;

/** PASS = none of the others. All but CONTENT_LENGTH and CORS concern one connection only (RFC 9110 section 7.6.1). */
const KINDS: ReadonlyMap<string, number> = new Map([
  ['connection', CONNECTION],
  ['keep-alive', KEEP_ALIVE],
  ['transfer-encoding', TRANSFER_ENCODING],
  ['content-length', CONTENT_LENGTH],
  ['proxy-connection', DROP],
  ['proxy-authenticate', DROP],
  ['proxy-authentication-info', DROP],
  ['te', DROP],
  ['upgrade', DROP],
  ['trailer', DROP],
]);

/** Kinds by name as services spell it. */
const spelled = new Map<string, number>();
const MOST_SPELLINGS = 1024;

export function responseFieldKind(name: string): number {
  const known = spelled.get(name);
  if (known !== undefined) return known;
  const lower = name.toLowerCase();
  const kind = lower.startsWith('access-control-') ? CORS : (KINDS.get(lower) ?? PASS);
  if (spelled.size < MOST_SPELLINGS) spelled.set(name, kind);
  return kind;
}
