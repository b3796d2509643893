import { Refusal } from '../errors.ts';
import type { Operation } from './operation.ts';

export interface Found {
  readonly operation: Operation;
  /** The parameter in the path, decoded; empty = it has none. */
  readonly target: string;
}

/** Operations by the paths and methods of requests. */
export class OperationIndex {
  readonly #rows: readonly { readonly operation: Operation; readonly pattern: RegExp }[];

  constructor(operations: readonly Operation[]) {
    this.#rows = operations.map((operation) => ({ operation, pattern: patternOf(operation.path) }));
  }

  /** null = there is nothing at this path for this method. Throws `malformed_request` for an invalid escape. */
  find(method: string, path: string): Found | null {
    const wanted = method === 'HEAD' ? 'GET' : method;
    for (const { operation, pattern } of this.#rows) {
      const match = operation.method === wanted ? pattern.exec(path) : null;
      if (match !== null) return { operation, target: decode(match[1] ?? '') };
    }
    return null;
  }

  /** Methods that there are at a path. */
  methodsAt(path: string): readonly string[] {
    return this.#rows
      .filter(({ pattern }) => pattern.test(path))
      .flatMap(({ operation: { method } }) => (method === 'GET' ? ['GET', 'HEAD'] : [method]));
  }
}

function patternOf(path: string): RegExp {
  return new RegExp(`^${path.replaceAll('.', '\\.').replace(/\{\w+\}/, '([^/]+)')}$`);
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new Refusal('malformed_request', 'The URL is not valid');
  }
}
