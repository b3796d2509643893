import { watch } from 'node:fs';
import type { FSWatcher } from 'node:fs';
import { lstat, readFile, readlink, stat } from 'node:fs/promises';
import { dirname, join, parse, resolve, sep } from 'node:path';
import { type KnownFiles, LARGEST_FILE } from './read-file.ts';

/** Quiet time after an event before the files are read, so that an editor is done; at most `LONGEST_WAIT` in all. */
const QUIET = 100;
const LONGEST_WAIT = 1000;

/** How often the files are looked at without an event: some network and container file systems send none. */
const LOOK_ANYWAY = 10_000;

export interface FileWatch {
  /** Watches these files instead. */
  update(files: KnownFiles): void;
  /** `onChange` is not called any more. */
  close(): void;
}

/**
 * Calls `onChange` when the content of one of the files differs from what is known of it, be it that it changed before
 * the watch began. Directories are watched, all that
 * lead to a file through symbolic links, so that a file that an editor renames into place and the swapped `..data` of a
 * Kubernetes ConfigMap are noticed. A file that is away is waited for, and counts when it is back with other content.
 * Does not keep the process alive, and never throws.
 */
export function watchFiles(files: KnownFiles, onChange: () => void): FileWatch {
  return new Watch(files, onChange);
}

class Watch implements FileWatch {
  readonly #onChange: () => void;
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #interval: NodeJS.Timeout;
  #known = new Map<string, Buffer | null>();
  #timer: NodeJS.Timeout | null = null;
  #firstEvent = 0;
  #looking = false;
  #wanted = 0;
  #closed = false;

  constructor(files: KnownFiles, onChange: () => void) {
    this.#onChange = onChange;
    this.#interval = setInterval(() => void this.#look(), LOOK_ANYWAY).unref();
    this.update(files);
  }

  update(files: KnownFiles): void {
    this.#known = new Map(files);
    void this.#look();
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#interval);
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  readonly #event = (): void => {
    const now = performance.now();
    if (this.#timer === null) this.#firstEvent = now;
    else clearTimeout(this.#timer);
    const wait = Math.max(0, Math.min(QUIET, this.#firstEvent + LONGEST_WAIT - now));
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.#look();
    }, wait).unref();
  };

  /** One look at a time; what happens meanwhile is looked at after. */
  async #look(): Promise<void> {
    this.#wanted += 1;
    if (this.#looking) return;
    this.#looking = true;
    for (let done = 0; done < this.#wanted && !this.#closed;) {
      done = this.#wanted;
      // Directories first: what changes after a file was read is then an event.
      await this.#watchDirectories();
      if (await this.#read()) this.#report();
    }
    this.#looking = false;
  }

  #report(): void {
    if (!this.#closed) this.#onChange();
  }

  /** Whether a file has other content than is known. */
  async #read(): Promise<boolean> {
    let changed = false;
    const known = this.#known; // an update meanwhile is looked at next
    for (const [file, before] of known) {
      const content = await contentOf(file);
      if (content === null || before?.equals(content) === true) continue;
      known.set(file, content);
      changed = true;
    }
    return changed;
  }

  async #watchDirectories(): Promise<void> {
    const wanted = new Map<string, string>();
    for (const file of this.#known.keys()) {
      for (const directory of await directoriesOf(file)) {
        const identity = await identityOf(directory);
        if (identity !== null) wanted.set(identity, directory);
      }
    }
    if (this.#closed) return;
    for (const [identity, watcher] of this.#watchers) {
      if (wanted.has(identity)) continue;
      watcher.close();
      this.#watchers.delete(identity);
    }
    for (const [identity, directory] of wanted) {
      if (!this.#watchers.has(identity)) this.#watchDirectory(identity, directory);
    }
  }

  #watchDirectory(identity: string, directory: string): void {
    try {
      const watcher = watch(directory, { persistent: false }, this.#event);
      watcher.on('error', () => {
        watcher.close();
        this.#watchers.delete(identity);
      });
      this.#watchers.set(identity, watcher);
    } catch {
      // Out of watches, or the directory went away: the interval looks all the same.
    }
  }
}

/** Null for what the configuration would not read either, and for a pipe, which has nothing to say a second time. */
async function contentOf(file: string): Promise<Buffer | null> {
  try {
    const found = await stat(file);
    return found.isFile() && found.size <= LARGEST_FILE ? await readFile(file) : null;
  } catch {
    return null;
  }
}

/** A directory that was replaced by another of its name is another one. */
async function identityOf(directory: string): Promise<string | null> {
  try {
    const { dev, ino } = await stat(directory);
    return `${dev}:${ino}:${directory}`;
  } catch {
    return null;
  }
}

const MOST_LINKS = 40;

/** The directories in which a change can make `file` another one: its own, and that of every link on the way. */
async function directoriesOf(file: string): Promise<Set<string>> {
  const found = new Set<string>();
  let at = parse(file).root;
  let rest = file.slice(at.length).split(sep).filter(Boolean);
  let links = 0;
  while (rest.length > 0) {
    const [name = '', ...below] = rest;
    const path = join(at, name);
    const target = await linkTarget(path);
    if (target === undefined) {
      // The way ends here for now: what is missing will appear in this directory.
      found.add(at);
      return found;
    }
    if (target !== null) {
      found.add(at);
      if (++links > MOST_LINKS) return found;
      const next = resolve(at, target);
      at = parse(next).root;
      rest = [...next.slice(at.length).split(sep).filter(Boolean), ...below];
    } else {
      at = path;
      rest = below;
    }
  }
  found.add(dirname(at));
  return found;
}

/** Null = no link; undefined = nothing there. */
async function linkTarget(path: string): Promise<string | null | undefined> {
  try {
    return (await lstat(path)).isSymbolicLink() ? await readlink(path) : null;
  } catch {
    return undefined;
  }
}
