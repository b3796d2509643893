import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { SourceRepository, temporaryDirectory, TestCache } from './source-repository.ts';

const NOBODY = '0123456789abcdef0123456789abcdef01234567';

/** The cached repositories. */
function entries(cache: TestCache): string[] {
  return readdirSync(cache.directory).map((name) => join(cache.directory, name));
}

function packs(directory: string, ending: string): string[] {
  const folder = join(directory, 'objects/pack');
  return readdirSync(folder)
    .filter((name) => name.endsWith(ending))
    .map((name) => join(folder, name));
}

describe('a branch', () => {
  test('is fetched and cloned, on the branch and with the repository as its origin', async () => {
    const app = new SourceRepository();
    const commit = app.commit({ 'run.sh': 'echo hello\n', 'lib/a.txt': 'a' });
    const cache = new TestCache();
    expect(await cache.fetch(app.source())).toEqual({ commit, offline: false });
    const clone = await cache.checkout(app.source(), commit);
    expect(readFileSync(join(clone, 'run.sh'), 'utf8')).toBe('echo hello\n');
    const git = (...args: string[]): string =>
      execFileSync('git', ['-C', clone, ...args], { encoding: 'utf8' }).trim();
    expect(git('rev-parse', 'HEAD')).toBe(commit);
    expect(git('symbolic-ref', '--short', 'HEAD')).toBe('main');
    expect(git('remote', 'get-url', 'origin')).toBe(app.url);
    expect(git('rev-parse', '--abbrev-ref', 'main@{upstream}')).toBe('origin/main');
    expect(git('status', '--porcelain')).toBe('');
  });

  test('that is not named is the default one, whatever its name', async () => {
    const app = new SourceRepository();
    app.commit({ a: 'main' });
    app.git('checkout', '-q', '-b', 'trunk');
    const commit = app.commit({ a: 'trunk' });
    const source = app.source({ branch: null });
    const cache = new TestCache();
    expect(await cache.fetch(source)).toEqual({ commit, offline: false });
    expect(readFileSync(join(await cache.checkout(source, commit), 'a'), 'utf8')).toBe('trunk');
  });

  test('that moved, and one that was rewritten, are fetched anew', async () => {
    const app = new SourceRepository();
    const first = app.commit({ a: '1' });
    const cache = new TestCache();
    await cache.fetch(app.source());
    const second = app.commit({ a: '2' });
    expect((await cache.fetch(app.source())).commit).toBe(second);
    app.git('reset', '-q', '--hard', first);
    const rewritten = app.commit({ a: '3' });
    expect((await cache.fetch(app.source())).commit).toBe(rewritten);
    expect(readFileSync(join(await cache.checkout(app.source(), rewritten), 'a'), 'utf8')).toBe('3');
    // What other replicas still run stays.
    app.git('reflog', 'expire', '--expire=now', '--all');
    app.git('gc', '-q', '--prune=now');
    expect(readFileSync(join(await cache.checkout(app.source(), second), 'a'), 'utf8')).toBe('2');
  });

  test('a/b follows a deleted branch a', async () => {
    const app = new SourceRepository();
    app.commit({ a: '1' });
    app.git('branch', 'feature');
    const cache = new TestCache();
    await cache.fetch(app.source({ branch: 'feature' }));
    app.git('branch', '-D', 'feature');
    app.git('checkout', '-q', '-b', 'feature/two');
    const commit = app.commit({ a: '2' });
    expect((await cache.fetch(app.source({ branch: 'feature/two' }))).commit).toBe(commit);
  });

  test('brings no history with it', async () => {
    const app = new SourceRepository();
    const first = app.commit({ a: '1' });
    const commit = app.commit({ a: '2' });
    const cache = new TestCache();
    await cache.fetch(app.source());
    const [cached = ''] = entries(cache);
    const has = (name: string): boolean => {
      try {
        execFileSync('git', ['-C', cached, 'cat-file', '-e', name], { stdio: 'ignore' });
        return true;
      } catch {
        return false;
      }
    };
    expect([has(commit), has(first)]).toEqual([true, false]);
  });

  test('of a repository with SHA-256 names', async () => {
    const app = new SourceRepository(undefined, 'sha256');
    const commit = app.commit({ a: '1' });
    expect(commit).toHaveLength(64);
    const cache = new TestCache();
    expect((await cache.fetch(app.source())).commit).toBe(commit);
    expect((await cache.fetch(app.source({ commit: commit.slice(0, 40) }))).commit).toBe(commit);
    expect(readFileSync(join(await cache.checkout(app.source(), commit), 'a'), 'utf8')).toBe('1');
  });
});

