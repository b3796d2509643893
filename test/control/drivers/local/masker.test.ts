import { expect, test } from 'vitest';
import { Masker } from '../../../../src/control/drivers/local/masker.ts';

/** What comes out when the text comes in pieces of every length. */
function inPieces(secrets: string[], text: string): Set<string> {
  const results = new Set<string>();
  for (let size = 1; size <= text.length; size++) {
    const masker = new Masker(secrets);
    let out = '';
    for (let at = 0; at < text.length; at += size) out += masker.push(text.slice(at, at + size));
    results.add(out + masker.end());
  }
  return results;
}

test.each([
  ['one value', ['hunter22'], 'password: hunter22!\n', 'password: ***!\n'],
  ['several, also twice', ['alpha', 'beta'], 'alpha beta alpha\n', '*** *** ***\n'],
  ['values side by side', ['alpha'], 'alphaalpha', '******'],
  ['values that overlap', ['abcdef', 'defghi'], '<abcdefghi>', '<***>'],
  ['a value within another', ['inner', 'an inner value'], 'an inner value, inner', '***, ***'],
  ['a value that begins like itself', ['aaab'], 'aaaaab aaac', 'aa*** aaac'],
  ['a value that overlaps itself', ['abab'], 'xabababy', 'x***y'],
  ['only the beginning of a value', ['hunter22'], 'hunter2', 'hunter2'],
  ['lines of a value', ['BEGIN KEY\nabcdefgh\r\n\nEND KEY\n'], 'abcdefgh\nBEGIN KEY\n', '***\n***\n'],
  ['no short values', ['abc', 'a', ''], 'abc a', 'abc a'],
  ['characters of several units', ['gehäim🔒'], 'ein gehäim🔒!', 'ein ***!'],
])('%s', (_, secrets, text, expected) => {
  expect(inPieces(secrets, text)).toEqual(new Set([expected]));
});

test.each([
  ['of one character', 'z'.repeat(200_000), 'z'.repeat(400_000), '***'],
  ['that is missed by its first character', `y${'z'.repeat(199_999)}`, 'z'.repeat(400_000), null],
  ['that is missed by its last character', `${'z'.repeat(199_999)}y`, 'z'.repeat(400_000), null],
])('a long value %s takes no longer than others', (_, value, text, masked) => {
  const masker = new Masker([value]);
  const begun = performance.now();
  let out = '';
  for (let at = 0; at < text.length; at += 1000) out += masker.push(text.slice(at, at + 1000));
  expect(out + masker.end() === (masked ?? text)).toBe(true);
  expect(performance.now() - begun).toBeLessThan(2000);
});

test('what comes out is what a search without haste would find', () => {
  const letters = (count: number): string =>
    Array.from({ length: count }, () => 'ab'[Math.floor(Math.random() * 2)]).join('');
  for (let round = 0; round < 300; round++) {
    const secrets = [letters(4), letters(5), letters(7)];
    const text = letters(60);
    const hidden = new Set<number>();
    const joined = new Set<number>();
    for (const secret of secrets) {
      for (let at = text.indexOf(secret); at !== -1; at = text.indexOf(secret, at + 1)) {
        for (let i = 0; i < secret.length; i++) hidden.add(at + i);
        for (let i = 1; i < secret.length; i++) joined.add(at + i);
      }
    }
    const expected = Array.from(text, (letter, at) =>
      hidden.has(at) ? (joined.has(at) ? '' : '***') : letter,
    ).join('');
    expect(inPieces(secrets, text), JSON.stringify({ secrets, text })).toEqual(new Set([expected]));
  }
});
