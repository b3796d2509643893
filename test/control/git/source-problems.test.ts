import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import type { GitSource } from '../../../src/contracts/service.ts';
import { sourceProblems } from '../../../src/control/git/source-problems.ts';

const RIGHT = 'it has to be https://host/path, ssh://user@host/path, user@host:path or file:///path';

function problems(fields: Partial<GitSource>): string[] {
  const source = {
    repository: 'https://git.example.com/a.git',
    branch: null,
    commit: null,
    credentials: 'team',
  };
  return sourceProblems({ ...source, ...fields }).map(({ field, message }) => `${field}: ${message}`);
}

function repositoryProblem(repository: string): string | undefined {
  return problems({ repository })[0]?.replace('git.repository: The repository cannot be used: ', '');
}

describe('a repository', () => {
  test.each([
    'https://git.example.com/team/app.git',
    'https://git.example.com:8443/team/app',
    'https://127.0.0.1/app',
    'https://[::1]:8443/app',
    'https://git.example.com/a%20b/~c/d+e',
    'ssh://git@git.example.com/team/app.git',
    'ssh://git.example.com:2222/~ada/app.git',
    'git@github.com:team/app.git',
    'git@github.com:/srv/app.git',
    'file:///srv/git/app.git',
    'file:///srv/gitté/a%20b',
  ])('%s is taken', (repository) => {
    expect(problems({ repository })).toEqual([]);
  });

  test.each([
    '',
    '/srv/git/app.git',
    '../app',
    'app',
    'git://git.example.com/app',
    'ftp://git.example.com/app',
    'file://host/app',
    'file:app',
    'https://',
    'https://git.example.com',
    'https://git.example.com/',
    'https://git.example.com:0/app',
    'https://git.example.com:99999/app',
    'https://-x.example.com/app',
    'https://git_.example.com:80x/app',
    'host:path',
    'https://git.example.com/app?token=1',
    'https://git.example.com/app#main',
    'https://git.example.com\\@evil.example/app',
    'HTTPS://git.example.com/app',
  ])('%s is refused, and what would be right is said', (repository) => {
    expect(repositoryProblem(repository)).toContain(RIGHT);
  });

  test.each([
    ['http://git.example.com/app', 'http is not encrypted; use https://'],
    ['https://ada:secret@git.example.com/app', 'it holds a password; put that into a secret'],
    ['ssh://ada:secret@git.example.com/app', 'it holds a password; put that into a secret'],
    ['https://t0ken@git.example.com/app', 'it holds a user name; put that into a secret'],
    ['https://git.example.com/a b', 'write a space of a path as %20'],
    ['https://git.example.com/a\nb', 'a space or a control character'],
    ['https://git.example.com/a\u202eb', 'a space or a control character'],
    ['https://git.example.com/a%0ab', 'it holds an escaped control character'],
    ['file:///srv/a%00', 'it holds an escaped control character'],
    ['file:///srv/100%', 'does not begin an escape such as %20'],
    [`https://git.example.com/${'a'.repeat(3000)}`, 'longer than 2048 characters'],
  ])('%s is refused', (repository, message) => {
    const problem = repositoryProblem(repository);
    expect(problem).toContain(message);
    expect(problem).not.toMatch(/t0ken|ada:/);
  });

  // simple-git took such a repository for an option of git.
  test.each(['--upload-pack=touch /tmp/x', '-u', '--config=core.sshCommand=id', '-oProxyCommand=id'])(
    'CVE-2026-28291: %s is no repository',
    (repository) => {
      expect(repositoryProblem(repository)).toBeDefined();
    },
  );

  // The transport that runs what it names.
  test.each(['ext::sh -c id', 'ext::id', 'fd::17/app', 'EXT::id', 'ext::https://git.example.com/app'])(
    'CVE-2022-24433, CVE-2022-25912: %s is no transport to use',
    (repository) => {
      expect(repositoryProblem(repository)).toBeDefined();
    },
  );

  // ssh would take such a host, user or path for an option.
  test.each([
    'ssh://-oProxyCommand=id/app',
    'ssh://%2doProxyCommand=id/app',
    'ssh://-oProxyCommand=id@git.example.com/app',
    'ssh://git@-oProxyCommand=id/app',
    '-oProxyCommand=id:app',
    'git@-oProxyCommand=id:app',
    '-oProxyCommand=id@git.example.com:app',
    'git@git.example.com:-oProxyCommand=id',
    'git@git.example.com:--upload-pack=id',
  ])('CVE-2017-1000117: %s is refused', (repository) => {
    expect(repositoryProblem(repository)).toContain(RIGHT);
  });

  test.each(['ssh://git@git.example.com/app', 'git@git.example.com:app'])(
    '%s needs a secret',
    (repository) => {
      expect(problems({ repository, credentials: null })).toEqual([
        'git.credentials: A repository over ssh needs a secret with the keys "ssh-key" and "known-hosts"; name it here',
      ]);
    },
  );
});

describe('a branch', () => {
  test.each([
    ...[
      'main',
      'feature/x',
      'a.b',
      'v1.0',
      'ünicode',
      'a-b_c',
      '"quoted"',
      "o'neil",
      'a$(id)b',
      'a;b',
      'refs/heads/x',
    ],
    ...[
      '',
      '-x',
      '--upload-pack=id',
      'HEAD',
      'a@',
      '@a',
      'a b',
      'a\tb',
      'a\nb',
      'a\u007fb',
      'a~1',
      'a^',
      'a:b',
    ],
    ...[
      'a?',
      'a*',
      'a[b',
      'a\\b',
      'a..b',
      'a@{1}',
      '/a',
      'a/',
      'a//b',
      'a.',
      'a/.b',
      '.a',
      'a.lock',
      'a.lock/b',
    ],
  ])('%j is taken exactly when git takes it', (branch) => {
    // `@{-1}` and the like, which git would expand, are refused by both.
    const git = spawnSync('git', ['check-ref-format', '--branch', branch]).status === 0;
    expect(problems({ branch }).length === 0).toBe(git);
  });

  test.each([
    ['-x', 'it begins with a dash'],
    ['@', '"@" has a meaning of its own'],
    ['a..b', 'it holds ..'],
    ['a//b', 'it has a slash at its start or end, or two in a row'],
    ['x/a.lock', 'its part "a.lock" begins with a dot or ends with .lock'],
    ['b'.repeat(300), 'it is longer than 200 characters'],
  ])('%s: %s', (branch, message) => {
    expect(problems({ branch })).toEqual([`git.branch: This is no name of a branch: ${message}`]);
  });
});

test.each(['abcd', 'ABCDEF1', 'a'.repeat(40), 'a'.repeat(64)])('the commit %s is taken', (commit) => {
  expect(problems({ commit })).toEqual([]);
});

test.each(['', 'abc', 'HEAD', 'abcdefg', '--all', 'a'.repeat(65), 'abcd\n', 'main~1', 'abcd^{tree}'])(
  'the commit %j is refused',
  (commit) => {
    expect(problems({ commit })).toEqual([expect.stringContaining('git.commit: A commit is named by')]);
  },
);

test('all wrong fields are named at once', () => {
  const source = { repository: 'app', branch: '-b', commit: 'x' };
  expect(problems(source).map((problem) => problem.split(':')[0])).toEqual([
    'git.repository',
    'git.branch',
    'git.commit',
  ]);
});
