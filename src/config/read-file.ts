import { readFileSync, statSync } from 'node:fs';

export type SmallFile =
  { readonly ok: true; readonly content: Buffer } | { readonly ok: false; readonly reason: string };

const LARGEST = 1024 * 1024;

/** Reads a file that the configuration names. Only a regular one: a device or a pipe might never end. */
export function readSmallFile(path: string): SmallFile {
  try {
    const file = statSync(path);
    if (file.isDirectory()) return { ok: false, reason: 'it is a directory' };
    if (!file.isFile()) return { ok: false, reason: 'it is not a regular file' };
    if (file.size > LARGEST) return { ok: false, reason: 'it is larger than 1MiB' };
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
