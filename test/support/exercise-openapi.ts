import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { Compile, type Validator } from 'typebox/schema';
import { type JsonSchema, valuesOf } from './json-schema-arbitrary.ts';

export interface ExerciseOptions {
  /** Where the API is, such as `http://127.0.0.1:8081`. */
  readonly baseUrl: string;
  /** Of somebody who may do everything. */
  readonly token: string;
  /** Requests of each kind for every operation. */
  readonly runs?: number;
  readonly seed?: number;
  /** Ids of operations that are left out. */
  readonly except?: readonly string[];
}

/** Statuses that every operation answered, by its id. */
export type Exercised = ReadonlyMap<string, ReadonlySet<number>>;

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, JsonSchema>> };
}

interface Described {
  readonly operationId: string;
  readonly security?: readonly unknown[];
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: 'path' | 'query';
    readonly schema: JsonSchema;
  }[];
  readonly requestBody?: { readonly required?: boolean; readonly content: Media };
  readonly responses: Readonly<
    Record<string, { readonly content?: Media; readonly headers?: Readonly<Record<string, unknown>> }>
  >;
}

interface OfPath {
  readonly path: string;
  readonly method: string;
  readonly described: Described;
}

type Media = Readonly<Record<string, { readonly schema: JsonSchema }>>;

interface Request {
  readonly target: string;
  readonly query: Readonly<Record<string, unknown>>;
  readonly body: string | null;
  readonly type: string;
}

const METHODS = ['get', 'post', 'put', 'patch', 'delete'] as const;

/**
 * Sends requests made from the OpenAPI document at `/api/openapi.json` to each of its operations: right ones, wrong
 * ones, and some without a token. Throws when an answer is 5xx, has a status, media type or body that the document does
 * not give it, or when a wrong request is not refused.
 */
export async function exerciseOpenApi(options: ExerciseOptions): Promise<Exercised> {
  const document = (await (await fetch(`${options.baseUrl}/api/openapi.json`)).json()) as Document;
  const exercised = new Map<string, ReadonlySet<number>>();
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, described]) => ({ path, method, described })),
  );
  const ending = ({ path, method }: OfPath) => method === 'delete' || path.endsWith('/cancel');
  // What takes things away comes last, or the others would find nothing.
  const ordered = [...operations.filter((each) => !ending(each)), ...operations.filter(ending)];
  for (const operation of ordered) {
    const { operationId } = operation.described;
    if (options.except?.includes(operationId) === true) continue;
    const exercise = new OperationExercise(options, document, operation);
    await exercise.run();
    exercised.set(operationId, exercise.statuses);
  }
  for (const [path, methods] of Object.entries(document.paths)) {
    await checkOtherMethods(options, path, Object.keys(methods));
  }
  return exercised;
}

async function checkOtherMethods(
  { baseUrl, token }: ExerciseOptions,
  path: string,
  offered: readonly string[],
): Promise<void> {
  const headers = { authorization: `Bearer ${token}` };
  for (const method of METHODS.filter((each) => !offered.includes(each))) {
    const response = await fetch(baseUrl + path.replace(/\{\w+\}/, 'x'), {
      method: method.toUpperCase(),
      headers,
    });
    assert.equal(response.status, 405, `${method} ${path}`);
    const allowed = (response.headers.get('allow') ?? '').toLowerCase().split(', ');
    assert.deepEqual(allowed.filter((each) => each !== 'head').sort(), [...offered].sort());
    await response.body?.cancel();
  }
}

class OperationExercise {
  readonly statuses = new Set<number>();
  readonly #options: ExerciseOptions;
  readonly #document: Document;
  readonly #path: string;
  readonly #method: string;
  readonly #described: Described;
  readonly #validators = new Map<JsonSchema, Validator>();

  constructor(options: ExerciseOptions, document: Document, { path, method, described }: OfPath) {
    this.#options = options;
    this.#document = document;
    this.#path = path;
    this.#method = method.toUpperCase();
    this.#described = described;
  }

