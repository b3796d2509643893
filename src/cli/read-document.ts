import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { UsageError } from './verb.ts';

/** Text of a file, or of standard input for `-`. */
export async function readText(file: string): Promise<string> {
  try {
    return file === '-' ? await text(process.stdin) : await readFile(file, 'utf8');
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException;
    throw new UsageError(`the file ${file} cannot be read (${code})`);
  }
}

/** The documents of a YAML or JSON text, null for one that is empty. Throws `UsageError` with line and column. */
export async function parseDocuments(source: string, file: string): Promise<readonly unknown[]> {
  // It takes longer to load than most commands to run.
  const { parseAllDocuments } = await import('yaml');
  const documents = parseAllDocuments(source);
  if (!Array.isArray(documents)) return [];
  return documents.map((document): unknown => {
    const [error] = document.errors;
    if (error !== undefined) {
      const at = error.linePos?.[0];
      const [what = ''] = error.message.split('\n');
      // The library says "at line 1, column 2:" itself.
      throw new UsageError(
        `${nameOf(file)}${at === undefined ? '' : `:${at.line}:${at.col}`}: ${what.replace(/ at line \d+, column \d+:?$/, '')}`,
      );
    }
    try {
      return document.toJS() as unknown;
    } catch {
      throw new UsageError(`${nameOf(file)}: its aliases would make it far bigger than it is`);
    }
  });
}

/** The one object of a YAML or JSON file. */
export async function readObject(file: string): Promise<Record<string, unknown>> {
  const [first, ...more] = await parseDocuments(await readText(file), file);
  if (more.length > 0) throw new UsageError(`${nameOf(file)} has more than one document`);
  if (!isObject(first)) throw new UsageError(`${nameOf(file)} has to be an object with named fields`);
  return first;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function nameOf(file: string): string {
  return file === '-' ? 'standard input' : file;
}
