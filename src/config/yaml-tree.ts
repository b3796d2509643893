import { LineCounter, isAlias, isMap, isScalar, isSeq, parseDocument } from 'yaml';
import type { Alias, Document, Node, YAMLError } from 'yaml';
import type { Faults, Place } from './faults.ts';

/** A value of the configuration file with its place. Aliases are resolved: two parents may share a node. */
export type Tree = MapTree | ListTree | ScalarTree | UnreadableTree;

export interface MapTree {
  readonly kind: 'map';
  readonly place: Place;
  readonly entries: ReadonlyMap<string, { readonly place: Place; readonly value: Tree }>;
}

export interface ListTree {
  readonly kind: 'list';
  readonly place: Place;
  readonly items: readonly Tree[];
}

export interface ScalarTree {
  readonly kind: 'scalar';
  readonly place: Place;
  readonly value: string | number | boolean | null;
}

/** Already reported. */
export interface UnreadableTree {
  readonly kind: 'unreadable';
  readonly place: Place;
}

export function childPath(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}

/**
 * Parses YAML 1.2 or JSON. Reports what the syntax allows and a configuration must not have: several documents,
 * duplicate keys, unknown tags, aliases without an anchor or within it. Null = the text could not be read as one
 * document, and the faults say why.
 */
export function parseTree(text: string, faults: Faults): Tree | null {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    stringKeys: true,
    resolveKnownTags: false,
    // Compares every pair of keys; the builder below does it in one pass, and says where the first one is.
    uniqueKeys: false,
  });
  const placeOf = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  let broken = false;
  let last = 0;
  for (const problem of [...document.errors, ...document.warnings].sort((a, b) => a.pos[0] - b.pos[0])) {
    if (problem.code !== 'MULTIPLE_DOCS' && problem.code !== 'TAG_RESOLVE_FAILED') broken = true;
    const place = placeOf(problem.pos[0]);
    // What follows on the same line is nearly always a consequence.
    if (place.line !== last) faults.add(place, '', explain(problem, text));
    last = place.line;
  }
  if (broken) return null;
  return new TreeBuilder(document, placeOf, faults).build();
}

/** Without the excerpt that some messages end in, nor a tag: a password that was not quoted may look like one. */
function explain(problem: YAMLError, text: string): string {
  const [start] = problem.pos;
  if (problem.code === 'MULTIPLE_DOCS')
    return 'a second YAML document begins here; a configuration is one document';
  if (problem.code === 'RESOURCE_EXHAUSTION') return 'the YAML is nested too deeply';
  if (problem.code === 'TAG_RESOLVE_FAILED') {
    return 'this is a YAML tag, and none are known here; text that begins with ! has to be in quotes';
  }
  if (text.startsWith('${', start - 1)) return 'a ${...} inside of brackets or braces has to be in quotes';
  return `YAML: ${problem.message.replace(/: .*/s, '').replace(/^./, (c) => c.toLowerCase())}`;
}

class TreeBuilder {
  readonly #document: Document;
  readonly #placeOf: (offset: number) => Place;
  readonly #faults: Faults;
  readonly #anchors = new Map<string, Node>();
  readonly #built = new Map<Node, Tree>();
  /** Nodes whose content is being built: an alias to one of them would never end. */
  readonly #open = new Set<Node>();

  constructor(document: Document, placeOf: (offset: number) => Place, faults: Faults) {
    this.#document = document;
    this.#placeOf = placeOf;
    this.#faults = faults;
  }

  build(): Tree {
    return this.#build(this.#document.contents, this.#placeOf(0), '');
  }

  #build(node: Node | null, parent: Place, path: string): Tree {
    if (node === null) return { kind: 'scalar', place: parent, value: null };
    if (isAlias(node)) return this.#resolve(node, parent, path);
    if (node.anchor !== undefined) this.#anchors.set(node.anchor, node);
    this.#open.add(node);
    const tree = this.#content(node, this.#place(node, parent), path);
    this.#open.delete(node);
    if (node.anchor !== undefined) this.#built.set(node, tree);
    return tree;
  }

  #content(node: Node, place: Place, path: string): Tree {
    if (isMap(node)) return this.#map(node.items, place, path);
    if (isScalar(node)) return { kind: 'scalar', place, value: scalarValue(node.value) };
    const items = isSeq(node) ? node.items : [];
    return {
      kind: 'list',
      place,
      items: items.map((item, i) => this.#build(item as Node | null, place, `${path}[${i}]`)),
    };
  }

  #map(pairs: readonly { key: unknown; value: unknown }[], place: Place, path: string): MapTree {
    const entries = new Map<string, { place: Place; value: Tree }>();
    for (const pair of pairs) {
      if (!isScalar(pair.key)) continue;
      const key = String(pair.key.value);
      const keyPath = childPath(path, key);
      const keyPlace = this.#place(pair.key, place);
      const value = this.#build(pair.value as Node | null, keyPlace, keyPath);
      const first = entries.get(key);
      if (first === undefined) entries.set(key, { place: keyPlace, value });
      else
        this.#faults.add(keyPlace, keyPath, `the key stands here twice, first in line ${first.place.line}`);
    }
    return { kind: 'map', place, entries };
  }

  #resolve(alias: Alias, parent: Place, path: string): Tree {
    const target = this.#anchors.get(alias.source);
    const tree = target === undefined ? undefined : this.#built.get(target);
    if (tree !== undefined) return tree;
    const place = this.#place(alias, parent);
    const within = target !== undefined && this.#open.has(target);
    const why = within
      ? 'refers to what contains it'
      : 'has no anchor before it; text that begins with * has to be in quotes';
    this.#faults.add(place, path, `the alias here ${why}`);
    return { kind: 'unreadable', place };
  }

  #place(node: Node, parent: Place): Place {
    const [start, end] = node.range ?? [0, 0, 0];
    // A value that was left out has no place of its own: its key's says more.
    if (isScalar(node) && start === end) return parent;
    return this.#placeOf(start);
  }
}

function scalarValue(value: unknown): ScalarTree['value'] {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : null;
}
