import { describe, expect, it } from 'vitest';
import { parseJson } from '../../src/admin/parse-json.ts';
import { Refusal } from '../../src/errors.ts';

function refusalOf(text: string | Buffer): string {
  try {
    return `parsed ${JSON.stringify(parseJson(Buffer.from(text)))}`;
  } catch (error) {
    if (error instanceof Refusal && error.code === 'malformed_request') return error.message;
    throw error;
  }
}

describe('a JSON text', () => {
  it.each([
    '{}',
    '[]',
    ' \t\r\n{ "a" : [ 1 , -0.5e+3 , true , false , null ] , "b" : { "a" : "" } } \n',
    '"\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u00e4 \\ud83d\\ude00 ä 😀"',
    '0',
    '{"constructor":1,"toString":2,"":3}',
  ])('%j is what JSON.parse makes of it', (text) => {
    expect(parseJson(Buffer.from(text))).toEqual(JSON.parse(text));
  });

  it.each([
    ['', 'it ends too early, at line 1, column 1'],
    ['{"a":1,}', 'a member name in double quotes is expected, at line 1, column 8'],
    ['{"a":1', 'it ends too early, at line 1, column 7'],
    ['{"a" 1}', '":" is expected, at line 1, column 6'],
    ['[1 2]', '"]" is expected, at line 1, column 4'],
    ['{\n  "a": tru\n}', 'a value is expected, at line 2, column 8'],
    ['{} {}', 'there is text after its end, at line 1, column 4'],
    ["{'a':1}", 'a member name in double quotes is expected, at line 1, column 2'],
    ['01', 'a value is expected, at line 1, column 1'],
    ['1.', 'a value is expected, at line 1, column 1'],
    ['NaN', 'a value is expected, at line 1, column 1'],
    ['"a', 'a string does not end, or has an invalid escape or a control character, at line 1, column 1'],
    ['"\\x"', 'a string does not end, or has an invalid escape or a control character, at line 1, column 1'],
    ['"\n"', 'a string does not end, or has an invalid escape or a control character, at line 1, column 1'],
    ['["\\ud800"]', 'a string has half of a surrogate pair, at line 1, column 2'],
    ['{"a":1,"b":2,"\\u0061":3}', 'a member name appears twice, at line 1, column 14'],
    ['{"a":{"__proto__":1}}', 'the member name __proto__ is not accepted, at line 1, column 7'],
    ['{"\\u005f_proto__":1}', 'the member name __proto__ is not accepted, at line 1, column 2'],
  ])('%j is refused with the place', (text, why) => {
    expect(refusalOf(text)).toBe(`The body is not valid JSON: ${why}`);
  });

  it('that is no UTF-8 is refused', () => {
    expect(refusalOf(Buffer.from([0x22, 0xff, 0x22]))).toBe('The body is not valid UTF-8');
  });

  it('is never quoted, since it may hold a secret', () => {
    expect(refusalOf('{"data": {"key": "hunter2" "x"}}')).not.toContain('hunter2');
  });

  it('may be 64 levels deep, and no deeper', () => {
    expect(refusalOf('['.repeat(64) + ']'.repeat(64))).toMatch(/^parsed/);
    expect(refusalOf('['.repeat(66) + ']'.repeat(66))).toMatch(/more than 64 levels deep/);
    expect(refusalOf('{"a":'.repeat(500_000))).toMatch(/more than 64 levels deep/);
  });

  it.each([
    ['a long string', `"${'a'.repeat(1_000_000)}"`],
    ['a long string of escapes', `"${'\\n'.repeat(500_000)}"`],
    ['many members', `{${Array.from({ length: 50_000 }, (_, i) => `"${i}":${i}`).join()}}`],
    ['a string that never ends', `"${'a'.repeat(1_000_000)}`],
    ['escapes that never end', `"${'\\n'.repeat(500_000)}`],
  ])('%s costs no more than its length', (_what, text) => {
    // What grows faster would outlast the test's time limit or the stack.
    expect(refusalOf(text)).toMatch(/^(parsed|The body)/);
  });
});