describe('a commit', () => {
  test('is found by its full name and by a short one, also when the branch has moved on', async () => {
    const app = new SourceRepository();
    const first = app.commit({ a: '1' });
    app.commit({ a: '2' });
    const full = new TestCache();
    expect((await full.fetch(app.source({ commit: first }))).commit).toBe(first);
    const short = new TestCache();
    await short.fetch(app.source());
    const source = app.source({ commit: first.slice(0, 7).toUpperCase() });
    expect((await short.fetch(source)).commit).toBe(first);
    const clone = await short.checkout(source, first);
    expect(readFileSync(join(clone, 'a'), 'utf8')).toBe('1');
    // The branch goes on to be fetched, now with its history.
    const third = app.commit({ a: '3' });
    expect((await short.fetch(app.source())).commit).toBe(third);
  });

  test('is found on any branch when none is named', async () => {
    const app = new SourceRepository();
    app.commit({ a: '1' });
    app.git('checkout', '-q', '-b', 'other');
    const commit = app.commit({ a: '2' });
    app.git('checkout', '-q', 'main');
    const cache = new TestCache();
    const short = app.source({ branch: null, commit: commit.slice(0, 8) });
    expect((await cache.fetch(short)).commit).toBe(commit);
    expect((await cache.fetch({ ...short, commit })).commit).toBe(commit);
  });

  test('that was used before needs its repository no more', async () => {
    const app = new SourceRepository();
    const commit = app.commit({ a: '1' });
    app.git('branch', 'feature');
    const cache = new TestCache();
    const source = app.source({ branch: 'feature', commit: commit.slice(0, 7) });
    await cache.fetch(source);
    app.git('branch', '-D', 'feature');
    expect(await cache.fetch(source, { lastCommit: commit })).toEqual({ commit, offline: false });
    await expect(cache.fetch(source)).rejects.toMatchObject({ field: 'git.branch', kind: 'missing' });
  });

  test('named by too few digits is refused', async () => {
    const app = new SourceRepository();
    // 4 digits have 65,536 values, so some two of this many commits share them.
    const commits = Array.from({ length: 2000 }, (_, index) => {
      const text = `commit ${index}`;
      return `commit refs/heads/main\ncommitter Ada <ada@example.com> ${index} +0000\ndata ${text.length}\n${text}\n`;
    });
    app.import(commits.join(''));
    const names = app.git('rev-list', 'main').split('\n');
    const seen = new Set<string>();
    const twice = names
      .map((name) => name.slice(0, 4))
      .find((digits) => seen.size === seen.add(digits).size)!;
    await expect(new TestCache().fetch(app.source({ commit: twice }))).rejects.toMatchObject({
      field: 'git.commit',
      message: `Several commits begin with "${twice}"; name more digits`,
    });
  });
});

describe('what is missing is named', () => {
  test.each([
    ['branch', { branch: 'nope' }, 'git.branch', 'has no branch "nope"'],
    ['branch of a commit', { branch: 'nope', commit: 'HEAD' }, 'git.branch', 'has no branch "nope"'],
    ['full commit', { commit: NOBODY }, 'git.commit', `has no commit "${NOBODY}"`],
    ['short commit', { commit: 'abcdef1' }, 'git.commit', 'has no commit "abcdef1"'],
    ['commit of no branch', { branch: null, commit: NOBODY }, 'git.commit', `has no commit "${NOBODY}"`],
    ['object that is no commit', { commit: 'TREE' }, 'git.commit', 'has no commit'],
  ])('%s', async (_, fields: { branch?: string | null; commit?: string }, field, message) => {
    const app = new SourceRepository();
    const commit = app.commit({ a: '1' });
    if (fields.commit === 'HEAD') fields = { ...fields, commit };
    if (fields.commit === 'TREE') fields = { ...fields, commit: app.git('rev-parse', 'HEAD^{tree}') };
    const fetched = new TestCache().fetch(app.source(fields));
    await expect(fetched).rejects.toMatchObject({ name: 'GitError', kind: 'missing', field });
    await expect(fetched).rejects.toThrow(message);
  });

  test('repository', async () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, 'file'), '');
    mkdirSync(join(directory, 'empty'));
    for (const name of ['nope', 'file', 'empty']) {
      const repository = `file://${directory}/${name}`;
      const fetched = new TestCache().fetch({ repository, branch: null, commit: null, credentials: null });
      await expect(fetched).rejects.toMatchObject({ kind: 'missing', field: 'git.repository' });
      await expect(fetched).rejects.toThrow(`There is no repository at ${repository}`);
    }
  });

  test('any commit', async () => {
    const app = new SourceRepository();
    await expect(new TestCache().fetch(app.source({ branch: null }))).rejects.toMatchObject({
      kind: 'missing',
      field: 'git.branch',
    });
  });

  test('git itself', async () => {
    const app = new SourceRepository();
    app.commit({ a: '1' });
    const cache = new TestCache({ environment: { PATH: temporaryDirectory() } });
    await expect(cache.fetch(app.source())).rejects.toMatchObject({
      kind: 'unusable',
      message: 'git cannot be run on this machine: it is not installed, or not in the PATH',
    });
  });
});

