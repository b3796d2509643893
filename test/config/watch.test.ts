import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { watchFiles } from '../../src/config/watch.ts';
import type { FileWatch } from '../../src/config/watch.ts';
import type { KnownFiles } from '../../src/config/read-file.ts';
import { scratch } from './support.ts';

interface Observed {
  readonly watch: FileWatch;
  /** Resolves with the next call of `onChange`. */
  next(): Promise<void>;
  count(): number;
}

/** The files as they are now. */
function known(files: readonly string[]): KnownFiles {
  return new Map(files.map((file) => [file, existsSync(file) ? readFileSync(file) : null]));
}

function observe(files: readonly string[]): Observed {
  let calls = 0;
  let called: (() => void) | null = null;
  const watch = watchFiles(known(files), () => {
    calls += 1;
    called?.();
  });
  onTestFinished(() => watch.close());
  return {
    watch,
    next: () => new Promise((resolve) => (called = resolve)),
    count: () => calls,
  };
}

/** Resolves when a watch that started before has surely taken its first look: another one has seen a change since. */
async function settled(directory: string): Promise<void> {
  const probe = join(directory, `probe-${Math.random()}`);
  writeFileSync(probe, '0');
  const observed = observe([probe]);
  for (let i = 1, seen = false; !seen; i++) {
    const next = observed.next().then(() => true);
    writeFileSync(probe, String(i));
    seen = await Promise.race([next, new Promise<false>((resolve) => setTimeout(resolve, 300, false))]);
  }
  observed.watch.close();
}

test('a file that is written again with other content is noticed, with the same content not', async () => {
  const directory = scratch();
  const file = join(directory, 'a.yaml');
  writeFileSync(file, '1');
  const observed = observe([file]);
  await settled(directory);
  writeFileSync(file, '1');
  await settled(directory);
  expect(observed.count()).toBe(0);
  const next = observed.next();
  writeFileSync(file, '2');
  await next;
});

test('an editor that renames a new file over the old one is noticed, again and again', async () => {
  const directory = scratch();
  const file = join(directory, 'a.yaml');
  writeFileSync(file, '0');
  const observed = observe([file]);
  await settled(directory);
  for (let i = 1; i <= 3; i++) {
    const next = observed.next();
    writeFileSync(`${file}~`, String(i));
    renameSync(`${file}~`, file);
    await next;
  }
});

test('the swapped ..data link of a Kubernetes ConfigMap is noticed, again and again', async () => {
  const directory = scratch();
  const publish = (version: number): void => {
    mkdirSync(join(directory, `..v${version}`));
    writeFileSync(join(directory, `..v${version}`, 'a.yaml'), String(version));
    symlinkSync(`..v${version}`, join(directory, '..data_tmp'));
    renameSync(join(directory, '..data_tmp'), join(directory, '..data'));
    rmSync(join(directory, `..v${version - 1}`), { recursive: true, force: true });
  };
  publish(0);
  symlinkSync(join('..data', 'a.yaml'), join(directory, 'a.yaml'));
  const observed = observe([join(directory, 'a.yaml')]);
  await settled(directory);
  for (let version = 1; version <= 3; version++) {
    const next = observed.next();
    publish(version);
    await next;
  }
});

test('a directory on the way that is a swapped link is noticed', async () => {
  const directory = scratch();
  for (const name of ['one', 'two']) {
    mkdirSync(join(directory, name));
    writeFileSync(join(directory, name, 'a.yaml'), name);
  }
  symlinkSync('one', join(directory, 'current'));
  const observed = observe([join(directory, 'current', 'a.yaml')]);
  await settled(directory);
  const next = observed.next();
  symlinkSync('two', join(directory, 'next'));
  renameSync(join(directory, 'next'), join(directory, 'current'));
  await next;
});

test('a file that is away is waited for, and is no change when it comes back as it was', async () => {
  const directory = scratch();
  const file = join(directory, 'a.yaml');
  writeFileSync(file, '1');
  const observed = observe([file]);
  await settled(directory);
  unlinkSync(file);
  await settled(directory);
  writeFileSync(file, '1');
  await settled(directory);
  expect(observed.count()).toBe(0);
  const next = observed.next();
  writeFileSync(file, '2');
  await next;
});

test('a directory that is replaced by another of its name is still watched', async () => {
  const root = scratch();
  const directory = join(root, 'conf');
  mkdirSync(directory);
  writeFileSync(join(directory, 'a.yaml'), '1');
  const observed = observe([join(directory, 'a.yaml')]);
  await settled(directory);
  const gone = observed.next();
  rmSync(directory, { recursive: true });
  mkdirSync(directory);
  writeFileSync(join(directory, 'a.yaml'), '2');
  await gone;
  const next = observed.next();
  writeFileSync(join(directory, 'a.yaml'), '3');
  await next;
});

test('update watches other files, and no change is lost by it', async () => {
  const directory = scratch();
  const [stays, goes, comes] = ['stays', 'goes', 'comes'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ];
  for (const file of [stays, goes, comes]) writeFileSync(file, '1');
  const observed = observe([stays, goes]);
  await settled(directory);
  observed.watch.update(known([stays, comes]));
  await settled(directory);
  writeFileSync(goes, '2');
  await settled(directory);
  expect(observed.count()).toBe(0);
  for (const file of [comes, stays]) {
    const next = observed.next();
    writeFileSync(file, '2');
    await next;
  }
  // A change that nobody has looked at yet is not lost by an update.
  const next = observed.next();
  const before = known([stays]);
  writeFileSync(stays, '3');
  observed.watch.update(before);
  await next;
});

test.each([
  ['changed', '1'],
  ['came', null],
])('a file that %s since it was read is noticed', async (_, before) => {
  const file = join(scratch(), 'a.yaml');
  writeFileSync(file, '2');
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const watch = watchFiles(new Map([[file, before === null ? null : Buffer.from(before)]]), () =>
    resolve(undefined),
  );
  onTestFinished(() => watch.close());
  await promise;
});

test('a device that a refused configuration names is never read', async () => {
  const directory = scratch();
  const observed = observe([]);
  observed.watch.update(new Map([['/dev/zero', null]]));
  await settled(directory);
  expect(observed.count()).toBe(0);
});

test('after close nothing is called', async () => {
  const directory = scratch();
  const file = join(directory, 'a.yaml');
  writeFileSync(file, '1');
  const observed = observe([file]);
  await settled(directory);
  observed.watch.close();
  writeFileSync(file, '2');
  await settled(directory);
  expect(observed.count()).toBe(0);
});

test('files and directories that do not exist are waited for', async () => {
  const root = scratch();
  const file = join(root, 'later', 'a.yaml');
  const observed = observe([file, 'a\0b']);
  await settled(root);
  const next = observed.next();
  mkdirSync(join(root, 'later'));
  writeFileSync(file, '1');
  await next;
});
