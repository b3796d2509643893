import { quote } from '../text/quote.ts';
import type { FilesRead } from './read-file.ts';

export type Expansion =
  | {
      readonly ok: true;
      readonly text: string;
      /** Nothing stands around the one `${...}`, so its text may also mean a number or a boolean. */
      readonly whole: boolean;
    }
  | { readonly ok: false; readonly problems: readonly string[] };

const REFERENCE = /\$\$\{|\$\{([^}]*)(\}?)/g;
const VARIABLE = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s;

/** Replaces `${NAME}`, `${NAME:-default}` and `${file:/path}` in strings; `$${` stands for a plain `${`. */
export class Interpolation {
  readonly #env: NodeJS.ProcessEnv;
  readonly #files: FilesRead;

  constructor(env: NodeJS.ProcessEnv, files: FilesRead) {
    this.#env = env;
    this.#files = files;
  }

  /** Problems name variables and files, never what is in them. */
  expand(raw: string): Expansion {
    const problems: string[] = [];
    const text = raw.replace(
      REFERENCE,
      (match: string, body: string | undefined, end: string | undefined) => {
        if (body === undefined) return '${';
        if (end !== '}') {
          problems.push('has a ${ without its }; write $${ for a plain ${');
          return '';
        }
        const value = body.startsWith('file:')
          ? this.#file(body.slice('file:'.length))
          : this.#variable(body);
        if (typeof value === 'string') return value;
        problems.push(value.problem);
        return match;
      },
    );
    if (problems.length > 0) return { ok: false, problems };
    return { ok: true, text, whole: /^\$\{[^}]*\}$/.test(raw) };
  }

  #variable(body: string): string | { problem: string } {
    const [, name, fallback] = VARIABLE.exec(body) ?? [];
    if (name === undefined)
      return { problem: 'has a ${...} that is not ${NAME}, ${NAME:-default} or ${file:/path}' };
    if (fallback?.includes('${') === true)
      return { problem: `has a \${...} inside of the default of \${${name}}` };
    const value = Object.hasOwn(this.#env, name) ? this.#env[name] : undefined;
    // As in a shell: `:-` is for the empty value too.
    if (fallback !== undefined && (value === undefined || value === '')) return fallback;
    return value ?? { problem: `needs the environment variable ${name}, which is not set` };
  }

  #file(path: string): string | { problem: string } {
    const file = this.#files.read(path);
    if (!file.ok) return { problem: `needs the file ${quote(path)}: ${file.reason}` };
    return file.content.toString('utf8').replace(/\r?\n$/, '');
  }
}

/** How a message may show a string with references: without the defaults, which may be secrets. */
export function withoutDefaults(raw: string): string {
  return raw.replace(/(\$\{[A-Za-z0-9_]*:-)[^}]*/g, '$1...');
}

export function hasReference(raw: string): boolean {
  return raw.includes('${');
}
