import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { LogStore } from '../../../../src/control/drivers/local/log-store.ts';
import { temporaryDirectory } from '../../git/source-repository.ts';
import { APP, TestDriver, until } from './test-driver.ts';

const { signal: NEVER } = new AbortController();

function store(directory = temporaryDirectory()): LogStore {
  return new LogStore(directory, (_, error) => {
    throw error;
  });
}

interface Query {
  readonly tail?: number | null;
  readonly replica?: string | null;
}

async function read(logs: LogStore, query: Query = {}): Promise<string[]> {
  const lines: string[] = [];
  const whole = { tail: null, replica: null, follow: false, signal: NEVER, over: NEVER, ...query };
  for await (const line of logs.read('app', whole)) lines.push(line);
  return lines;
}

/** Follows until the test ends. Lines come in one after the other. */
function follow(lines: (signal: AbortSignal) => AsyncIterable<string>): {
  readonly got: string[];
  readonly stop: () => void;
  readonly done: Promise<void>;
} {
  const stopping = new AbortController();
  const got: string[] = [];
  const done = (async () => {
    for await (const line of lines(stopping.signal)) got.push(line);
  })();
  const stop = (): void => stopping.abort();
  onTestFinished(stop);
  return { got, stop, done };
}

describe('the kept lines', () => {
  test('of one replica are read whole, or from the end', async () => {
    const logs = store();
    const log = await logs.open('app', 'd1-1');
    log.append(['one', '', 'three ä', ' four']);
    await log.settled();
    expect(await read(logs)).toEqual(['one', '', 'three ä', ' four']);
    expect(await read(logs, { tail: 2 })).toEqual(['three ä', ' four']);
    expect(await read(logs, { tail: 0 })).toEqual([]);
    expect(await read(logs, { tail: 100 })).toHaveLength(4);
    expect(await read(logs, { replica: 'd1-2' })).toEqual([]);
  });

  test('of several replicas come in the order of their time, and each tells whose it is', async () => {
    const directory = temporaryDirectory();
    const logs = store(directory);
    const [a, b] = [await logs.open('app', 'd1-1'), await logs.open('app', 'd1-2')];
    a.append(['made']);
    await a.settled();
    const at = (second: number): string => `2026-01-01T00:00:0${second}.000Z`;
    writeFileSync(a.path, `${at(1)} first\n${at(4)} fourth\n`);
    writeFileSync(b.path, `${at(2)} second\n${at(3)} third\n${at(5)} fifth\n`);
    const all = ['[d1-1] first', '[d1-2] second', '[d1-2] third', '[d1-1] fourth', '[d1-2] fifth'];
    expect(await read(logs)).toEqual(all);
    for (let tail = 0; tail <= 5; tail++) expect(await read(logs, { tail })).toEqual(all.slice(5 - tail));
    expect(await read(logs, { replica: 'd1-1' })).toEqual(['first', 'fourth']);
  });

  test('are bounded: the newest two files of a replica stay', async () => {
    const directory = temporaryDirectory();
    const logs = store(directory);
    const log = await logs.open('app', 'd1-1');
    for (let batch = 0; batch < 40; batch++) {
      log.append(Array.from({ length: 100 }, (_, i) => `${batch}.${i} ${'x'.repeat(5_000)}`));
      await log.settled();
    }
    expect(readdirSync(join(directory, 'app')).sort()).toEqual(['d1-1.log', 'd1-1.log.1']);
    const lines = (await read(logs)).map((line) => line.split(' ')[0]);
    expect(lines.length).toBeLessThan(2_100);
    expect(lines.at(-1)).toBe('39.99');
    // Without a gap, also where the one file ends and the other begins.
    const number = (name: string): number => Number(name.split('.')[0]) * 100 + Number(name.split('.')[1]);
    expect(lines.map((name) => number(name!))).toEqual(lines.map((_, i) => 3_999 - lines.length + 1 + i));
    expect((await read(logs, { tail: 1_500 })).map((line) => line.split(' ')[0])).toEqual(
      lines.slice(-1_500),
    );
  });

  test('of the longest silent replicas go when there are many', async () => {
    const directory = temporaryDirectory();
    const logs = store(directory);
    for (let number = 1; number <= 25; number++) {
      const log = await logs.open('app', `d1-${number}`);
      log.append([String(number)]);
      await logs.close('app', log);
      await until(() => expect(Date.now() % 5).toBe(0)); // another time stamp
    }
    const kept = readdirSync(join(directory, 'app'));
    expect(kept).toHaveLength(20);
    expect(kept).toContain('d1-25.log');
    expect(kept).not.toContain('d1-1.log');
  });

  test('are gone once they were forgotten; names that lead elsewhere name nothing', async () => {
    const directory = temporaryDirectory();
    const logs = store(join(directory, 'logs'));
    const log = await logs.open('app', 'd1-1');
    log.append(['x']);
    await logs.close('app', log);
    writeFileSync(join(directory, 'outside.log'), 'not a log');
    await logs.forget('..');
    expect(readdirSync(directory)).toContain('outside.log');
    await logs.forget('app');
    expect(await read(logs)).toEqual([]);
  });
});

