import { isUtf8 } from 'node:buffer';
import { invalidToken, type TokenRefusal } from './token-refusal.ts';
import { withoutStack } from './without-stack.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** The parts of a compact JWT (RFC 7515 section 3.1). Nothing here is verified. */
export interface JwtParts {
  /** In base64url. */
  readonly header: string;
  /** In base64url. */
  readonly payload: string;
  /** In base64url. */
  readonly signature: string;
}

/** What a verifier is given. */
export interface SignedBytes {
  /** What was signed: header and payload as they stand in the token. */
  readonly input: Buffer;
  readonly signature: Buffer;
}

/** A header or a payload that was read. */
export interface JwtJson {
  readonly object: JsonObject;
  /** In which `checkMemberNames` looks. */
  readonly text: string;
}

type PartName = 'header' | 'payload';

/** Whether a token has the three parts of a JWS (RFC 7515 section 3.1). Anything else is opaque to the gateway. */
export function isJwtShaped(token: string): boolean {
  const first = token.indexOf('.');
  const second = token.indexOf('.', first + 1);
  return first !== -1 && second !== -1 && !token.includes('.', second + 1);
}

/** Takes a token apart for which `isJwtShaped` holds. */
export function splitJwt(token: string): JwtParts {
  const first = token.indexOf('.');
  const second = token.indexOf('.', first + 1);
  return {
    header: token.slice(0, first),
    payload: token.slice(first + 1, second),
    signature: token.slice(second + 1),
  };
}

/**
 * The signed and the signing bytes of a token that `splitJwt` took apart. They are good until the next call of anything
 * in this file. The signature must be canonical base64url, as header and payload must be for `readPart`: a second
 * spelling of the same bytes would be a second token to the cache.
 */
export function signedBytes(token: string, { signature }: JwtParts): SignedBytes | TokenRefusal {
  const end = token.length - signature.length - 1;
  const workspace = room(token.length);
  workspace.write(token, 0, end, 'latin1');
  const length = workspace.write(signature, end, 'base64url');
  if (length === 0 || workspace.toString('base64url', end, end + length) !== signature)
    return invalidToken('token', 'the signature is not base64url');
  return { input: workspace.subarray(0, end), signature: workspace.subarray(end, end + length) };
}

/** Reads a header or a payload, which must be a JSON object in UTF-8. */
export function readPart(part: string, name: PartName): JwtJson | TokenRefusal {
  const length = decode(part);
  if (length < 0) return invalidToken('token', `the ${name} is not base64url`);
  if (!beginsObject(length)) return notAnObject(name);
  const text = workspace.toString('utf8', 0, length);
  // What stands for bytes that are not UTF-8 may also stand for itself.
  if (text.includes('\ufffd') && !isUtf8(workspace.subarray(0, length)))
    return invalidToken('token', `the ${name} is not UTF-8`);
  const object = parseObject(text);
  return object === null ? notAnObject(name) : { object, text };
}

/**
 * No object may name a member twice (RFC 7515 section 4, RFC 7519 section 4): `JSON.parse` keeps the last of two,
 * another parser the first. It costs as much as parsing, so that only tokens with a good signature are worth it.
 * Null = it does not.
 */
export function checkMemberNames({ object, text }: JwtJson, name: PartName): TokenRefusal | null {
  // What is written as JSON.stringify writes it, which names nothing twice, needs no closer look: a third of the time.
  if (JSON.stringify(object) === text) return null;
  return namesMemberTwice(text) ? invalidToken('token', `the ${name} names a member twice`) : null;
}

/** `text` begins as an object, so that what parses is one. Null = it does not parse. */
function parseObject(text: string): JsonObject | null {
  try {
    return withoutStack(() => JSON.parse(text) as JsonObject);
  } catch {
    return null;
  }
}

function notAnObject(name: PartName): TokenRefusal {
  return invalidToken('token', `the ${name} is not a JSON object`);
}

/** Whether JSON in the first `length` bytes of the workspace could be an object: noise is told without its parser. */
function beginsObject(length: number): boolean {
  let at = 0;
  while (at < length && JSON_SPACE.has(workspace[at]!)) at++;
  return at < length && workspace[at] === BRACE;
}

const BRACE = 0x7b;
/** RFC 8259 section 2. */
const JSON_SPACE: ReadonlySet<number> = new Set([0x20, 0x09, 0x0a, 0x0d]);

/** Where parts are decoded: one at a time, and what is kept of them is text. A buffer for each costs 1 us of a token. */
let workspace = Buffer.allocUnsafeSlow(16 * 1024);

function room(bytes: number): Buffer {
  if (bytes > workspace.length) workspace = Buffer.allocUnsafeSlow(bytes);
  return workspace;
}

/**
 * Decodes into the workspace; returns how many bytes, or -1. Node's decoder skips what it does not know and takes both
 * alphabets: only what encodes back to itself is good.
 */
function decode(part: string): number {
  const length = room(part.length).write(part, 'base64url');
  return workspace.toString('base64url', 0, length) === part ? length : -1;
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
