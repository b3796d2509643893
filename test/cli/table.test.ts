import { expect, test } from 'vitest';
import { type Column, table } from '../../src/cli/table.ts';

interface Row {
  readonly name: string;
  readonly note: string;
}

const COLUMNS: readonly Column<Row>[] = [
  { title: 'NAME', text: ({ name }) => name, paint: (_row, text) => `<${text}>` },
  { title: 'NOTE', text: ({ note }) => note, cut: true },
  { title: 'LAST', text: () => 'z' },
];

test('aligns columns whatever they are painted with, and shows a dash for nothing', () => {
  const rows = [
    { name: 'a', note: '' },
    { name: 'longer', note: 'some' },
  ];
  expect(table(COLUMNS, rows, null)).toBe('NAME    NOTE  LAST\n<a     >  -     z\n<longer>  some  z\n');
});

test('cuts only what may be cut, and only to the width of the terminal', () => {
  const [row] = [{ name: 'a-name-that-stays-whole', note: 'x'.repeat(100) }];
  const lines = table(COLUMNS, [row], 60).split('\n');
  expect(lines[1]!.replace(/[<>]/g, '')).toBe(`a-name-that-stays-whole  ${'x'.repeat(28)}…  z`);
  expect(lines[0]).toHaveLength(60);
  expect(table(COLUMNS, [row], 10)).toContain(`${'x'.repeat(7)}…`);
  expect(table(COLUMNS, [row], null)).toContain('x'.repeat(100));
});

test('a cell stays in its line and cannot move the cursor', () => {
  const out = table(COLUMNS, [{ name: 'a\u001b[2J', note: 'one\n  two\tthree\u0007' }], null);
  expect(out.split('\n')).toHaveLength(3);
  expect(out).not.toMatch(/[\u001b\u0007]/);
  expect(out).toContain('one two  three');
});
