import { describe, expect, test } from 'vitest';
import { IS_TEXT, textEnd } from '../../../src/gateway/message/text-end.ts';

const LENGTH = 100;

describe.each([0, 1, 2, 3])('in memory that begins %i bytes behind a word', (offset) => {
  test.each([0, 1, 2, 3, 5])('text ends at the first byte that is none, from position %i on', (start) => {
    const bytes = Buffer.allocUnsafeSlow(LENGTH + 8).subarray(offset);
    for (let byte = 0; byte < 256; byte++) {
      for (const at of [
        start,
        start + 1,
        start + 40,
        start + 63,
        start + 64,
        start + 65,
        LENGTH - 2,
        LENGTH - 1,
      ]) {
        bytes.fill('x');
        bytes[at] = byte;
        expect([byte, at, textEnd(bytes, start, LENGTH)]).toEqual([
          byte,
          at,
          IS_TEXT[byte] === 1 ? LENGTH : at,
        ]);
      }
    }
  });

  test('bytes next to each other do not hide one another', () => {
    const bytes = Buffer.allocUnsafeSlow(LENGTH + 8).subarray(offset);
    for (const before of [0x00, 0x01, 0x1f, 0x20, 0x7e, 0x7f, 0x80, 0xff]) {
      for (const behind of [0x00, 0x01, 0x1f, 0x20, 0x7e, 0x7f, 0x80, 0xff]) {
        for (let at = 0; at < LENGTH - 1; at++) {
          bytes.fill(0xff);
          bytes[at] = before;
          bytes[at + 1] = behind;
          const expected = IS_TEXT[before] === 0 ? at : IS_TEXT[behind] === 0 ? at + 1 : LENGTH;
          expect([before, behind, at, textEnd(bytes, 0, LENGTH)]).toEqual([before, behind, at, expected]);
        }
      }
    }
  });
});

test('text is horizontal tab, space, visible ASCII and everything beyond ASCII', () => {
  const text = Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => IS_TEXT[byte] === 1);
  expect(text).toEqual([
    0x09,
    ...Array.from({ length: 95 }, (_, i) => 0x20 + i),
    ...Array.from({ length: 128 }, (_, i) => 0x80 + i),
  ]);
});
