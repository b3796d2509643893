import { NOTATIONS } from './notations.ts';
import type { Schema } from './schema.ts';
import { anyObject, flag, integer, list, map, nullable, object, oneOf, patchOf, text } from './schema.ts';

/*
 * What clients send about services, secrets and environments: the single source of the check, of OpenAPI and of the
 * help that the command line gives. Fields without a default that need not be given are made up (a name).
 */

const access = object(
  {
    roles: list(text(NOTATIONS.role, { description: '`realm:ROLE` or `client:CLIENT/ROLE`.' }), {
      description: 'One of these roles is needed.',
      default: [],
      maxItems: 100,
    }),
    scopes: list(text(NOTATIONS.scope, { description: 'A scope.' }), {
      description: 'One of these scopes is needed.',
      default: [],
      maxItems: 100,
    }),
    clients: list(text(NOTATIONS.line, { description: 'A client ID of the realm.' }), {
      description: 'One of these clients is needed.',
      default: [],
      maxItems: 100,
    }),
  },
  [],
  {
    description: 'Who may call it. Every list given must match, one member each; none means any valid token.',
    default: {},
  },
);

const git = object(
  {
    repository: text(NOTATIONS.gitText, {
      description: 'Where the program comes from: `https://`, `ssh://`, `user@host:path` or `file:///`.',
      examples: ['https://git.example.com/team/app.git'],
    }),
    branch: nullable(
      text(NOTATIONS.gitText, {
        description: 'Branch whose head is run. Without it, the default branch of the repository.',
        default: null,
        examples: ['main'],
      }),
    ),
    commit: nullable(
      text(NOTATIONS.gitText, {
        description: 'Full or abbreviated commit. Without it, the head of the branch at each start.',
        default: null,
      }),
    ),
    credentials: nullable(
      text(NOTATIONS.secretName, {
        description:
          'Secret with `username` and `password`, `token`, or `ssh-key` and `known-hosts`. Without it, none.',
        default: null,
      }),
    ),
  },
  ['repository'],
  { description: 'Where the program comes from.' },
);

/** Body of `POST /api/v1/services` and of a pre-flight. */
export const SERVICE_BODY: Schema = object(
  {
    name: nullable(
      text(NOTATIONS.serviceName, {
        description: 'A DNS label, unique among current services. Generated when it is absent.',
        examples: ['brave-otter'],
      }),
    ),
    endpoint: text(NOTATIONS.endpoint, {
      description: 'Path prefix of whole segments under which clients call it; unique.',
      examples: ['/hello'],
    }),
    environment: text(NOTATIONS.environmentName, {
      description: 'Environment configuration that it runs in.',
      default: 'default',
    }),
    type: oneOf(['shell', 'pipeline'], {
      description: '`shell` runs one script, `pipeline` the tasks of a YAML file.',
      default: 'shell',
    }),
    path: text(NOTATIONS.path, {
      description: 'The script or the pipeline, relative to the root of the repository.',
      examples: ['run.sh'],
    }),
    port: integer(1, 65_535, { description: 'Port that the program listens on.', default: 8787 }),
    minReplicas: integer(0, 1000, {
      description: 'Replicas that always run; 0 = the first request starts one.',
      default: 1,
    }),
    maxReplicas: integer(1, 1000, {
      description: 'Replicas under load; not below minReplicas.',
      default: 1,
    }),
    git,
    parameters: map(
      NOTATIONS.parameterName,
      text(NOTATIONS.value, { description: 'Value of the variable.' }),
      {
        description: 'Variables of the program: `model-name` becomes `MODEL_NAME`.',
        default: {},
        maxProperties: 500,
      },
    ),
    secrets: list(text(NOTATIONS.secretName, { description: 'Name of a secret.' }), {
      description: 'Secrets that the program gets, as variables and as files.',
      default: [],
      maxItems: 100,
      uniqueItems: true,
    }),
    fixedPort: flag({
      description:
        'One replica, always on the configured port, which is stopped before its successor starts.',
      default: false,
    }),
    stripPrefix: flag({ description: 'The program sees the path without the endpoint.', default: true }),
    access,
    public: flag({
      description: 'A token is optional. One that is shown must be valid, and counts as identity.',
      default: false,
    }),
    health: nullable(
      object(
        {
          path: text(NOTATIONS.healthPath, {
            description: 'Answered with 200 to 399 by a replica that is ready.',
            examples: ['/healthz'],
          }),
        },
        ['path'],
        { description: 'When a replica is ready. Without it, when its port accepts.', default: null },
      ),
    ),
  },
  ['endpoint', 'path', 'git'],
  { title: 'NewService', description: 'A service to run.' },
);

