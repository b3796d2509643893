import { Refusal } from '../errors.ts';

/** The one reading of a request target that routing, policy and the upstream share. */
export interface CanonicalTarget {
  /** Absolute path: unreserved characters decoded, other escapes in upper case, no dot or empty segments. */
  readonly path: string;
  /** '' or '?' and the query, as the client sent it. */
  readonly query: string;
}

const CHAR = { slash: 0x2f, question: 0x3f, hash: 0x23, percent: 0x25, backslash: 0x5c, dot: 0x2e } as const;

/** Bytes that no valid UTF-8 holds, and the lead-ins of overlong forms: some decoders read `%C0%AE` as a dot. */
const OVERLONG = /%(?:C[01]|E0%[89]|F0%8)/i;

/**
 * Checks and normalises a request target (RFC 9112 section 3.2, RFC 3986 section 6.2.2).
 *
 * `host` is the request's `Host` value in lower case. Throws `ambiguous_path` for everything that two readers could
 * understand differently: dot segments (also before a `;`, which Tomcat reads as one), `//`, `\`, an encoded `/`,
 * `\`, `.` segment or NUL, an invalid or overlong escape, a fragment, non-ASCII, authority-form and asterisk-form,
 * and an absolute-form whose authority is not the host's.
 */
export function canonicalTarget(target: string, host: string): CanonicalTarget {
  const origin = target.charCodeAt(0) === CHAR.slash ? target : originForm(target, host);
  let pathEnd = origin.length;
  let plain = true;
  for (let i = 0, previous = 0; i < origin.length; i++) {
    const c = origin.charCodeAt(i);
    if (c === CHAR.question && pathEnd === origin.length) pathEnd = i;
    if (c === CHAR.hash) throw ambiguous('it has a fragment');
    if (c <= 0x20 || c >= 0x7f) throw ambiguous('it has a character outside of printable ASCII');
    if (i < pathEnd) {
      if (c === CHAR.backslash) throw ambiguous('it has a backslash');
      if (c === CHAR.slash && previous === CHAR.slash && i > 0) throw ambiguous('it has an empty segment');
      if (c === CHAR.percent || (c === CHAR.dot && previous === CHAR.slash)) plain = false;
      previous = c;
    }
  }
  const raw = pathEnd === origin.length ? origin : origin.slice(0, pathEnd);
  const query = pathEnd === origin.length ? '' : origin.slice(pathEnd);
  return { path: plain ? raw : normalise(raw), query };
}

function ambiguous(why: string): Refusal {
  return new Refusal('ambiguous_path', `The request target is refused: ${why}`);
}

/** The path and query of an absolute-form target, which has to name the very authority that `Host` names. */
function originForm(target: string, host: string): string {
  const match = /^https?:\/\/([^/?#]*)(.*)$/is.exec(target);
  if (match === null) throw ambiguous('it is neither a path nor a URL');
  const [, authority = '', rest = ''] = match;
  if (authority === '' || authority.toLowerCase() !== host)
    throw ambiguous('its authority is not the Host header');
  return rest.startsWith('/') ? rest : `/${rest}`;
}

function normalise(raw: string): string {
  if (OVERLONG.test(raw)) throw ambiguous('it has an overlong escape');
  const path = raw.includes('%') ? raw.replace(/%(..?)?/gs, (escape) => normaliseEscape(escape)) : raw;
  for (const segment of path.split('/')) {
    const name = segment.includes(';') ? segment.slice(0, segment.indexOf(';')) : segment;
    if (name === '.' || name === '..') throw ambiguous('it has a dot segment');
  }
  return path;
}

function normaliseEscape(escape: string): string {
  if (!/^%[0-9a-f]{2}$/i.test(escape)) throw ambiguous('it has an invalid escape');
  const code = Number.parseInt(escape.slice(1), 16);
  if (code === 0) throw ambiguous('it has an encoded NUL');
  if (code === CHAR.slash) throw ambiguous('it has an encoded slash');
  if (code === CHAR.backslash) throw ambiguous('it has an encoded backslash');
  const character = String.fromCharCode(code);
  return /[A-Za-z0-9\-._~]/.test(character) ? character : escape.toUpperCase();
}
