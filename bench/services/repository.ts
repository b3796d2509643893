import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** Makes a repository with these files (path → text) in one commit, and returns its URL. */
export function makeRepository(directory: string, files: Readonly<Record<string, string>>): string {
  for (const [path, text] of Object.entries(files)) {
    const file = join(directory, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  const git = (...args: string[]): void => {
    const author = ['-c', 'user.name=bench', '-c', 'user.email=bench@localhost'];
    execFileSync('git', [...author, '-C', directory, ...args], { stdio: 'pipe' });
  };
  git('init', '--quiet', '--initial-branch=main');
  git('add', '--all');
  git('commit', '--quiet', '--message=bench');
  return pathToFileURL(directory).href;
}
