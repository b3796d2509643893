import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';

export type SmallFile =
  { readonly ok: true; readonly content: Buffer } | { readonly ok: false; readonly reason: string };

/** Of the configuration and of each file that it names, in bytes. */
export const LARGEST_FILE = 16 * 1024 * 1024;

/** Files by absolute path, with what each held when it was last read; null = it could not be read. */
export type KnownFiles = ReadonlyMap<string, Buffer | null>;

/** Notes which files a configuration is read from. */
export class FilesRead {
  readonly #contents = new Map<string, Buffer | null>();

  get known(): KnownFiles {
    return this.#contents;
  }

  /** Of a file that is read twice the first counts: what differs then is a change. */
  note(path: string, content: Buffer | null): void {
    const file = resolve(path);
    if (!this.#contents.has(file)) this.#contents.set(file, content);
  }

  /** Reads a file that the configuration names. Only a regular one: a device or a pipe might never end. */
  read(path: string): SmallFile {
    const file = readSmallFile(path);
    this.note(path, file.ok ? file.content : null);
    return file;
  }
}

function readSmallFile(path: string): SmallFile {
  try {
    const file = statSync(path);
    if (file.isDirectory()) return { ok: false, reason: 'it is a directory' };
    if (!file.isFile()) return { ok: false, reason: 'it is not a regular file' };
    if (file.size > LARGEST_FILE) return { ok: false, reason: 'it is larger than 16MiB' };
    return { ok: true, content: readFileSync(path) };
  } catch (error) {
    return { ok: false, reason: ioReason(error) };
  }
}

/** What a failed file operation means, in words. Names no content. */
export function ioReason(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
  return IO_REASONS[code] ?? code;
}

const IO_REASONS: Readonly<Record<string, string | undefined>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'it is a directory',
  ELOOP: 'too many symbolic links',
  ENAMETOOLONG: 'the path is too long',
  ERR_INVALID_ARG_VALUE: 'the path has a NUL character',
};
