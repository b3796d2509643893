import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';

const FIXTURE = new URL('fixtures/logging-process.ts', import.meta.url).pathname;

type Child = ChildProcessByStdio<Writable, Readable, Readable>;
type Line = Record<string, unknown>;

function start(...args: string[]): Child {
  return spawn(process.execPath, [FIXTURE, ...args], { stdio: 'pipe' });
}

async function text(stream: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

function parse(output: string): Line[] {
  expect(output.endsWith('\n')).toBe(true);
  return output
    .slice(0, -1)
    .split('\n')
    .map((line) => {
      expect(Buffer.byteLength(line)).toBeLessThan(4096);
      return JSON.parse(line) as Line;
    });
}

async function run(...args: string[]): Promise<string> {
  return text(start(...args).stdout);
}

describe('the log', () => {
  it('writes time in UTC, level as text, the process and the event', async () => {
    const lines = parse(await run('everything'));
    const line = lines.at(-1)!;
    expect(line).toMatchObject({
      level: 'info',
      name: 'worker-1',
      event: 'listening',
      msg: 'listening',
      secret: '[Redacted]',
    });
    expect(line['time']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  it('shows no secret at any level, wherever it stood', async () => {
    const output = await run('everything');
    const lines = parse(output);
    expect(new Set(lines.map((line) => line['level']))).toEqual(
      new Set(['trace', 'debug', 'info', 'warn', 'error', 'fatal']),
    );
    expect(lines).toHaveLength(6 * 9 + 1);
    expect(output).not.toMatch(/S3CRET|c2lnbmF0dXJl|eyJzdWIi/);
  });

  it('keeps what an error says beside the secret', async () => {
    const lines = parse(await run('everything')).filter((line) => line['level'] === 'error');
    expect(lines[1]).toMatchObject({
      err: { type: 'Error', message: 'verify [Redacted]', cause: { message: 'Bearer [Redacted]' } },
      msg: 'verify [Redacted]',
    });
    expect(lines[2]).toMatchObject({ err: { message: 'verify [Redacted]' }, msg: 'failed' });
    expect(lines[3]).toMatchObject({ err: { message: 'verify [Redacted]' }, msg: 'with Bearer [Redacted]' });
  });

  it('is readable on a terminal, and hostile control characters do not reach it', async () => {
    const output = await run('pretty');
    expect(output).toContain('WARN');
    expect(output).toContain('listening');
    expect(output).toContain('request');
    expect(output).toContain('\\u001b]0;title\\u0007b\\u009bc');
    expect(output.replace(/\n/g, '')).not.toMatch(/[\x00-\x1f\x7f-\x9f]/);
  });
});

describe('several processes on one pipe', () => {
  it('never mix or lose lines, even while the reader does not keep up', async () => {
    const workers = ['1', '2', '3', '4'];
    const command = workers.map((n) => `"${process.execPath}" "${FIXTURE}" many ${n} &`).join(' ');
    // The shell's `|` is a pipe(2), where node's own would be a socket.
    const shell = spawn('sh', ['-c', `{ ${command} wait; } | cat`], { stdio: ['ignore', 'pipe', 'inherit'] });
    const chunks: Buffer[] = [];
    for await (const chunk of shell.stdout) {
      chunks.push(chunk as Buffer);
      if (chunks.length % 8 === 0) await delay(5); // The pipe fills up, and writers meet EAGAIN.
    }
    const lines = parse(Buffer.concat(chunks).toString());
    for (const worker of workers) {
      const own = lines.filter((line) => line['name'] === `worker-${worker}`);
      const numbers = own.map((line) => Number(line['n'] ?? line['requestId']));
      expect(numbers).toEqual(Array.from({ length: 1500 }, (_, n) => n));
    }
  });
});

describe('standard output', () => {
  it('that is closed does not end the process', async () => {
    const child = start('closed-reader');
    const errors = text(child.stderr);
    await once(child.stdout, 'data');
    child.stdout.destroy();
    await once(child.stdout, 'close');
    child.stdin.end('go');
    expect(await once(child, 'exit')).toEqual([0, null]);
    expect(await errors).toBe('survived');
  });

  it('that nobody reads does not keep the process from ending', async () => {
    const child = start('stuck-reader');
    expect(await once(child, 'exit')).toEqual([0, null]);
    child.stdout.destroy();
  });

  it('has the buffered lines of a process that crashed', async () => {
    const child = start('crash');
    child.stderr.resume();
    const exit = once(child, 'exit');
    expect(parse(await text(child.stdout))).toMatchObject([{ requestId: 'before-the-crash' }]);
    expect(await exit).toEqual([1, null]);
  });

  it('has what was flushed before a process was killed', async () => {
    expect(parse(await run('flush'))).toMatchObject([{ requestId: 'flushed' }]);
  });

  it('gets buffered lines without a further event', async () => {
    const child = start('timer');
    const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
    expect(parse(chunk.toString())).toMatchObject([{ requestId: 'on-time' }]);
    child.stdin.end();
    expect(await once(child, 'exit')).toEqual([0, null]);
  });
});
