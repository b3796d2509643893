import { Refusal } from '../errors.ts';

/** Objects and arrays inside of each other; no body needs a tenth of it. */
const DEEPEST = 64;

/**
 * Parses a JSON text (RFC 8259). Stricter than `JSON.parse`: UTF-8 without errors, no member twice in an object, no
 * `__proto__`, no half of a surrogate pair, and no deeper than 64 levels. Throws `malformed_request` with line and
 * column; unlike the engine's own message it never quotes the text, which may hold a secret.
 */
export function parseJson(bytes: Buffer): unknown {
  const text = decode(bytes);
  new Scanner(text).scan();
  return JSON.parse(text);
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new Refusal('malformed_request', 'The body is not valid UTF-8');
  }
}

const WHITE = /[ \t\n\r]*/y;
const STRING = /"[^"\\\u0000-\u001f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\u0000-\u001f]*)*"/y;
const NUMBER_OR_WORD = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.+-])|(?:true|false|null)(?!\w)/y;

class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  scan(): void {
    this.#take(WHITE);
    this.#value(0);
    if (this.#at < this.#text.length) this.#fail('there is text after its end');
  }

  /** A value with the white space after it. */
  #value(depth: number): void {
    if (depth > DEEPEST) this.#fail(`it is nested more than ${DEEPEST} levels deep`);
    switch (this.#text[this.#at]) {
      case undefined:
        return this.#fail('it ends too early');
      case '{':
        this.#object(depth + 1);
        return;
      case '[':
        this.#members(']', () => this.#value(depth + 1));
        return;
      case '"':
        this.#string();
        break;
      default:
        if (this.#take(NUMBER_OR_WORD) === null) this.#fail('a value is expected');
    }
    this.#take(WHITE);
  }

  #object(depth: number): void {
    const names = new Set<string>();
    this.#members('}', () => {
      const start = this.#at;
      if (this.#text[start] !== '"') this.#fail('a member name in double quotes is expected');
      const name = this.#string();
      if (names.has(name)) this.#fail('a member name appears twice', start);
      if (name === '__proto__') this.#fail('the member name __proto__ is not accepted', start);
      names.add(name);
      this.#take(WHITE);
      this.#expect(':');
      this.#value(depth);
    });
  }

  /** From the opening bracket to the white space after the closing one. */
  #members(close: ']' | '}', member: () => void): void {
    this.#at++;
    this.#take(WHITE);
    if (this.#text[this.#at] !== close) {
      member();
      while (this.#text[this.#at] === ',') {
        this.#expect(',');
        member();
      }
    }
    this.#expect(close);
  }

  #string(): string {
    const start = this.#at;
    const found = this.#take(STRING);
    if (found === null) this.#fail('a string does not end, or has an invalid escape or a control character');
    const value = JSON.parse(found) as string;
    if (!value.isWellFormed()) this.#fail('a string has half of a surrogate pair', start);
    return value;
  }

  #expect(character: string): void {
    if (this.#text[this.#at] !== character) {
      this.#fail(this.#at < this.#text.length ? `"${character}" is expected` : 'it ends too early');
    }
    this.#at++;
    this.#take(WHITE);
  }

  #take(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? null;
    if (found !== null) this.#at += found.length;
    return found;
  }

  #fail(why: string, at = this.#at): never {
    const before = this.#text.slice(0, at).split('\n');
    const place = `line ${before.length}, column ${before.at(-1)!.length + 1}`;
    throw new Refusal('malformed_request', `The body is not valid JSON: ${why}, at ${place}`);
  }
}
