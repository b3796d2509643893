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
