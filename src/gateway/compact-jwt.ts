import { Refusal } from '../errors.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** What a compact JWT says of itself. Nothing here is verified. */
export interface ParsedJwt {
  readonly header: JsonObject;
  readonly claims: JsonObject;
  /** The JSON texts of both, in which `checkMemberNames` looks. */
  readonly headerText: string;
  readonly claimsText: string;
}

/** Whether a token has the three parts of a JWS (RFC 7515 section 3.1). Anything else is opaque to the gateway. */
export function isJwtShaped(token: string): boolean {
  const first = token.indexOf('.');
  const second = token.indexOf('.', first + 1);
  return first !== -1 && second !== -1 && !token.includes('.', second + 1);
}

/**
 * Reads a token for which `isJwtShaped` holds. Each part must be canonical base64url, since a second spelling of
 * the same bytes would be a second token to the cache; header and claims must be JSON objects in UTF-8.
 * Throws `token_invalid`.
 */
export function parseJwt(token: string): ParsedJwt {
  const [header = '', claims = '', signature = ''] = token.split('.');
  if (signature === '' || decode(signature) === null) {
    throw new Refusal('token_invalid', 'the signature is not base64url');
  }
  const headerText = decodeText(header, 'header');
  const claimsText = decodeText(claims, 'payload');
  return {
    header: parseObject(headerText, 'header'),
    claims: parseObject(claimsText, 'payload'),
    headerText,
    claimsText,
  };
}

/**
 * No object may name a member twice (RFC 7515 section 4, RFC 7519 section 4): `JSON.parse` keeps the last of two,
 * another parser the first. It costs more than parsing, so that only tokens with a good signature are worth it.
 * Throws `token_invalid`.
 */
export function checkMemberNames(jwt: ParsedJwt): void {
  if (namesMemberTwice(jwt.headerText)) throw new Refusal('token_invalid', 'the header names a member twice');
  if (namesMemberTwice(jwt.claimsText))
    throw new Refusal('token_invalid', 'the payload names a member twice');
}

function decodeText(part: string, name: string): string {
  const bytes = decode(part);
  if (bytes === null) throw new Refusal('token_invalid', `the ${name} is not base64url`);
  try {
    return UTF8.decode(bytes);
  } catch {
    throw new Refusal('token_invalid', `the ${name} is not UTF-8`);
  }
}

function parseObject(text: string, name: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Refusal('token_invalid', `the ${name} is not JSON`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Refusal('token_invalid', `the ${name} is not a JSON object`);
  }
  return value as JsonObject;
}

// A byte order mark is not JSON: without ignoreBOM the decoder would drop it silently.
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Node's decoder skips what it does not know and takes both alphabets: only what encodes back to itself is good. */
function decode(part: string): Buffer | null {
  const bytes = Buffer.from(part, 'base64url');
  return bytes.toString('base64url') === part ? bytes : null;
}

/** `text` is valid JSON. */
function namesMemberTwice(text: string): boolean {
  const open: (Set<string> | null)[] = [];
  let last = '';
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === '"') {
      const end = endOfString(text, at);
      last = text.slice(at, end + 1);
      at = end;
    } else if (character === '{') open.push(new Set());
    else if (character === '[') open.push(null);
    else if (character === '}' || character === ']') open.pop();
    else if (character === ':') {
      const names = open.at(-1);
      // One name has many spellings: "a" is also "\u0061".
      const name = last.includes('\\') ? (JSON.parse(last) as string) : last.slice(1, -1);
      if (names?.has(name)) return true;
      names?.add(name);
    }
  }
  return false;
}

/** Index of the quote that closes the string which opens at `start`. */
function endOfString(text: string, start: number): number {
  let end = start;
  let backslashes: number;
  do {
    end = text.indexOf('"', end + 1);
    backslashes = 0;
    while (text[end - 1 - backslashes] === '\\') backslashes++;
  } while (backslashes % 2 === 1);
  return end;
}
