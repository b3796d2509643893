import { beforeEach, describe, expect, it, vi } from 'vitest';
import { LineWriter } from '../../src/telemetry/line-writer.ts';

/** What the file descriptor does with the next writes: an error, or so many bytes; then it takes everything. */
const { script, writes } = vi.hoisted(() => ({ script: [] as (string | number)[], writes: [] as string[] }));

vi.mock('node:fs', async (original) => ({
  ...(await original<object>()),
  writeSync: (_fd: number, bytes: Buffer, start: number, length: number): number => {
    const next = script.shift();
    if (typeof next === 'string') throw Object.assign(new Error(next), { code: next });
    const taken = Math.min(next ?? length, length);
    writes.push(bytes.toString('utf8', start, start + taken));
    return taken;
  },
}));

beforeEach(() => {
  script.length = 0;
  writes.length = 0;
});

const line = (n: number, length: number): string => `${String(n).padEnd(length - 1, 'é')}\n`;

describe('LineWriter', () => {
  it('writes whole lines, at most 4096 bytes at once', () => {
    const writer = new LineWriter(1);
    const lines = Array.from({ length: 500 }, (_, n) => line(n, 5 + ((n * 71) % 1900)));
    for (const each of lines) writer.buffer(each);
    writer.flush();
    expect(writes.join('')).toBe(lines.join(''));
    expect(writes.every((write) => write.endsWith('\n') && Buffer.byteLength(write) <= 4096)).toBe(true);
    expect(writes.length).toBeLessThan(lines.length);
  });

  it('writes a line that is longer alone', () => {
    const writer = new LineWriter(1);
    writer.buffer('a\n');
    writer.write(line(1, 9000));
    writer.write('b\n');
    expect(writes).toEqual(['a\n', line(1, 9000), 'b\n']);
  });

  it('writes at once what is not to be buffered, after what was buffered', () => {
    const writer = new LineWriter(1);
    writer.buffer('a\n');
    expect(writes).toEqual([]);
    writer.write('b\n');
    expect(writes).toEqual(['a\nb\n']);
  });

  it.each(['EAGAIN', 'ENOSPC', 'EIO'])('loses nothing on %s and tries again', async (code) => {
    const writer = new LineWriter(1);
    script.push(code, 3, code, code);
    writer.write('first\n');
    writer.write('second\n');
    writer.write('third\n');
    await vi.waitFor(() => expect(writes.join('')).toBe('first\nsecond\nthird\n'));
  });

  it('discards lines for ever after EPIPE', () => {
    const writer = new LineWriter(1);
    script.push('EPIPE');
    writer.write('lost\n');
    writer.write('lost too\n');
    writer.flush();
    expect(writes).toEqual([]);
  });

  it('keeps a bounded amount for a reader that is stuck, and tells how much was lost', () => {
    const writer = new LineWriter(1);
    const big = line(0, 2000);
    script.push(...Array.from({ length: 20_000 }, () => 'EAGAIN'));
    for (let n = 0; n < 6000; n++) writer.buffer(big);
    script.length = 0;
    writer.flush();
    const report = JSON.parse(writes.pop()!) as { event: string; count: number };
    expect(report).toMatchObject({ level: 'warn', event: 'log_lines_lost' });
    expect(writes.join('').split('\n').length - 1 + report.count).toBe(6000);
    expect(writes.join('').length).toBeLessThan(17 * 1024 * 1024);
  });
});