describe('following', () => {
  test('begins with the tail and goes on without a gap or a repetition', async () => {
    const logs = store();
    const log = await logs.open('app', 'd1-1');
    let next = 0;
    const writing = setInterval(() => log.append([String(next++)]), 1);
    onTestFinished(() => clearInterval(writing));
    await until(() => expect(next).toBeGreaterThan(20));
    const { got, stop, done } = follow((signal) =>
      logs.read('app', { tail: 5, replica: null, follow: true, signal, over: NEVER }),
    );
    await until(() => expect(got.length).toBeGreaterThan(100));
    expect(got).toEqual(got.map((_, i) => String(Number(got[0]) + i)));
    stop();
    await done;
  });

  test('hears of replicas that come later', async () => {
    const logs = store();
    const { got } = follow((signal) =>
      logs.read('app', { tail: null, replica: null, follow: true, signal, over: NEVER }),
    );
    const first = await logs.open('app', 'd1-1');
    first.append(['alone']);
    await until(() => expect(got).toEqual(['alone']));
    (await logs.open('app', 'd2-1')).append(['new']);
    await until(() => expect(got).toEqual(['alone', '[d2-1] new']));
    first.append(['old']);
    await until(() => expect(got).toEqual(['alone', '[d2-1] new', '[d1-1] old']));
  });

  test('too slowly skips lines, and says how many', async () => {
    const logs = store();
    const log = await logs.open('app', 'd1-1');
    const reader = logs.read('app', { tail: 0, replica: null, follow: true, signal: NEVER, over: NEVER });
    let begun = false;
    const first = reader.next().then(() => (begun = true));
    await until(async () => {
      log.append(['begin']);
      await log.settled();
      expect(begun).toBe(true);
    });
    await first;
    for (let batch = 0; batch < 100; batch++) {
      log.append(Array.from({ length: 10 }, () => 'x'.repeat(10_000)));
      await log.settled();
    }
    let lines = 0;
    let told: string | null = null;
    while (told === null) {
      const { value } = (await reader.next()) as { value: string };
      if (value.includes('lines were skipped')) told = value;
      else lines++;
    }
    expect(lines).toBeLessThan(150);
    expect(told).toMatch(/^\[realmgate\] \d+ lines were skipped here: this reader is too slow$/);
    await reader.return();
  });

  test('ends with the last line once nothing more will be written', async () => {
    const logs = store();
    const log = await logs.open('app', 'd1-1');
    log.append(['first']);
    await log.settled();
    const over = new AbortController();
    const query = { tail: null, replica: null, follow: true, signal: NEVER, over: over.signal };
    const reader = logs.read('app', query);
    expect(await reader.next()).toEqual({ done: false, value: 'first' });
    log.append(['last words']);
    await logs.close('app', log);
    over.abort();
    expect(await reader.next()).toEqual({ done: false, value: 'last words' });
    expect(await reader.next()).toEqual({ done: true, value: undefined });
    expect(await read(logs)).toEqual(['first', 'last words']);
    // One that comes too late ends as well.
    const late: string[] = [];
    for await (const line of logs.read('app', query)) late.push(line);
    expect(late).toEqual(['first', 'last words']);
  });

  test('goes on across restarts of a service', async () => {
    const local = await TestDriver.start();
    const { got } = follow((signal) =>
      local.driver.logs('app', { tail: null, replica: null, follow: true, signal, over: NEVER }),
    );
    await local.deploy({ 'run.sh': 'echo hello; exit 1' });
    await until(() => expect(got.filter((line) => line === 'hello').length).toBeGreaterThanOrEqual(3));
    expect(got.filter((line) => /exited with code 1/.test(line)).length).toBeGreaterThanOrEqual(2);
  });
});

describe('what a service writes', () => {
  test('is masked where it holds a secret, also of git, in pieces and of several lines', async () => {
    const local = await TestDriver.start();
    await local.deploy(
      {
        'run.sh':
          'printf "%s\\n" "$HYPERPLANE_CUSTOM_SECRET_KEY_KEY"; printf super; sleep 0.2; printf "secret-1 user\\n"; echo git-pass; exit 1',
      },
      {
        secrets: { s: { key: 'line one\nline two', other: 'supersecret-1' } },
        credentials: { username: 'user', password: 'git-pass' },
      },
    );
    const { data } = await local.event('exited');
    expect(data['lastLines']).toEqual([expect.stringContaining('Starts'), '***', '***', '*** user', '***']);
    const text = (await local.lines()).join('\n');
    for (const secret of ['line one', 'line two', 'secret', 'git-pass']) expect(text).not.toContain(secret);
  });

  test('that is no text becomes text, and lines without end are cut', async () => {
    const local = await TestDriver.start();
    await local.deploy({ 'run.sh': 'printf "a\\xff\\x80b\\n"; printf "%0200000d" 7; exit 1' });
    await local.event('exited');
    const lines = await local.lines('app', { replica: local.told[0]!.replica! });
    expect(lines).toContain('a��b');
    const zeros = lines.filter((line) => /^0+7?$/.test(line)).slice(0, 4);
    expect(zeros.map(({ length }) => length)).toEqual([65_536, 65_536, 65_536, 200_000 - 3 * 65_536]);
  });

  test('stays after its deployment was removed', async () => {
    const local = await TestDriver.start();
    const id = await local.deploy(APP);
    await local.ready(id);
    await local.driver.remove(id);
    expect(await local.lines()).toContain('listening');
    expect(await local.driver.logBytes('app')).toBeGreaterThan(100);
    await local.driver.forget('app');
    expect(await local.lines()).toEqual([]);
    expect(await local.driver.logBytes('app')).toBe(0);
  });
});