describe('the cache mends itself', () => {
  test.each<[string, (cached: string) => void]>([
    ['locks left behind', lockAll],
    ['a shortened pack', (cached) => packs(cached, '.pack').forEach((file) => truncate(file, 40))],
    ['an empty index of a pack', (cached) => packs(cached, '.idx').forEach((file) => truncate(file, 0))],
    ['an empty reference', (cached) => references(cached).forEach((file) => truncate(file, 0))],
    ['an empty configuration', (cached) => truncate(join(cached, 'config'), 0)],
    ['no HEAD', (cached) => renameSync(join(cached, 'HEAD'), join(cached, 'gone'))],
    ['an empty file of the shallow commits', (cached) => writeFileSync(join(cached, 'shallow'), 'x')],
    ['half a pack', (cached) => writeFileSync(join(cached, 'objects/pack/tmp_pack_1'), 'PACK')],
  ])('with %s', async (_, damage) => {
    const app = new SourceRepository();
    app.commit({ a: '1' });
    const first = app.commit({ a: '2' });
    const { directory } = new TestCache();
    await new TestCache({ directory }).fetch(app.source());
    for (const cached of entries(new TestCache({ directory }))) damage(cached);

    // As after a crash: another process, with the same branch and then with a newer one.
    const cache = new TestCache({ directory });
    expect((await cache.fetch(app.source())).commit).toBe(first);
    expect(readFileSync(join(await cache.checkout(app.source(), first), 'a'), 'utf8')).toBe('2');
    const second = app.commit({ a: '3' });
    expect((await cache.fetch(app.source())).commit).toBe(second);
    expect(readFileSync(join(await cache.checkout(app.source(), second), 'a'), 'utf8')).toBe('3');
    expect(
      readdirSync(join(entries(cache)[0]!, 'objects/pack')).filter((name) => name.startsWith('tmp_')),
    ).toEqual([]);
  });

  test('after locks were left behind without fetching all of it again', async () => {
    const app = new SourceRepository();
    app.commit({ a: '1' });
    const { directory } = new TestCache();
    await new TestCache({ directory }).fetch(app.source());
    const [cached = ''] = entries(new TestCache({ directory }));
    const { ino } = statSync(cached);
    lockAll(cached);
    const commit = app.commit({ a: '2' });
    expect((await new TestCache({ directory }).fetch(app.source())).commit).toBe(commit);
    expect(statSync(cached).ino).toBe(ino);
  });

  test('when a path is looked up in a damaged repository', async () => {
    const app = new SourceRepository();
    const commit = app.commit({ a: 'text' });
    const cache = new TestCache();
    await cache.fetch(app.source());
    for (const file of packs(entries(cache)[0]!, '.pack')) truncate(file, 40);
    expect(await cache.look(app.source(), commit, 'a')).toEqual({ kind: 'file', size: 4, text: 'text' });
  });

  test('of what an earlier process did not finish', async () => {
    const app = new SourceRepository();
    app.commit({ a: '1' });
    const { directory } = new TestCache();
    mkdirSync(join(directory, 'operation-1'), { recursive: true });
    writeFileSync(join(directory, 'operation-1/login'), 'https://ada:secret@localhost');
    mkdirSync(join(directory, `${NOBODY}.1.unfinished`));
    const cache = new TestCache({ directory });
    await cache.fetch(app.source());
    expect(readdirSync(directory)).toEqual([expect.stringMatching(/^[0-9a-f]{40}$/)]);
  });

  test('of a commit that was forgotten between fetch and checkout', async () => {
    const app = new SourceRepository();
    const commit = app.commit({ a: '1' });
    const cache = new TestCache();
    expect(readFileSync(join(await cache.checkout(app.source(), commit), 'a'), 'utf8')).toBe('1');
    const next = app.commit({ a: '2' });
    expect(readFileSync(join(await cache.checkout(app.source(), next), 'a'), 'utf8')).toBe('2');
  });

  test('of nothing, when the repository itself is damaged', async () => {
    const app = new SourceRepository();
    const commit = app.commit({ a: '1' });
    const cache = new TestCache();
    await cache.fetch(app.source());
    app.commit({ a: '2' });
    app.git('gc', '-q');
    for (const file of packs(join(app.directory, '.git'), '.pack')) truncate(file, 40);
    await expect(cache.fetch(app.source())).rejects.toMatchObject({
      kind: 'failed',
      field: 'git.repository',
    });
    // What was there before still is.
    expect(readFileSync(join(await cache.checkout(app.source(), commit), 'a'), 'utf8')).toBe('1');
    expect(readdirSync(cache.directory)).toHaveLength(1);
  });

  function truncate(file: string, bytes: number): void {
    // git makes its packs read-only.
    chmodSync(file, 0o600);
    truncateSync(file, bytes);
  }

  function references(cached: string): string[] {
    const folder = join(cached, 'refs/realmgate');
    return readdirSync(folder).map((name) => join(folder, name));
  }

  function lockAll(cached: string): void {
    for (const name of ['shallow', 'config', 'HEAD', 'packed-refs'])
      writeFileSync(join(cached, `${name}.lock`), '');
    for (const file of references(cached)) writeFileSync(`${file}.lock`, '');
  }
});

