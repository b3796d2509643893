/** Bars, drawn as an SVG document of its own: no script, no font and no image from elsewhere. */
export interface Chart {
  readonly title: string;
  /** Below the title. */
  readonly lines: readonly string[];
  readonly groups: readonly ChartGroup[];
}

export interface ChartGroup {
  readonly title: string;
  readonly bars: readonly Bar[];
}

export interface Bar {
  readonly label: string;
  /** In small letters below the label. */
  readonly detail: string;
  readonly value: number;
  /** The value as it is shown. */
  readonly text: string;
  /** It stands out. */
  readonly own: boolean;
}

const WIDTH = 860;
const MARGIN = 20;
/** Where bars begin, how long the longest one is, and their distance, in pixels as all lengths here. */
const LEFT = 340;
const LONGEST = WIDTH - LEFT - 90;
const ROW = 38;

/** Follows the reader's choice of light or dark, where an image of a page is told it. */
const STYLE = `
  .page { fill: #ffffff; stroke: #d0d7de }
  text { fill: #1f2328; font: 13px system-ui, -apple-system, 'Segoe UI', 'Noto Sans', sans-serif }
  .title { font-size: 17px; font-weight: 600 }
  .group { font-size: 14px; font-weight: 600 }
  .small { fill: #59636e; font-size: 11px }
  .bar { fill: #8c959f }
  .own { fill: #0969da }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117; stroke: #3d444d }
    text { fill: #f0f6fc }
    .small { fill: #9198a1 }
    .bar { fill: #656c76 }
    .own { fill: #4493f8 }
  }`;

/** Each group has a scale of its own, and its bars in ascending order. */
export function svgChart({ title, lines, groups }: Chart): string {
  let y = MARGIN + 16;
  const parts = [text(MARGIN, y, title, 'title')];
  for (const line of lines) parts.push(text(MARGIN, (y += 18), line, 'small'));
  for (const group of groups) {
    parts.push(text(MARGIN, (y += 34), group.title, 'group'));
    y += 10;
    const most = Math.max(...group.bars.map(({ value }) => value));
    for (const bar of group.bars.toSorted((a, b) => a.value - b.value)) {
      parts.push(...drawn(bar, y, most));
      y += ROW;
    }
  }
  const height = y + MARGIN - 6;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="title desc">
<title id="title">${escaped(title)}</title>
<desc id="desc">${escaped(description(lines, groups))}</desc>
<style>${STYLE}
</style>
<rect class="page" x="0.5" y="0.5" width="${WIDTH - 1}" height="${height - 1}" rx="6"/>
${parts.join('\n')}
</svg>
`;
}

function drawn({ label, detail, value, text: shown, own }: Bar, y: number, most: number): string[] {
  // A value of nothing still has a mark.
  const length = most > 0 ? Math.max(1, (value / most) * LONGEST) : 1;
  return [
    text(MARGIN, y + 15, label),
    text(MARGIN, y + 29, detail, 'small'),
    `<rect class="${own ? 'own' : 'bar'}" x="${LEFT}" y="${y + 5}" width="${length.toFixed(1)}" height="20" rx="2"/>`,
    text(LEFT + length + 8, y + 20, shown),
  ];
}

/** What a reader who does not see the bars is told. */
function description(lines: readonly string[], groups: readonly ChartGroup[]): string {
  const told = groups.map(({ title, bars }) => {
    const each = bars
      .toSorted((a, b) => a.value - b.value)
      .map(({ label, text: shown }) => `${label} ${shown}`);
    return `${title}: ${each.join(', ')}.`;
  });
  return [...lines, ...told].join(' ');
}

function text(x: number, y: number, words: string, style?: string): string {
  return `<text x="${Number(x.toFixed(1))}" y="${y}"${style === undefined ? '' : ` class="${style}"`}>${escaped(words)}</text>`;
}

function escaped(words: string): string {
  return words.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