  async run(): Promise<void> {
    const targets = await this.#targets();
    const requests = this.#requests(targets, this.#queries(), this.#bodies());
    await this.#forAll(requests, async (request) => {
      await this.#check(await this.#send(request, this.#options.token), request);
    });
    for (const wrong of this.#wrongRequests(targets)) {
      await this.#forAll(wrong, async (request) => {
        const response = await this.#send(request, this.#options.token);
        assert.ok(response.status >= 400, `a wrong request was granted: ${response.status}`);
        await this.#check(response, request);
      });
    }
    if (this.#described.security?.length === 0) return;
    const strangers = fc.tuple(requests, fc.constantFrom(null, 'x', `${this.#options.token}x`));
    await this.#forAll(strangers, async ([request, token]) => {
      const response = await this.#send(request, token);
      assert.equal(response.status, 401);
      assert.match(response.headers.get('www-authenticate') ?? '', /^Bearer realm="/);
      await this.#check(response, request);
    });
  }

  /** Paths of what there is, by the list that it stands in, and of what may not be. */
  async #targets(): Promise<fc.Arbitrary<string>> {
    const parameter = this.#described.parameters?.find((each) => each.in === 'path');
    if (parameter === undefined) return fc.constant(this.#path);
    const { baseUrl, token } = this.#options;
    const [list] = this.#path.split('/{') as [string];
    const response = await fetch(baseUrl + list, { headers: { authorization: `Bearer ${token}` } });
    const { items } = (await response.json()) as { items: readonly Readonly<Record<string, string>>[] };
    const known = items.map((item) => item[parameter.name]!);
    const names = [
      fc.stringMatching(/^[a-z0-9]{1,20}$/),
      fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' }),
      ...(known.length > 0 ? [{ weight: 6, arbitrary: fc.constantFrom(...known) }] : []),
    ];
    return fc
      .oneof(...names)
      .filter((name) => !/^\.{1,2}$/.test(name)) // no client can send it as a segment
      .map((name) => this.#path.replace(/\{\w+\}/, encodeURIComponent(name)));
  }

  #queries(): fc.Arbitrary<Readonly<Record<string, unknown>>> {
    const fields = this.#queryParameters().map(({ name, schema }) => [name, this.#values(schema)] as const);
    return fc.record(Object.fromEntries(fields), { requiredKeys: [], noNullPrototype: true });
  }

  #bodies(): fc.Arbitrary<string | null> {
    const { requestBody } = this.#described;
    if (requestBody === undefined) return fc.constantFrom(null, '{}');
    const bodies = this.#values(bodySchema(requestBody)).map((body) => JSON.stringify(body));
    return requestBody.required === false ? fc.option(bodies) : bodies;
  }

  *#wrongRequests(targets: fc.Arbitrary<string>): Generator<fc.Arbitrary<Request>> {
    yield this.#requests(targets, fc.constant({ unknown: 'x' }), this.#bodies());
    for (const { name, schema } of this.#queryParameters()) {
      if (schema.type === 'string' && schema.enum === undefined) continue;
      const wrong = fc.constantFrom('', 'x', '-1', '1.5', 'TRUE', '99999999999999999999');
      yield this.#requests(
        targets,
        wrong.map((value) => ({ [name]: value })),
        this.#bodies(),
      );
    }
    if (this.#method === 'GET') return;
    const texts = fc.constantFrom('', ' ', '{', '{"a":1,}', '[1', '{"a":1,"a":2}', 'null', '"x"', '[]', '7');
    const { requestBody } = this.#described;
    const malformed = requestBody?.required === true ? texts : texts.filter((text) => text !== '');
    yield this.#requests(targets, this.#queries(), malformed);
    const other = fc.constantFrom('text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data');
    yield this.#requests(targets, this.#queries(), fc.constant('{}'), other);
    if (requestBody !== undefined) {
      yield this.#requests(targets, this.#queries(), this.#wrongBodies(bodySchema(requestBody)));
    }
  }

  /** Bodies that are JSON, and that the schema does not allow. */
  #wrongBodies(schema: JsonSchema): fc.Arbitrary<string> {
    const validator = this.#validator(schema);
    const anything = fc.jsonValue({ maxDepth: 2 });
    const changed = fc
      .tuple(this.#values(schema), fc.string({ minLength: 1 }), fc.nat(), anything)
      .map(([body, name, which, value]) => {
        const fields = Object.entries(body as object);
        if (fields.length === 0 || which % 4 === 0) return { ...(body as object), [`x${name}`]: value };
        const field = fields[which % fields.length]![0];
        const kept = fields.filter(([each]) => each !== field);
        return Object.fromEntries(which % 4 === 1 ? kept : [...kept, [field, value]]);
      });
    return fc
      .oneof(anything, changed)
      .filter((body) => !validator.Check(body))
      .map((body) => JSON.stringify(body));
  }

  #requests(
    targets: fc.Arbitrary<string>,
    queries: fc.Arbitrary<Readonly<Record<string, unknown>>>,
    bodies: fc.Arbitrary<string | null>,
    types: fc.Arbitrary<string> = fc.constantFrom('application/json', 'application/json; charset=utf-8'),
  ): fc.Arbitrary<Request> {
    return fc.record({ target: targets, query: queries, body: bodies, type: types });
  }

  async #send({ target, query, body, type }: Request, token: string | null): Promise<Response> {
    const search = new URLSearchParams(
      Object.entries(query).map(([name, value]) => [name, String(value)]),
    ).toString();
    const response = await fetch(this.#options.baseUrl + target + (search === '' ? '' : `?${search}`), {
      method: this.#method,
      headers: {
        ...(token !== null && { authorization: `Bearer ${token}` }),
        ...(body !== null && this.#method !== 'GET' && { 'content-type': type }),
      },
      ...(this.#method !== 'GET' && { body }),
    });
    this.statuses.add(response.status);
    return response;
  }

  async #check(response: Response, { query }: Request): Promise<void> {
    const { status, headers } = response;
    assert.ok(status < 500, `${status}: ${status < 500 ? '' : await response.clone().text()}`);
    const documented = this.#described.responses[String(status)];
    assert.ok(documented !== undefined, `the status ${status} is not documented`);
    for (const name of Object.keys(documented.headers ?? {})) {
      assert.ok(headers.has(name), `${status} without the header ${name}`);
    }
    const type = headers.get('content-type');
    if (query['follow'] === true) {
      await response.body?.cancel(); // it never ends
      return;
    }
    const text = await response.text();
    if (documented.content === undefined) {
      assert.deepEqual([type, text], [null, '']);
      return;
    }
    const media = type === null ? undefined : documented.content[type];
    assert.ok(media !== undefined, `${status} has the undocumented media type ${type ?? '(none)'}`);
    if (!/json$/.test(type ?? '')) return;
    const [valid, errors] = this.#validator(media.schema).Errors(JSON.parse(text));
    assert.ok(valid, `${status} has another body than documented: ${JSON.stringify(errors)}: ${text}`);
  }

  #queryParameters() {
    return this.#described.parameters?.filter((each) => each.in === 'query') ?? [];
  }

  #values(schema: JsonSchema): fc.Arbitrary<unknown> {
    return valuesOf(schema, (ref) => this.#document.components.schemas[ref.replace(/^.*\//, '')]!);
  }

  #validator(schema: JsonSchema): Validator {
    let validator = this.#validators.get(schema);
    if (validator === undefined) {
      validator = Compile({ ...schema, components: this.#document.components });
      this.#validators.set(schema, validator);
    }
    return validator;
  }

  async #forAll<T>(values: fc.Arbitrary<T>, test: (value: T) => Promise<void>): Promise<void> {
    const { runs = 10, seed = 1 } = this.#options;
    try {
      await fc.assert(fc.asyncProperty(values, test), { numRuns: runs, seed });
    } catch (error) {
      throw new Error(`${this.#described.operationId}: ${(error as Error).message}`, { cause: error });
    }
  }
}

function bodySchema(requestBody: NonNullable<Described['requestBody']>): JsonSchema {
  return requestBody.content['application/json']!.schema;
}
