import { inOneLine } from './screen.ts';

export interface Column<Row> {
  readonly title: string;
  /** Never with colours or line breaks of its own. */
  text(row: Row): string;
  /** Adds colour to the text, which stays as long as it is. */
  paint?(row: Row, text: string): string;
  /** Is cut, longest first, where the table is wider than the terminal. */
  readonly cut?: true;
}

const GAP = '  ';
/** Nothing is cut to less. */
const LEAST = 8;

/** Rows in aligned columns under their titles. `width`: of the terminal; null = nothing is cut. */
export function table<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  width: number | null,
): string {
  const cells = rows.map((row) => columns.map((column) => inOneLine(column.text(row)) || '-'));
  const widths = columns.map(({ title }, i) =>
    Math.max(title.length, ...cells.map((line) => line[i]!.length)),
  );
  if (width !== null) shrink(columns, widths, width);
  const line = (texts: readonly string[], paint: (text: string, i: number) => string) =>
    texts
      .map((text, i) => paint(cutTo(text, widths[i]!).padEnd(i === texts.length - 1 ? 0 : widths[i]!), i))
      .join(GAP)
      .trimEnd();
  const head = line(
    columns.map(({ title }) => title),
    (text) => text,
  );
  const body = rows.map((row, r) => line(cells[r]!, (text, i) => columns[i]!.paint?.(row, text) ?? text));
  return [head, ...body].map((text) => `${text}\n`).join('');
}

/** Names with their values, one a line. */
export function fieldList(fields: readonly (readonly [string, string])[]): string {
  const width = Math.max(...fields.map(([name]) => name.length)) + 2;
  return fields.map(([name, value]) => `${`${name}:`.padEnd(width)}${value}\n`).join('');
}

function shrink<Row>(columns: readonly Column<Row>[], widths: number[], width: number): void {
  const total = () => widths.reduce((sum, each) => sum + each, GAP.length * (widths.length - 1));
  while (total() > width) {
    const least = (i: number) => Math.max(LEAST, columns[i]!.title.length);
    const open = widths.map((_, i) => i).filter((i) => columns[i]!.cut === true && widths[i]! > least(i));
    if (open.length === 0) return;
    const longest = open.reduce((a, b) => (widths[b]! > widths[a]! ? b : a));
    widths[longest]!--;
  }
}

function cutTo(text: string, width: number): string {
  return text.length > width ? `${text.slice(0, width - 1)}…` : text;
}
