import { expect, test } from 'vitest';
import { credentialsProblem } from '../../../src/control/git/credentials.ts';

const HTTPS = 'https://git.example.com/app.git';
const SSH = 'git@git.example.com:app.git';

test.each([
  [HTTPS, ['username', 'password']],
  [HTTPS, ['username', 'token']],
  [HTTPS, ['password']],
  [HTTPS, ['token', 'other']],
  [SSH, ['ssh-key', 'known-hosts']],
  ['ssh://git.example.com/app.git', ['known-hosts', 'ssh-key', 'other']],
  ['file:///srv/app.git', []],
])('%s is content with %j', (repository, keys) => {
  expect(credentialsProblem(repository, keys)).toBeNull();
});

test.each([
  [HTTPS, ['username'], '"username" and "password", or with "token"; this one has neither'],
  [HTTPS, ['ssh-key', 'known-hosts'], 'or with "token"'],
  [SSH, ['ssh-key'], 'this one has no "known-hosts"'],
  [SSH, ['password'], 'this one has no "ssh-key" and "known-hosts"'],
])('%s is not content with %j', (repository, keys, message) => {
  expect(credentialsProblem(repository, keys)).toContain(message);
});
