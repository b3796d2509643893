import {
  anyText,
  flag,
  integer,
  list,
  nullable,
  object,
  type Schema,
  time,
} from '../control/services/schema.ts';
import {
  ENVIRONMENT_BODY,
  ROLLBACK_BODY,
  SECRET_BODY,
  SERVICE_BODY,
  SERVICE_CHANGE,
} from '../control/services/spec-schema.ts';
import {
  AUDIT_PAGE,
  ENVIRONMENT_VIEW,
  PREFLIGHT_VIEW,
  PROBLEM,
  SECRET_VIEW,
  SERVICE_EVENT,
  SERVICE_REVISION,
  SERVICE_VIEW,
} from '../control/services/view-schema.ts';

/** An object of an answer: every field is always there. */
function answer(description: string, properties: Readonly<Record<string, Schema>>): Schema {
  return object(properties, Object.keys(properties), { description });
}

function texts(description: string): Schema {
  return list(anyText('One of them.'), { description });
}

const problem: Schema = object(
  {
    type: anyText('`urn:realmgate:error:` and the code.'),
    title: anyText('What the code means.'),
    status: integer(400, 599, { description: 'The status of the answer.' }),
    detail: anyText('What is wrong here, for people.'),
    code: anyText('A word that programs may compare, such as `not_found`.'),
    requestId: anyText('The same as in the header `X-Request-Id` and in the log.'),
    errors: list(PROBLEM, { description: 'Of `invalid_request`: every wrong field.' }),
  },
  ['type', 'title', 'status', 'detail', 'code', 'requestId'],
  { description: 'Why a request was refused: problem details of RFC 9457.' },
);

const route = answer('A published endpoint.', {
  name: anyText('Its name.'),
  source: anyText('`static`: it stands in the configuration; `service`: it is a service’s.'),
  endpoint: nullable(anyText('Path prefix; null where it goes by host.')),
  host: nullable(anyText('Host name; null where it goes by path.')),
  upstream: texts('Where requests go.'),
  realm: anyText('Whose tokens are accepted.'),
  public: flag({ description: 'A token is optional.' }),
  stripPrefix: flag({ description: 'The upstream sees the path without the endpoint.' }),
  access: answer('Of every list that is not empty, one member is needed.', {
    roles: texts('`realm:ROLE` or `client:CLIENT/ROLE`.'),
    scopes: texts('Scopes.'),
    clients: texts('Client IDs.'),
  }),
});

const realm = answer('A realm as the gateway knows it.', {
  name: anyText('Its name.'),
  issuers: texts('Accepted issuers.'),
  keys: list(
    answer('A public key.', {
      kid: nullable(anyText('Key id.')),
      alg: nullable(anyText('Algorithm that it is for; null = it does not say.')),
      kty: anyText('Type.'),
    }),
    { description: 'Keys that signatures are checked with.' },
  ),
  keysFetchedAt: nullable(time('When the keys were fetched last; null = never.')),
  keysAge: nullable({ type: 'number', minimum: 0, description: 'Seconds since then; null = never.' }),
});

const question: Schema = object(
  {
    token: nullable({
      type: 'string',
      description: 'Bearer token that the request would bring. It is never kept.',
    }),
    method: {
      type: 'string',
      description: 'HTTP method.',
      pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
      maxLength: 64,
    },
    path: {
      type: 'string',
      description: 'Request target: path and query as they would be sent.',
      examples: ['/hello/world?lang=en'],
      minLength: 1,
      maxLength: 32_768,
    },
    headers: {
      type: 'object',
      description: 'Further header fields.',
      propertyNames: { type: 'string', pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$" },
      additionalProperties: { type: 'string', pattern: '^[^\\u0000-\\u0008\\u000a-\\u001f\\u007f]*$' },
      maxProperties: 100,
    },
  },
  ['method', 'path'],
  { description: 'A request that nobody sends.' },
);

const explanation = answer('What the gateway would do with a request.', {
  allowed: flag({ description: 'It would be forwarded.' }),
  status: integer(100, 599, {
    description: 'Status that the gateway itself would answer; 200 = it would forward.',
  }),
  code: nullable(anyText('Code of the refusal; null = it would forward.')),
  checks: list(
    answer('One check.', {
      name: anyText('Such as `signature` or `access`.'),
      ok: flag({ description: 'It holds.' }),
      detail: anyText('What was looked at, and why it holds or not.'),
    }),
    { description: 'In order, up to the first that fails.' },
  ),
});

/** What bodies and answers of the API look like; components of the OpenAPI document. */
export const SCHEMAS = {
  Service: SERVICE_VIEW,
  NewService: SERVICE_BODY,
  ServiceChange: SERVICE_CHANGE,
  Rollback: ROLLBACK_BODY,
  Revision: SERVICE_REVISION,
  Event: SERVICE_EVENT,
  Preflight: PREFLIGHT_VIEW,
  Secret: SECRET_VIEW,
  SecretValues: SECRET_BODY,
  Environment: ENVIRONMENT_VIEW,
  EnvironmentBody: ENVIRONMENT_BODY,
  ExplainQuestion: question,
  Explanation: explanation,
  Route: route,
  Realm: realm,
  AuditPage: AUDIT_PAGE,
  Problem: problem,
} as const satisfies Readonly<Record<string, Schema>>;

export type SchemaName = keyof typeof SCHEMAS;
