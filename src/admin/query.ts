import { InvalidRequest } from '../errors.ts';

export type QueryParameters = Readonly<Record<string, QueryParameter>>;

export type QueryParameter = { readonly description: string } & (
  | { readonly kind: 'text' }
  | { readonly kind: 'flag' }
  | { readonly kind: 'choice'; readonly values: readonly string[] }
  | { readonly kind: 'number'; readonly minimum: number; readonly maximum: number }
);

/** Parameters of a query that were checked. Each getter is for parameters of its kind. */
export class Query {
  readonly #values: ReadonlyMap<string, string>;

  constructor(values: ReadonlyMap<string, string>) {
    this.#values = values;
  }

  /** null = not given. */
  text(name: string): string | null {
    return this.#values.get(name) ?? null;
  }

  flag(name: string): boolean {
    return this.#values.get(name) === 'true';
  }

  /** null = not given. */
  number(name: string): number | null {
    const value = this.#values.get(name);
    return value === undefined ? null : Number(value);
  }
}

/** Checks the query of a request target. Throws `InvalidRequest` with every parameter that is wrong or unknown. */
export function readQuery(target: string, parameters: QueryParameters): Query {
  const values = new Map<string, string>();
  const errors: { field: string; message: string }[] = [];
  for (const [name, value] of new URLSearchParams(/\?([^#]*)/.exec(target)?.[1] ?? '')) {
    const message = values.has(name)
      ? 'is given twice'
      : Object.hasOwn(parameters, name)
        ? fault(value, parameters[name]!)
        : `is not known here; there ${known(Object.keys(parameters))}`;
    if (message !== null) errors.push({ field: name, message });
    values.set(name, value);
  }
  if (errors.length > 0) throw new InvalidRequest(errors);
  return new Query(values);
}

/** What is wrong with a value; null = nothing. */
function fault(value: string, parameter: QueryParameter): string | null {
  switch (parameter.kind) {
    case 'text':
      return null;
    case 'flag':
      return value === 'true' || value === 'false' ? null : 'has to be true or false';
    case 'choice':
      return parameter.values.includes(value) ? null : `has to be one of ${parameter.values.join(', ')}`;
    case 'number': {
      const { minimum, maximum } = parameter;
      const fits = /^\d{1,16}$/.test(value) && Number(value) >= minimum && Number(value) <= maximum;
      return fits ? null : `has to be a whole number from ${minimum} to ${maximum}`;
    }
  }
}

function known(names: readonly string[]): string {
  if (names.length === 0) return 'are no parameters';
  return names.length === 1 ? `is only ${names.join('')}` : `are ${names.join(', ')}`;
}
