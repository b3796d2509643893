import { type Flags, pairs, type Values, wholeNumber } from '../flags.ts';
import { isObject, readObject } from '../read-document.ts';
import { UsageError } from '../verb.ts';

/** One flag for each field of a service, and a file for all of them. */
export const SERVICE_FLAGS = {
  file: { short: 'f', value: 'FILE', help: 'take fields from a YAML or JSON file; - is standard input' },
  name: { value: 'NAME', help: 'a DNS label; made up when it is not given' },
  endpoint: { value: 'PATH', help: 'where clients call it, such as /hello' },
  git: { value: 'URL', help: 'repository: https://, ssh://, user@host:path or file:///' },
  branch: { value: 'NAME', negatable: true, help: 'default: the repository’s own' },
  commit: { value: 'ID', negatable: true, help: 'full or short; default: the head of the branch' },
  credentials: { value: 'SECRET', negatable: true, help: 'secret that opens the repository' },
  path: { value: 'FILE', help: 'script or pipeline in the repository, such as run.sh' },
  type: { value: 'shell|pipeline', help: 'one script, or the tasks of a YAML file (default shell)' },
  port: { value: 'PORT', help: 'that the program listens on (default 8787)' },
  'min-replicas': { value: 'N', help: '0 = started by the first request (default 1)' },
  'max-replicas': { value: 'N', help: 'under load (default 1)' },
  param: { value: 'KEY=VALUE', multiple: true, help: 'parameter of the program; repeatable' },
  secret: { value: 'NAME', multiple: true, negatable: true, help: 'secret that it gets; repeatable' },
  environment: { value: 'NAME', help: 'environment configuration (default: default)' },
  'fixed-port': { negatable: true, help: 'one replica, always on the configured port' },
  'strip-prefix': { negatable: true, help: 'the program sees paths without the endpoint (the default)' },
  role: {
    value: 'ROLE',
    multiple: true,
    negatable: true,
    help: 'callers need one of these: realm:ROLE, client:CLIENT/ROLE',
  },
  scope: { value: 'SCOPE', multiple: true, negatable: true, help: 'callers need one of these' },
  client: { value: 'ID', multiple: true, negatable: true, help: 'callers need to be one of these' },
  public: { negatable: true, help: 'callers need no token' },
  health: {
    value: 'PATH',
    negatable: true,
    help: 'ready when this answers 200 to 399; else, when the port accepts',
  },
} as const satisfies Flags;

/** For the changes of a service that there is. */
export const CHANGE_FLAGS = {
  ...SERVICE_FLAGS,
  'unset-param': { value: 'KEY', multiple: true, help: 'remove a parameter; repeatable' },
} as const satisfies Flags;

type Fields = Record<string, unknown>;

/**
 * What the file says, and over it what the flags say: the body of a create, and as a merge patch (RFC 7396) that of
 * an update or a clone. The flags of one list replace the whole list; `--param` adds to the others.
 */
export async function fieldsOf(values: Values<typeof CHANGE_FLAGS>): Promise<Fields> {
  const fields: Fields = values.file === undefined ? {} : await readObject(values.file);
  return overlay(fields, flagFields(values));
}

function flagFields(values: Values<typeof CHANGE_FLAGS>): Fields {
  const { health } = values;
  return present({
    name: values.name,
    endpoint: values.endpoint,
    environment: values.environment,
    type: values.type,
    path: values.path,
    port: number('port', values.port),
    minReplicas: number('min-replicas', values['min-replicas']),
    maxReplicas: number('max-replicas', values['max-replicas']),
    git: group({
      repository: values.git,
      branch: values.branch,
      commit: values.commit,
      credentials: values.credentials,
    }),
    parameters: group(parameters(values)),
    secrets: values.secret,
    fixedPort: values['fixed-port'],
    stripPrefix: values['strip-prefix'],
    access: group({ roles: values.role, scopes: values.scope, clients: values.client }),
    public: values.public,
    health: typeof health === 'string' ? { path: health } : health,
  });
}

function parameters(values: Values<typeof CHANGE_FLAGS>): Fields {
  const set = pairs('param', values.param ?? []);
  const unset = values['unset-param'] ?? [];
  const both = unset.find((key) => Object.hasOwn(set, key));
  if (both !== undefined) throw new UsageError(`the parameter ${both} is both set and unset`);
  return Object.fromEntries([...Object.entries(set), ...unset.map((key) => [key, null] as const)]);
}

function number(name: string, text: string | undefined): number | undefined {
  return text === undefined ? undefined : wholeNumber(name, text);
}

/** Without what was not given. */
function present(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function group(fields: Fields): Fields | undefined {
  const given = present(fields);
  return Object.keys(given).length === 0 ? undefined : given;
}

function overlay(under: Fields, over: Fields): Fields {
  const merged = new Map(Object.entries(under));
  for (const [key, value] of Object.entries(over)) {
    const before = merged.get(key);
    merged.set(key, isObject(before) && isObject(value) ? overlay(before, value) : value);
  }
  return Object.fromEntries(merged);
}