/** Body of `PATCH /api/v1/services/{id}` and of a clone. */
export const SERVICE_CHANGE: Schema = {
  ...patchOf(SERVICE_BODY),
  title: 'ServiceChange',
  description:
    'The fields that change, as a JSON merge patch (RFC 7396): null takes a field back to its default, and of ' +
    '`git`, `access` and `parameters` only what is named changes.',
};

/** Body of `POST /api/v1/services/{id}/rollback`. */
export const ROLLBACK_BODY: Schema = object(
  { revision: integer(1, 2 ** 31 - 1, { description: 'Number of the revision to go back to.' }) },
  ['revision'],
  { title: 'Rollback', description: 'Which revision shall be in force again.' },
);

/** Body of `PUT /api/v1/secrets/{name}`. */
export const SECRET_BODY: Schema = object(
  {
    data: map(
      NOTATIONS.secretKey,
      text(NOTATIONS.value, {
        description: 'Value, which never comes out again.',
        maxLength: 1024 * 1024,
        writeOnly: true,
      }),
      { description: 'Every key of the secret with its value.', maxProperties: 500 },
    ),
  },
  ['data'],
  { title: 'SecretValues', description: 'The whole of a secret: keys that are absent are removed.' },
);

const quantities = object(
  {
    cpu: nullable(
      text(NOTATIONS.cpu, {
        description: 'Cores that a replica may use, such as `2`, `0.5` or `500m`. Without it, all.',
        default: null,
      }),
    ),
    memory: nullable(
      text(NOTATIONS.memory, {
        description: 'Memory that a replica may use, such as `512Mi` or `1Gi`. Without it, all.',
        default: null,
      }),
    ),
  },
  [],
  { description: 'Limits of each replica, as Kubernetes quantities.', default: {} },
);

function interpreter(name: string): Schema {
  return nullable(
    text(NOTATIONS.interpreter, {
      description: `Command or absolute path of ${name}. Without it, the one of PATH.`,
      default: null,
    }),
  );
}

/** Body of `PUT /api/v1/environments/{name}`. */
export const ENVIRONMENT_BODY: Schema = object(
  {
    variables: map(NOTATIONS.variableName, text(NOTATIONS.value, { description: 'Value of the variable.' }), {
      description: 'Variables of every service in it.',
      default: {},
      maxProperties: 500,
    }),
    interpreters: object(
      { bash: interpreter('bash'), python: interpreter('python'), node: interpreter('node') },
      [],
      { description: 'What runs the scripts.', default: {} },
    ),
    resources: quantities,
    image: nullable(
      text(NOTATIONS.image, { description: 'Container image; Kubernetes only.', default: null }),
    ),
    kubernetes: object(
      {
        nodeSelector: anyObject({ description: 'Labels that a node has to have.' }),
        tolerations: list(anyObject({ description: 'A toleration.' }), {
          description: 'Taints that are put up with.',
          maxItems: 100,
        }),
        gpu: { description: 'GPUs of each replica.' },
        volumes: list(anyObject({ description: 'A volume.' }), {
          description: 'Volumes of each replica.',
          maxItems: 100,
        }),
      },
      [],
      { description: 'For Kubernetes only, passed on as it is.', default: {} },
    ),
  },
  [],
  { title: 'EnvironmentBody', description: 'An environment configuration.' },
);
