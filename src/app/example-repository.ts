import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A commit needs an author; nobody's own settings shall matter. */
const SETTINGS = [
  ...['-c', 'user.name=Realmgate', '-c', 'user.email=realmgate@localhost', '-c', 'commit.gpgSign=false'],
  ...['-c', 'core.hooksPath=/dev/null', '-c', 'core.autocrlf=false', '-c', 'gc.auto=0'],
];

const BRANCH = 'main';

/** How long one git command may take, in ms. */
const PATIENCE = 30_000;

/**
 * Brings what stands in a directory into a git repository of its own under `dataDir`, as a new commit where it differs
 * from the last one. Resolves to the repository's `file://` URL and its branch. Rejects with the system's or git's error.
 */
export async function exampleRepository(
  example: { readonly directory: string; readonly name: string },
  dataDir: string,
  environment: Readonly<Record<string, string>>,
): Promise<{ readonly repository: string; readonly branch: string }> {
  const repository = join(resolve(dataDir), 'examples', `${example.name}.git`);
  const env = {
    ...environment,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_DIR: repository,
    GIT_WORK_TREE: resolve(example.directory),
  };
  const git = (...args: string[]) => run('git', [...SETTINGS, ...args], { env, timeout: PATIENCE });
  await mkdir(repository, { recursive: true, mode: 0o700 });
  const isNew = !existsSync(join(repository, 'HEAD'));
  // Left by a start that was killed: nobody else writes here.
  for (const lock of ['index.lock', 'HEAD.lock', `refs/heads/${BRANCH}.lock`]) {
    await rm(join(repository, lock), { force: true });
  }
  await git('init', '--quiet', `--initial-branch=${BRANCH}`);
  await git('add', '--all', '--force', '.');
  if (isNew || (await differs(git))) {
    await git('commit', '--quiet', '--allow-empty', `--message=The contents of ${example.directory}`);
  }
  return { repository: pathToFileURL(repository).href, branch: BRANCH };
}

/** Whether what stands in the index is not what was committed last. */
async function differs(git: (...args: string[]) => Promise<{ stdout: string }>): Promise<boolean> {
  const { stdout: tree } = await git('write-tree');
  const committed = await git('rev-parse', '--verify', '--quiet', `${BRANCH}^{tree}`).catch(() => null);
  return committed?.stdout !== tree;
}