test('a clone that cannot be made leaves nothing, and one that is there is not touched', async () => {
  const app = new SourceRepository();
  app.commit({ a: '1' });
  const cache = new TestCache();
  await expect(cache.checkout(app.source(), NOBODY)).rejects.toMatchObject({ field: 'git.commit' });
  const clones = join(cache.nextClone(), '..');
  expect(readdirSync(clones)).toEqual([]);
  const taken = join(clones, '3');
  mkdirSync(taken);
  writeFileSync(join(taken, 'mine'), '');
  const { commit } = await cache.fetch(app.source());
  await expect(cache.checkout(app.source(), commit)).rejects.toMatchObject({ code: 'EEXIST' });
  expect(readdirSync(taken)).toEqual(['mine']);
});

test('a service may do with its clone what it wants: the cache shares no file with it', async () => {
  const app = new SourceRepository();
  const commit = app.commit({ a: '1' });
  const cache = new TestCache();
  await cache.fetch(app.source());
  const clone = await cache.checkout(app.source(), commit);
  const files = readdirSync(clone, { recursive: true, withFileTypes: true }).filter((file) => file.isFile());
  expect(files.length).toBeGreaterThan(3);
  for (const { parentPath, name } of files) expect(statSync(join(parentPath, name)).nlink).toBe(1);
  const text = files.map(({ parentPath, name }) => readFileSync(join(parentPath, name), 'latin1')).join('\n');
  expect(text).not.toContain(cache.directory);
  expect(existsSync(join(clone, '.git/objects/info/alternates'))).toBe(false);
});

test('fetches of one repository take turns, and all of them succeed', async () => {
  const app = new SourceRepository();
  const commit = app.commit({ a: '1' });
  const cache = new TestCache();
  const sources = ['main', null, 'main', 'main'].map((branch) => app.source({ branch }));
  const results = await Promise.all(sources.map((source) => cache.fetch(source)));
  expect(results.map((result) => result.commit)).toEqual(sources.map(() => commit));
  expect(entries(cache)).toHaveLength(1);
  const clones = await Promise.all(sources.map((source) => cache.checkout(source, commit)));
  for (const clone of clones) expect(readFileSync(join(clone, 'a'), 'utf8')).toBe('1');
});

test('fetches that wait for the same branch share one, which brings what was there when they asked', async () => {
  const source = new SourceRepository();
  source.commit({ file: 'first' });
  source.git('branch', 'other');
  const programs = join(temporaryDirectory(), 'bin');
  const asked = join(programs, 'asked');
  mkdirSync(programs);
  const script = `#!/bin/sh\nexport PATH="\${PATH#*:}"\ncase "$*" in *"${source.url}"*) echo "$*" >> '${asked}';; esac\nexec git "$@"\n`;
  writeFileSync(join(programs, 'git'), script, { mode: 0o755 });
  const cache = new TestCache({ environment: { PATH: `${programs}:${process.env['PATH'] ?? ''}` } });
  const early = [cache.fetch(source.source()), cache.fetch(source.source({ branch: 'other' }))];
  await expect.poll(() => existsSync(asked)).toBe(true); // one of them is under way
  const commit = source.commit({ file: 'second' });
  const late = await Promise.all(Array.from({ length: 20 }, () => cache.fetch(source.source())));
  expect(new Set(late.map((found) => found.commit))).toEqual(new Set([commit]));
  await Promise.all(early);
  expect(readFileSync(asked, 'utf8').trim().split('\n')).toHaveLength(3);
});

