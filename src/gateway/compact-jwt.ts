import { Refusal } from '../errors.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** What a compact JWT says of itself. Nothing here is verified. */
export interface ParsedJwt {
  readonly header: JsonObject;
  readonly claims: JsonObject;
}

/** Whether a token has the three parts of a JWS (RFC 7515 section 3.1). Anything else is opaque to the gateway. */
export function isJwtShaped(token: string): boolean {
  const first = token.indexOf('.');
  const second = token.indexOf('.', first + 1);
  return first !== -1 && second !== -1 && !token.includes('.', second + 1);
}

/**
 * Reads a token for which `isJwtShaped` holds. Each part must be canonical base64url, since a second spelling of
 * the same bytes would be a second token to the cache; header and claims must be JSON objects in UTF-8 in which no
 * object names a member twice (RFC 7515 section 4, RFC 7519 section 4). Throws `token_invalid`.
 */
export function parseJwt(token: string): ParsedJwt {
  const [header = '', claims = '', signature = ''] = token.split('.');
  if (signature === '' || decode(signature) === null) {
    throw new Refusal('token_invalid', 'the signature is not base64url');
  }
  return { header: parseObject(header, 'header'), claims: parseObject(claims, 'payload') };
}

function parseObject(part: string, name: string): JsonObject {
  const bytes = decode(part);
  if (bytes === null) throw new Refusal('token_invalid', `the ${name} is not base64url`);
  let text: string;
  let value: unknown;
  try {
    text = UTF8.decode(bytes);
    value = JSON.parse(text);
  } catch {
    throw new Refusal('token_invalid', `the ${name} is not JSON`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Refusal('token_invalid', `the ${name} is not a JSON object`);
  }
  if (namesMemberTwice(text)) throw new Refusal('token_invalid', `the ${name} names a member twice`);
  return value as JsonObject;
}

// A byte order mark is not JSON: without ignoreBOM the decoder would drop it silently.
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Node's decoder skips what it does not know and takes both alphabets: only what encodes back to itself is good. */
function decode(part: string): Buffer | null {
  const bytes = Buffer.from(part, 'base64url');
  return bytes.toString('base64url') === part ? bytes : null;
}

/** `text` is valid JSON. JSON.parse keeps the last of two members with one name, another parser the first. */
function namesMemberTwice(text: string): boolean {
  const open: (Set<string> | null)[] = [];
  let last = '';
  for (const [lexeme] of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\]:]/g)) {
    if (lexeme === '{') open.push(new Set());
    else if (lexeme === '[') open.push(null);
    else if (lexeme === '}' || lexeme === ']') open.pop();
    else if (lexeme !== ':') last = lexeme;
    else {
      const names = open.at(-1);
      // One name has many spellings: "a" is also "\u0061".
      const name = last.includes('\\') ? (JSON.parse(last) as string) : last.slice(1, -1);
      if (names?.has(name)) return true;
      names?.add(name);
    }
  }
  return false;
}
