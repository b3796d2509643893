import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, onTestFinished, test } from 'vitest';

import type { CaseResult } from '../../bench/peers/case.ts';
import { svgChart, type Bar } from '../../bench/peers/chart.ts';
import {
  chartOf,
  markdownReport,
  mediansOf,
  runsTable,
  writeReport,
  type CaseReport,
} from '../../bench/peers/results.ts';
import { atMost } from '../../bench/support/requirement.ts';
import { ascending, median, quantile } from '../../bench/support/statistics.ts';

function bar(label: string, value: number, own = false): Bar {
  return { label, detail: `${label} 1.0`, value, text: value.toFixed(1), own };
}

describe('statistics', () => {
  test('the median of an even number of values is the lower one of the two', () => {
    expect(median([4, 1, 3, 2])).toBe(2);
    expect(median([9, 1, 5])).toBe(5);
    expect(median([])).toBeNaN();
  });

  test('a quantile is a value that was there, the last one at most', () => {
    const sorted = ascending([30, 10, 20, 40]);
    expect([0, 0.5, 0.99, 1].map((share) => quantile(sorted, share))).toEqual([10, 30, 40, 40]);
    expect(quantile([], 0.5)).toBeNaN();
  });
});

describe('the chart', () => {
  const chart = svgChart({
    title: 'CPU <per> request',
    lines: ['2026-11-26, "a" machine & more'],
    groups: [
      { title: 'known', bars: [bar('envoy', 50), bar('realmgate', 30, true)] },
      { title: 'forged', bars: [bar('nothing', 0)] },
    ],
  });

  test('has its bars in ascending order, in proportion, with the values as text', () => {
    const drawn = [...chart.matchAll(/<rect class="(own|bar)" .*width="([\d.]+)"/g)].map(
      ([, style, width]) => ({
        style,
        width: Number(width),
      }),
    );
    expect(drawn.map(({ style }) => style)).toEqual(['own', 'bar', 'bar']);
    expect(drawn[0]!.width / drawn[1]!.width).toBeCloseTo(30 / 50, 2);
    expect(drawn[2]!.width).toBe(1);
    for (const words of ['>30.0<', '>50.0<', '>envoy<', '>envoy 1.0<']) expect(chart).toContain(words);
    expect(chart.indexOf('>realmgate<')).toBeLessThan(chart.indexOf('>envoy<'));
  });

  test('tells those who do not see it the same', () => {
    expect(chart).toContain('role="img" aria-labelledby="title desc"');
    expect(chart).toContain('<title id="title">CPU &#60;per&#62; request</title>');
    expect(chart).toMatch(/<desc id="desc">[^<]*known: realmgate 30\.0, envoy 50\.0\./);
  });

  test('asks for nothing from elsewhere, and nothing in it is taken for markup', () => {
    expect(chart.match(/https?:[^"\s]*/g)).toEqual(['http://www.w3.org/2000/svg']);
    expect(chart).not.toMatch(/<script|<image|href|url\(/);
    expect(chart).toContain('&#34;a&#34; machine &#38; more');
  });

  test('has colours for light and for dark', () => {
    expect(chart).toContain('@media (prefers-color-scheme: dark)');
  });
});

describe('results', () => {
  const run = (realmgate: number, envoy: number, faults: string[] = []): CaseResult => ({
    ...{ title: 'CPU per request', how: 'One worker. '.repeat(30).trim(), tables: ['| a table |'], faults },
    groups: [
      {
        ...{ title: 'known tokens', unit: 'µs', digits: 1 },
        figures: [
          { contender: 'envoy', value: envoy },
          { contender: 'realmgate', value: realmgate },
        ],
      },
    ],
    requirements: [atMost('slowest', 60, 50, 'ms')],
    data: { rows: [1] },
  });
  const report = (...runs: CaseResult[]): CaseReport => ({
    ...{ case: 'known', date: new Date('2026-11-26T01:02:03Z'), runs },
    machine: { cpu: 'A CPU', cores: 2, kernel: '6.1', node: '26.0.0', loadAverage: 0 },
    contenders: { realmgate: 'Realmgate 0.1.0', envoy: 'Envoy 1.40.0' },
    skipped: { haproxy: 'install it' },
  });
  const three = [run(30, 50), run(34, 60), run(29, 55)];

  test('of several runs stand side by side, and their medians', () => {
    expect(mediansOf(three)[0]!.figures.map(({ value }) => value)).toEqual([55, 30]);
    const lines = runsTable(three)!.split('\n');
    expect(lines).toHaveLength(4);
    expect(lines[3]!.split('|').map((cell) => cell.trim())).toEqual([
      '',
      'known tokens',
      'realmgate',
      'µs',
      '30.0',
      '34.0',
      '29.0',
      '30.0',
      '',
    ]);
    expect(runsTable([run(30, 50)])).toBe(null);
  });

  test('name date, machine, versions, what was skipped, what was missed and what was wrong', () => {
    const text = markdownReport(report(run(30, 50, ['envoy: 3 failed'])));

    for (const words of [
      '2026-11-26',
      'A CPU, 2 cores, Linux 6.1',
      'Envoy 1.40.0',
      '- haproxy: not measured; install it',
    ]) {
      expect(text).toContain(words);
    }
    expect(text).toMatch(/slowest +\| at most 50 ms \| 60 ms +\| MISSED/);
    expect(text).toContain('**envoy: 3 failed**');
  });

  test('are drawn with versions, date, machine and case, no line longer than the picture', () => {
    const chart = chartOf(report(...three));

    for (const words of [
      '(case known)',
      '2026-11-26, A CPU',
      'medians of 3 runs',
      '>Envoy 1.40.0<',
      '>55.0<',
    ]) {
      expect(chart).toContain(words);
    }
    const small = [...chart.matchAll(/class="small">([^<]*)</g)].map(([, words]) => words!.length);
    expect(Math.max(...small)).toBeLessThanOrEqual(141);
  });

  test('are three files of one name', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'realmgate-results-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = await writeReport(join(folder, 'new'), 'peers-known', report(run(30, 50)));

    expect(readdirSync(join(folder, 'new'))).toEqual([
      'peers-known.json',
      'peers-known.md',
      'peers-known.svg',
    ]);
    const read = JSON.parse(readFileSync(`${file}.json`, 'utf8')) as Record<string, unknown>;
    expect(read).toMatchObject({
      case: 'known',
      figures: mediansOf([run(30, 50)]),
      runs: [{ data: { rows: [1] } }],
    });
  });
});
