/** Where something stands in the configuration file. Both count from 1; columns count UTF-16 units, as editors do. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** One thing wrong with the configuration. */
export interface Fault extends Place {
  readonly file: string;
  /** Such as `routes[0].access.roles[1]`; '' = the file as a whole. */
  readonly path: string;
  /** What is wrong and what would be right. Never a value that came from the environment or from another file. */
  readonly message: string;
}

/** `config/x.yaml:12:5: gateway.listen: "8080x" is not an address; expected host:port such as 127.0.0.1:8080` */
export function formatFault(fault: Fault): string {
  const subject = fault.path === '' ? '' : `${fault.path}: `;
  return `${fault.file}:${fault.line}:${fault.column}: ${subject}${fault.message}`;
}

/** Collects the faults of one file. */
export class Faults {
  readonly #file: string;
  readonly #faults = new Map<string, Fault>();

  constructor(file: string) {
    this.#file = file;
  }

  /** The same message at the same place, reached again through a YAML alias, counts once. */
  add(place: Place, path: string, message: string): void {
    const { line, column } = place;
    const key = `${line}:${column}:${message}`;
    if (!this.#faults.has(key)) this.#faults.set(key, { file: this.#file, line, column, path, message });
  }

  get none(): boolean {
    return this.#faults.size === 0;
  }

  /** In the order of the file. */
  list(): Fault[] {
    return [...this.#faults.values()].sort((a, b) => a.line - b.line || a.column - b.column);
  }
}