test('each secret has a cache of its own', async () => {
  const app = new SourceRepository();
  app.commit({ a: '1' });
  const cache = new TestCache();
  await cache.fetch(app.source());
  await cache.fetch(app.source({ credentials: 'team' }), { credentials: { token: 't' } });
  expect(entries(cache)).toHaveLength(2);
});

test('the cache itself is no repository to name', async () => {
  const app = new SourceRepository();
  app.commit({ a: '1' });
  const cache = new TestCache();
  await cache.fetch(app.source());
  const link = join(temporaryDirectory(), 'link');
  symlinkSync(entries(cache)[0]!, link);
  for (const place of [entries(cache)[0]!, link]) {
    const source = app.source({ repository: pathToFileURL(place).href });
    await expect(cache.fetch(source)).rejects.toMatchObject({ kind: 'invalid', field: 'git.repository' });
  }
});

test('repositories that are not used for long are forgotten, and so are the oldest of too many', async () => {
  const app = new SourceRepository();
  app.commit({ a: 'a'.repeat(1000) });
  const { directory } = new TestCache();
  const filled = new TestCache({ directory });
  const hour = 3_600_000;
  const ages = [0, 2 * hour, 5 * hour, 40 * 24 * hour];
  const names: string[] = [];
  for (const [index, age] of ages.entries()) {
    await filled.fetch(app.source({ credentials: `team-${index}` }), { credentials: { token: 't' } });
    const name = readdirSync(directory).find((entry) => !names.includes(entry))!;
    names.push(name);
    const used = new Date(Date.now() - age);
    utimesSync(join(directory, name), used, used);
  }
  const left = async (retention: { unusedFor: number; bytes: number }): Promise<number[]> => {
    await new TestCache({ directory, retention }).fetch(app.source());
    return names.flatMap((name, index) => (existsSync(join(directory, name)) ? [index] : []));
  };
  expect(await left({ unusedFor: 30 * 24 * hour, bytes: 10 ** 9 })).toEqual([0, 1, 2]);
  expect(await left({ unusedFor: 3 * hour, bytes: 10 ** 9 })).toEqual([0, 1]);
  expect(await left({ unusedFor: 3 * hour, bytes: 0 })).toEqual([0]);
});

test('a path is looked up with its links followed', async () => {
  const app = new SourceRepository();
  app.write({ 'bin/run.sh': 'echo 1\n', 'big.txt': 'x'.repeat(2000) });
  for (const [name, target] of [
    ['link.sh', 'bin/run.sh'],
    ['folder', 'bin'],
    ['out', '../secret'],
    ['abs', '/etc/passwd'],
    ['dangling', 'nope'],
    ['loop', 'loop'],
  ] as const) {
    symlinkSync(target, join(app.directory, name));
  }
  const commit = app.commit({});
  const cache = new TestCache();
  await cache.fetch(app.source());
  const look = (path: string): ReturnType<TestCache['look']> => cache.look(app.source(), commit, path);
  const script = { kind: 'file', size: 7, text: 'echo 1\n' };
  expect(await look('bin/run.sh')).toEqual(script);
  expect(await look('link.sh')).toEqual(script);
  expect(await look('./bin//./run.sh')).toEqual(script);
  expect(await look('.')).toEqual({ kind: 'directory' });
  expect(await look('folder/run.sh')).toEqual(script);
  expect(await look('big.txt')).toEqual({ kind: 'file', size: 2000, text: null });
  const kinds: string[] = [];
  for (const path of ['bin', 'out', 'abs', 'nope', 'bin/run.sh/x', 'dangling', 'loop', 'a\nb', ':(glob)**']) {
    kinds.push((await look(path)).kind);
  }
  expect(kinds).toEqual([
    'directory',
    'outside',
    'outside',
    ...['missing', 'missing', 'missing', 'missing', 'missing', 'missing'],
  ]);
});
