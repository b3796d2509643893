import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

import { describe, expect, onTestFinished, test } from 'vitest';

import { findPart, requireParts } from './support/require.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Says what it runs on, then waits for a signal when told to. */
const MAIN = `
const [verb]: string[] = process.argv.slice(2);
if (verb === 'wait') {
  process.on('SIGTERM', () => process.exit(7));
  setInterval(() => {}, 1000);
}
process.stdout.write(JSON.stringify({ version: process.version, pid: process.pid, args: process.argv.slice(2) }) + '\\n');
process.exitCode = verb === 'fail' ? 64 : 0;
`;

interface Said {
  readonly version: string;
  readonly pid: number;
  readonly args: readonly string[];
}

/** A checkout with the real launch.js, a main.ts that reports, and the packages that are asked for. */
function checkout(packages: 'installed' | 'absent'): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'realmgate-launch-')));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, 'src'));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  writeFileSync(join(folder, 'src/main.ts'), MAIN);
  copyFileSync(join(root, 'src/launch.js'), join(folder, 'src/launch.js'));
  if (packages === 'installed') symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  return join(folder, 'src/launch.js');
}

function launch(node: string, packages: 'installed' | 'absent', ...args: string[]): ChildProcess {
  const child = spawn(node, [checkout(packages), ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

async function finished(child: ChildProcess): Promise<{ code: number | null; out: string; err: string }> {
  const [out, err, [code]] = await Promise.all([
    text(child.stdout!),
    text(child.stderr!),
    once(child, 'exit') as Promise<[number | null]>,
  ]);
  return { code, out, err };
}

describe('launch on Node 26', () => {
  test('runs main in the same process', async () => {
    const child = launch(process.execPath, 'absent', 'serve', '--config', 'x');
    const { code, out } = await finished(child);

    expect(code).toBe(0);
    expect(JSON.parse(out)).toEqual({
      version: process.version,
      pid: child.pid,
      args: ['serve', '--config', 'x'],
    });
  });
});

describe.skipIf(!requireParts('old-node'))('launch on an older Node', () => {
  const oldNode = (): string => findPart('old-node')!;

  test('starts again on the packaged Node 26 with the same arguments', async () => {
    const { code, out, err } = await finished(launch(oldNode(), 'installed', 'token', '--decode', 'a b'));

    expect(err).toBe('');
    expect(code).toBe(0);
    const said = JSON.parse(out) as Said;
    expect(said.args).toEqual(['token', '--decode', 'a b']);
    expect(said.version).toMatch(/^v26\./);
  });

  test('ends with the exit code of the program', async () => {
    expect((await finished(launch(oldNode(), 'installed', 'fail'))).code).toBe(64);
  });

  test('hands a signal on and waits for the program to end', async () => {
    const child = launch(oldNode(), 'installed', 'wait');
    await once(child.stdout!, 'readable');

    child.kill('SIGTERM');

    expect((await finished(child)).code).toBe(7);
  });

  test('without the package names it and exits 64', async () => {
    const { code, out, err } = await finished(launch(oldNode(), 'absent', 'serve'));

    expect(code).toBe(64);
    expect(out).toBe('');
    const version = spawnSync(oldNode(), ['--version'], { encoding: 'utf8' }).stdout.trim();
    expect(err).toContain(`realmgate needs Node 26 or newer, and this is ${version}.`);
    expect(err).toContain(`node-${process.platform}-${process.arch}`);
    expect(err).toContain('npm ci');
  });
});
