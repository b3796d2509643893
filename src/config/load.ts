import { readFile } from 'node:fs/promises';
import schema from '../../config/schema.json' with { type: 'json' };
import type { Settings } from '../contracts/settings.ts';
import { Checker } from './check.ts';
import type { SchemaNode } from './check.ts';
import { Faults } from './faults.ts';
import type { Fault } from './faults.ts';
import { Interpolation } from './interpolate.ts';
import { FilesRead, ioReason, type KnownFiles, LARGEST_FILE } from './read-file.ts';
import { Rules } from './rules.ts';
import type { Sketch } from './rules.ts';
import type { ConfigFile, RealmEntry } from './schema.ts';
import { readTls } from './tls.ts';
import { toSettings } from './to-settings.ts';
import { parseTree } from './yaml-tree.ts';

export { formatFault } from './faults.ts';
export type { Fault } from './faults.ts';

export type Loaded = {
  /** Those whose change matters, and may be what mends a fault: this one, certificate and key, and each `${file:}`. */
  readonly files: KnownFiles;
} & (
  | { readonly ok: true; readonly settings: Settings }
  | { readonly ok: false; readonly faults: readonly Fault[] }
);

/**
 * Reads a configuration file (YAML or JSON). Either everything about it is right, or all faults come back at once, in
 * the order of the file; only text that is not YAML at all hides what else might be wrong. Never rejects because of
 * what a file says. Relative paths in the file are relative to the working directory.
 */
export async function loadSettings(file: string, env: NodeJS.ProcessEnv = process.env): Promise<Loaded> {
  const faults = new Faults(file);
  const filesRead = new FilesRead();
  const files = filesRead.known;
  const text = await readText(file, faults, filesRead);
  const tree = text === null ? null : parseTree(text, faults);
  if (tree === null) return { ok: false, faults: faults.list(), files };

  const interpolation = new Interpolation(env, filesRead);
  const checker = new Checker(faults, interpolation);
  const sketch = (checker.check(tree, SCHEMA) ?? {}) as Sketch<ConfigFile>;
  if (tree.kind === 'map') new Rules(sketch, checker, faults).check();
  const tlsFiles = sketch.gateway?.tls;
  const tls = tlsFiles === undefined ? null : await readTls(tlsFiles, checker, faults, filesRead);
  if (!faults.none) return { ok: false, faults: faults.list(), files };

  // Without a fault nothing in the sketch is undefined but what may be left out.
  const content = sketch as ConfigFile;
  const settings = toSettings(content, content.realms ?? [impliedRealm(content, checker)], tls);
  return { ok: true, settings, files };
}

const SCHEMA: SchemaNode = schema;

/** From a pipe too. */
async function readText(file: string, faults: Faults, filesRead: FilesRead): Promise<string | null> {
  const start = { line: 1, column: 1 };
  try {
    const bytes = await readFile(file);
    filesRead.note(file, bytes);
    if (bytes.length <= LARGEST_FILE) return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    faults.add(start, '', 'the file is larger than 16MiB');
  } catch (error) {
    filesRead.note(file, null);
    const reason = error instanceof TypeError && !('syscall' in error) ? notText(error) : ioReason(error);
    faults.add(start, '', `the file cannot be read: ${reason}`);
  }
  return null;
}

function notText(error: TypeError): string {
  return 'code' in error && error.code === 'ERR_ENCODING_INVALID_ENCODED_DATA'
    ? 'it is not UTF-8 text'
    : ioReason(error);
}

/** The embedded realm, seen from the gateway as any other. */
function impliedRealm(content: ConfigFile, checker: Checker): RealmEntry {
  const { listen, name } = content.embeddedRealm!;
  const host = listen.host.includes(':') ? `[${listen.host}]` : listen.host;
  const url = `http://${host}:${listen.port}/auth/realms/${name}`;
  return checker.decode({ name, url }, SCHEMA.properties!['realms']!.items!) as RealmEntry;
}
