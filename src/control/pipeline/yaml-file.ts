import { LineCounter, isAlias, isMap, isScalar, isSeq, parseDocument } from 'yaml';
import type { Alias, Document, Node, YAMLError } from 'yaml';
import type { Problem } from '../../contracts/service.ts';
import { quote } from '../../text/quote.ts';
import { suggest } from '../../text/suggest.ts';

/** A value of the file, and how messages name it. */
export interface Field {
  /** Such as `tasks[2].type`. */
  readonly name: string;
  /** null = nothing stands there. */
  readonly node: Node | null;
  /** Offset of the value, or of its key where there is none. */
  readonly offset: number;
  /** It could not be read, which has been reported: what follows from that is not. */
  readonly unreadable: boolean;
}

/** How a whole file is named. */
export const WHOLE_FILE = 'pipeline';

/** More have no honest use, and each of them searches the document. */
const MOST_ALIASES = 100;

/**
 * One YAML document, read field by field with its faults and their places. Texts are taken as they are written: a name
 * such as `1`, `yes` or `2026-01-01` stays what it looks like, whichever YAML version the file is for.
 */
export class YamlFile {
  readonly problems: Problem[] = [];
  readonly #lines = new LineCounter();
  readonly #document: Document.Parsed;
  readonly #broken: boolean;
  #aliases = 0;

  constructor(text: string) {
    this.#document = parseDocument(text, {
      lineCounter: this.#lines,
      prettyErrors: false,
      stringKeys: true,
      resolveKnownTags: false,
      // Compares every pair of keys, which is slow for a hostile file; `map` does it in one pass.
      uniqueKeys: false,
    });
    const { errors, warnings } = this.#document;
    let line = 0;
    for (const error of [...errors, ...warnings].sort((a, b) => a.pos[0] - b.pos[0])) {
      // What follows on the same line is nearly always a consequence.
      if (this.#lines.linePos(error.pos[0]).line === line) continue;
      line = this.#lines.linePos(error.pos[0]).line;
      this.#report(WHOLE_FILE, error.pos[0], explain(error));
    }
    this.#broken = this.problems.length > 0;
  }

  /** null = the text is no YAML document, and `problems` says why. */
  root(): Field | null {
    return this.#broken ? null : this.#field(WHOLE_FILE, this.#document.contents, 0);
  }

  /** Such as `line 3, column 5`. */
  place(field: Field): string {
    return this.#place(field.offset);
  }

  /** `message` goes on where the field's name ended: `is missing`, `has to be a list`. */
  fault(field: Field, message: string): void {
    if (!field.unreadable) this.#report(field.name, field.offset, message);
  }

  /**
   * Fields of a mapping by their keys; null = it is none, which is reported. Keys that are not `known`, or stand there
   * twice, are reported too. Case does not count, and blanks and dashes count as `_`: people write
   * `notebook output path`.
   */
  map(field: Field, prefix: string, known: readonly string[]): ReadonlyMap<string, Field> | null {
    const { node } = field;
    if (!isMap(node)) {
      this.fault(
        field,
        `has to be a mapping with the keys ${known.join(', ')}, not ${this.#describe(field)}`,
      );
      return null;
    }
    const fields = new Map<string, Field>();
    for (const pair of node.items) {
      const written = isScalar(pair.key) ? String(pair.key.value) : '';
      const key = written
        .trim()
        .toLowerCase()
        .replace(/[\s-]+/g, '_');
      const offset = offsetOf(pair.key as Node | null, field.offset);
      const named = this.#field(prefix + key, pair.value as Node | null, offset);
      const first = fields.get(key);
      if (!known.includes(key)) this.#unknown(written, prefix, known, offset);
      else if (first !== undefined)
        this.#report(named.name, offset, `stands there twice, first in ${this.place(first)}`);
      else fields.set(key, named);
    }
    return fields;
  }

  /** Items of a list; null = it is none, which is reported with what it has to be. */
  list(field: Field, expected: string): Field[] | null {
    const { node } = field;
    if (!isSeq(node)) {
      this.fault(field, `has to be ${expected}, not ${this.#describe(field)}`);
      return null;
    }
    return node.items.map((item, i) => this.#field(`${field.name}[${i}]`, item as Node | null, field.offset));
  }

  /** The text of a scalar as it is written, trimmed; null = it is none, or no line of text, which is reported. */
  text(field: Field, expected: string): string | null {
    const text = scalarText(field.node)?.trim() ?? '';
    if (text === '') this.fault(field, `has to be ${expected}, not ${this.#describe(field)}`);
    else if (text.length > 1000) this.fault(field, 'is longer than 1000 characters');
    else if (/[\x00-\x1f\x7f]/.test(text) || !text.isWellFormed()) {
      this.fault(field, `has to be one line of text without control characters, not ${quote(text)}`);
    } else return text;
    return null;
  }

  #field(name: string, node: Node | null, keyOffset: number): Field {
    const offset = offsetOf(node, keyOffset);
    const target = isAlias(node) ? this.#resolve(name, offset, node) : node;
    return { name, node: target ?? null, offset, unreadable: target === undefined };
  }

  /** undefined = it cannot be, which is reported. */
  #resolve(name: string, offset: number, alias: Alias): Node | undefined {
    this.#aliases++;
    if (this.#aliases > MOST_ALIASES) {
      this.#report(name, offset, `is alias number ${this.#aliases}; at most ${MOST_ALIASES} may be used`);
      return undefined;
    }
    const target = alias.resolve(this.#document);
    if (target !== undefined) return target;
    const advice = 'text that begins with * has to be in quotes';
    this.#report(name, offset, `is an alias without an anchor before it; ${advice}`);
    return undefined;
  }

  #unknown(written: string, prefix: string, known: readonly string[], offset: number): void {
    const meant = suggest(written, known);
    const advice = meant === null ? `the keys here are ${known.join(', ')}` : `did you mean ${meant}?`;
    this.#report(prefix + written, offset, `is not known: ${advice}`);
  }

  #describe({ node }: Field): string {
    if (isMap(node)) return 'a mapping';
    if (isSeq(node)) return 'a list';
    const text = scalarText(node);
    return text === null ? 'empty' : quote(text);
  }

  #place(offset: number): string {
    // An empty file has no first line.
    const { line, col } = this.#lines.linePos(offset);
    return `line ${Math.max(line, 1)}, column ${Math.max(col, 1)}`;
  }

  #report(field: string, offset: number, message: string): void {
    this.problems.push({ field, message: `${message} (${this.#place(offset)})` });
  }
}

/** null = no scalar, or an empty one. What is not text, such as a number, is taken as it is written. */
function scalarText(node: Node | null): string | null {
  if (!isScalar(node) || node.value === null) return null;
  return typeof node.value === 'string' ? node.value : (node.source ?? null);
}

/** A value that was left out has no place of its own: its key's says more. */
function offsetOf(node: Node | null, keyOffset: number): number {
  const [start, end] = node?.range ?? [0, 0];
  return start === end ? keyOffset : start;
}

function explain(error: YAMLError): string {
  switch (error.code) {
    case 'MULTIPLE_DOCS':
      return 'has a second YAML document here; a pipeline is one document';
    case 'TAG_RESOLVE_FAILED':
      return 'has a YAML tag here, and none are known; text that begins with ! has to be in quotes';
    case 'RESOURCE_EXHAUSTION':
      return 'is nested too deeply';
    default:
      // Without the excerpt that some messages end in.
      return `is no YAML: ${error.message.replace(/: .*/s, '').replace(/^./, (c) => c.toLowerCase())}`;
  }
}
