import { type ErrorCode, ERRORS } from '../errors.ts';
import { PROBLEM_TYPE } from '../problem.ts';
import type { Answer, Operation, Tag } from './operation.ts';
import type { QueryParameter } from './query.ts';
import { type SchemaName, SCHEMAS } from './schemas.ts';

export const TAGS: Readonly<Record<Tag, string>> = {
  services: 'Programs from git repositories, each at an endpoint of its own',
  secrets: 'Values that services get and that never come out again',
  environments: 'Variables, interpreters and limits that several services share',
  gateway: 'What the gateway does, and why',
  audit: 'Who did what',
  health: 'Probes and metrics; none of them needs a token',
};

/** An OpenAPI 3.1 document, as far as this program looks into it. */
export interface OpenApiDocument {
  readonly openapi: string;
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly tags: readonly { readonly name: string; readonly description: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, object>>>>;
  readonly [section: string]: unknown;
}

/** The OpenAPI 3.1 document of the operations. It tells nothing of the installation. */
export function openApiDocument(operations: readonly Operation[]): OpenApiDocument {
  const paths: Record<string, Record<string, object>> = {};
  for (const operation of operations) {
    (paths[operation.path] ??= {})[operation.method.toLowerCase()] = describe(operation);
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'Realmgate admin API',
      version: '1.0.0',
      description:
        'Services, secrets and environments, and what the gateway does. Fields and operations may be added at any ' +
        'time; nothing is taken away. A list is an object with `items`.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    } as OpenApiDocument['info'],
    servers: [{ url: '/' }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    security: [{ token: [] }],
    paths,
    components: {
      schemas: SCHEMAS,
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'Access token of the realm that administers.' },
      },
    },
  };
}

function describe(operation: Operation): object {
  const { id, tag, role, summary, description, body, answers } = operation;
  const needed = role === null ? '' : `Needs the role of ${ARTICLES[role]}.`;
  const parameters = parametersOf(operation);
  return {
    operationId: id,
    tags: [tag],
    summary,
    description: [description, needed].filter(Boolean).join(' '),
    ...(role === null && { security: [] }),
    ...(parameters.length > 0 && { parameters }),
    ...(body && {
      requestBody: {
        required: body.optional !== true,
        content: {
          'application/json': {
            schema:
              body.loose === true ? { anyOf: [reference(body.schema), ANY_OBJECT] } : reference(body.schema),
          },
        },
      },
    }),
    responses: {
      ...Object.fromEntries(Object.entries(answers).map(([status, answer]) => [status, answered(answer)])),
      ...refusals(operation),
    },
  };
}

const ANY_OBJECT = { type: 'object', description: 'What is wrong with it is the answer.' };

const ARTICLES = { viewer: 'a viewer', developer: 'a developer', admin: 'an admin' } as const;

function parametersOf({ path, query = {} }: Operation): object[] {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    description: name === 'id' ? 'Id, or name of a current service.' : 'Name.',
    schema: { type: 'string', minLength: 1 },
  }));
  const inQuery = Object.entries(query).map(([name, parameter]) => ({
    name,
    in: 'query',
    description: parameter.description,
    schema: schemaOf(parameter),
  }));
  return [...inPath, ...inQuery];
}

function schemaOf(parameter: QueryParameter): object {
  switch (parameter.kind) {
    case 'text':
      return { type: 'string' };
    case 'flag':
      return { type: 'boolean' };
    case 'choice':
      return { type: 'string', enum: parameter.values };
    case 'number':
      return { type: 'integer', minimum: parameter.minimum, maximum: parameter.maximum };
  }
}

function answered({ description, content, location }: Answer): object {
  return {
    description,
    ...(location && {
      headers: { Location: { description: 'Where it is.', schema: { type: 'string' } } },
    }),
    ...(content !== null && { content: contentOf(content) }),
  };
}

function contentOf(content: NonNullable<Answer['content']>): object {
  if ('text' in content) return { [content.text]: { schema: { type: 'string' } } };
  if ('json' in content) return { 'application/json': { schema: reference(content.json) } };
  const schema = {
    type: 'object',
    additionalProperties: false,
    required: ['items'],
    properties: { items: { type: 'array', items: reference(content.list) } },
  };
  return { 'application/json': { schema } };
}

/** By status, with the codes that it can have. */
function refusals(operation: Operation): Readonly<Record<string, object>> {
  const byStatus = Map.groupBy(refusalCodes(operation), (code) => ERRORS[code].status);
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => [
      status,
      {
        description: codes.map((code) => `\`${code}\`: ${ERRORS[code].title}`).join('. '),
        content: { [PROBLEM_TYPE]: { schema: reference('Problem') } },
      },
    ]),
  );
}

/** What every operation of this form can refuse, and what this one can. */
function refusalCodes({ role, of, body, method, refusals: own = [] }: Operation): ReadonlySet<ErrorCode> {
  const codes = new Set<ErrorCode>(['malformed_request', 'invalid_request']);
  if (role !== null) {
    for (const code of ['token_missing', 'token_invalid', 'token_expired', 'token_revoked'] as const) {
      codes.add(code);
    }
    codes.add('access_denied').add('keys_unavailable').add('service_unavailable'); // the last while it ends
  }
  if (of === 'control') codes.add('not_found');
  if (body !== undefined || method !== 'GET') codes.add('body_too_large').add('unsupported_media_type');
  for (const code of own) codes.add(code);
  return codes;
}

function reference(name: SchemaName): object {
  return { $ref: `#/components/schemas/${name}` };
}
