import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { SourceRepository, temporaryDirectory, TestCache } from './source-repository.ts';

interface Link {
  readonly path: string;
  readonly url: string;
  readonly commit: string;
  readonly update?: string;
}

/** Commits submodules as a user may have written them, without looking at them. */
function link(app: SourceRepository, ...links: Link[]): string {
  for (const { path, url, commit, update } of links) {
    app.git('update-index', '--add', '--cacheinfo', `160000,${commit},${path}`);
    const name = `submodule.the ${path}`;
    app.git('config', '-f', '.gitmodules', `${name}.path`, path);
    app.git('config', '-f', '.gitmodules', `${name}.url`, url);
    if (update !== undefined) app.git('config', '-f', '.gitmodules', `${name}.update`, update);
  }
  app.git('add', '.gitmodules');
  app.git('commit', '-qm', 'Link');
  return app.git('rev-parse', 'HEAD');
}

/** Repositories beside each other. */
function three(): [SourceRepository, SourceRepository, SourceRepository] {
  const root = temporaryDirectory();
  const [app, lib, deep] = ['app', 'lib', 'deep lib'].map((name) => new SourceRepository(join(root, name)));
  return [app!, lib!, deep!];
}

test('submodules of submodules are cloned, by relative and by absolute URL', async () => {
  const [app, lib, deep] = three();
  const innermost = deep.commit({ c: 'innermost' });
  const inner = link(lib, { path: 'sub/deep', url: '../deep%20lib', commit: innermost });
  const commit = link(
    app,
    { path: 'libs/one', url: '../lib', commit: inner },
    { path: 'two ü', url: `${lib.url}/`, commit: inner },
    { path: 'none', url: '../lib', commit: inner, update: 'none' },
  );
  const cache = new TestCache();
  await cache.fetch(app.source());
  const clone = await cache.checkout(app.source(), commit);
  for (const path of ['libs/one', 'two ü']) {
    expect(readFileSync(join(clone, path, 'sub/deep/c'), 'utf8')).toBe('innermost');
  }
  expect(readdirSync(join(clone, 'none'))).toEqual([]);
  expect(execFileSync('git', ['-C', clone, 'status', '--porcelain'], { encoding: 'utf8' })).toBe('');

  // They are cached as their repository is: it may go.
  lib.git('checkout', '-q', '--orphan', 'other');
  const again = await cache.checkout(app.source(), commit);
  expect(existsSync(join(again, 'libs/one/sub/deep/c'))).toBe(true);
});

test('a path in a submodule is told from one that is missing', async () => {
  const [app, lib] = three();
  const commit = link(app, { path: 'libs/one', url: '../lib', commit: lib.commit({ b: '1' }) });
  const cache = new TestCache();
  await cache.fetch(app.source());
  const kinds: string[] = [];
  for (const path of ['libs/one', 'libs/one/run.sh', 'libs', 'libs/two/run.sh']) {
    kinds.push((await cache.look(app.source(), commit, path)).kind);
  }
  expect(kinds).toEqual(['submodule', 'submodule', 'directory', 'missing']);
});

test.each([
  ['a missing repository', '../nope', 'There is no repository at file://'],
  ['another transport', 'ext::sh -c id', 'The repository cannot be used'],
  ['an option (CVE-2018-17456)', '--upload-pack=id', 'The repository cannot be used'],
  ['a path of this machine', '/srv/lib', 'The repository cannot be used'],
  ['a password', 'https://ada:secret@git.example.com/lib', 'it holds a password'],
  ['ssh without a secret', 'git@git.example.com:lib', 'A repository over ssh needs a secret'],
])('a submodule with %s is refused, and named', async (_, url, message) => {
  const [app, lib] = three();
  const commit = link(app, { path: 'libs/one', url, commit: lib.commit({ b: '1' }) });
  const cache = new TestCache();
  await cache.fetch(app.source());
  const failed = cache.checkout(app.source(), commit);
  await expect(failed).rejects.toMatchObject({ name: 'GitError' });
  await expect(failed).rejects.toThrow(/^Submodule "libs\/one": /);
  await expect(failed).rejects.toThrow(message);
  await expect(failed).rejects.not.toThrow('ada:secret');
});

test('a submodule whose commit is gone is named', async () => {
  const [app, lib] = three();
  lib.commit({ b: '1' });
  const gone = 'abcdef1'.padEnd(40, '0');
  const commit = link(app, { path: 'lib', url: '../lib', commit: gone });
  const cache = new TestCache();
  await cache.fetch(app.source());
  const failed = cache.checkout(app.source(), commit);
  await expect(failed).rejects.toMatchObject({ kind: 'missing', field: 'git.repository' });
  await expect(failed).rejects.toThrow(`has no commit "${gone}"`);
});

test('a .gitmodules that git cannot read, or that is a link, or that leads elsewhere, does no harm', async () => {
  const [app, lib] = three();
  lib.commit({ b: '1' });
  const cache = new TestCache();
  const broken = app.commit({ '.gitmodules': '[submodule' });
  await cache.fetch(app.source());
  await expect(cache.checkout(app.source(), broken)).rejects.toMatchObject({ kind: 'invalid' });

  const text =
    '[submodule "x"]\n\tpath = ../../x\n\turl = ../lib\n[submodule "y"]\n\tpath = .git\n\turl = ../lib\n';
  const outside = app.commit({ '.gitmodules': `${text}[include]\n\tpath = /etc/passwd\n` });
  await cache.fetch(app.source());
  expect(readdirSync(await cache.checkout(app.source(), outside)).sort()).toEqual(['.git', '.gitmodules']);

  const target = '/etc/passwd';
  const link = `M 120000 inline .gitmodules\ndata ${target.length}\n${target}\n`;
  app.import(`commit refs/heads/linked\ncommitter Ada <ada@example.com> 0 +0000\ndata 0\n${link}`);
  const linked = app.source({ branch: 'linked' });
  const { commit } = await cache.fetch(linked);
  await expect(cache.checkout(linked, commit)).rejects.toMatchObject({ kind: 'failed' });
});

test('more than a hundred submodules are refused', async () => {
  const [app, lib] = three();
  const inner = lib.commit({ b: '1' });
  const paths = Array.from({ length: 101 }, (_, index) => `lib${index}`);
  const index = paths.map((path) => `160000 ${inner}\t${path}\n`).join('');
  app.write({
    '.gitmodules': paths.map((path) => `[submodule "${path}"]\n\tpath = ${path}\n\turl = ../lib\n`).join(''),
  });
  app.index(index);
  app.git('add', '.gitmodules');
  app.git('commit', '-qm', 'Link');
  const cache = new TestCache();
  const { commit } = await cache.fetch(app.source());
  await expect(cache.checkout(app.source(), commit)).rejects.toThrow('more than 100 submodules');
});
