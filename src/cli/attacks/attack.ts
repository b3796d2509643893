/** What is attacked, and what was learned about it before. */
export interface Site {
  /** As `Host` names it. */
  readonly authority: string;
  /** A path that wants a token. */
  readonly path: string;
  readonly realm: RealmFacts;
  /** A good token, so that an attack is not refused for want of one; null = there is none. */
  readonly token: string | null;
}

/** What everybody may know of the realm whose tokens the gateway takes. */
export interface RealmFacts {
  readonly name: string;
  readonly issuer: string;
  /** Public keys that signatures are checked with, as JWKs; empty = they are not published. */
  readonly keys: readonly Readonly<Record<string, unknown>>[];
  /** Whether its token endpoint is reached through the gateway. */
  readonly published: boolean;
}

/** A request that a gateway must refuse. */
export interface Attack {
  readonly kind: 'path' | 'head' | 'framing' | 'body' | 'header' | 'token' | 'realm';
  readonly name: string;
  /** The published weakness that it is the attack of; null = of many, or of none. */
  readonly advisory: string | null;
  /** Everything that is sent, one character a byte. */
  readonly bytes: string;
  /** Right answers, each a status and the code of its problem details: `400 malformed_request`. */
  readonly expected: readonly string[];
  /** Whether the connection has to close, so that nothing behind the request is taken for another. */
  readonly closes: boolean;
}

/** `Host` and, where there is a token, `Authorization`: nothing but what is wrong with a request shall be wrong. */
export function usualHeaders(site: Site): string {
  return hostHeader(site) + bearerHeader(site);
}

export function hostHeader({ authority }: Site): string {
  return `Host: ${authority}\r\n`;
}

export function bearerHeader({ token }: Site): string {
  return token === null ? '' : `Authorization: Bearer ${token}\r\n`;
}

/** A good request that stands behind a bad one: whoever answers it was led astray. */
export function behind(site: Site): string {
  return `GET ${site.path} HTTP/1.1\r\n${usualHeaders(site)}\r\n`;
}
