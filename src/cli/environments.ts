import type { Environment } from '../contracts/service.ts';
import { ApiFailure } from './api-failure.ts';
import type { Api } from './api.ts';
import { apiCommand, group, JSON_FLAG } from './command.ts';
import { type Flags, pairs, type Values } from './flags.ts';
import { isObject, readObject } from './read-document.ts';
import { inOneLine } from './screen.ts';
import { jsonText } from './services/describe.ts';
import { type Column, fieldList, table } from './table.ts';
import { UsageError } from './verb.ts';

const COLUMNS: readonly Column<Environment>[] = [
  { title: 'NAME', text: ({ name }) => name },
  { title: 'CPU', text: ({ resources }) => resources.cpu ?? '' },
  { title: 'MEMORY', text: ({ resources }) => resources.memory ?? '' },
  { title: 'VARIABLES', text: ({ variables }) => Object.keys(variables).join(', '), cut: true },
  { title: 'INTERPRETERS', text: ({ interpreters }) => interpreterText(interpreters), cut: true },
  { title: 'IMAGE', text: ({ image }) => image ?? '', cut: true },
];

function interpreterText(interpreters: Environment['interpreters']): string {
  return Object.entries(interpreters)
    .flatMap(([name, path]) => (path === null ? [] : [`${name}=${path}`]))
    .join(', ');
}

const list = apiCommand({
  name: 'environments list',
  summary: 'the environment configurations',
  operands: [],
  about: 'Lists the environments: variables, interpreters and limits that several services share.',
  flags: JSON_FLAG,
  examples: ['realmgate environments list'],
  async run({ values, screen, connect }) {
    const answer = await (await connect()).environments();
    screen.out(values.json === true ? jsonText(answer) : table(COLUMNS, answer.items, screen.width));
    return 0;
  },
});

const show = apiCommand({
  name: 'environments show',
  summary: 'one environment with its variables',
  operands: ['NAME'],
  about: 'Shows an environment. As JSON it is what environments set -f takes back.',
  flags: JSON_FLAG,
  examples: ['realmgate environments show default', 'realmgate environments show gpu --json > gpu.json'],
  async run({ values, operands: [name = ''], screen, connect }) {
    const environment = await (await connect()).environment(name);
    screen.out(values.json === true ? jsonText(environment) : description(environment));
    return 0;
  },
});

const SET_FLAGS = {
  file: { short: 'f', value: 'FILE', help: 'the whole environment as YAML or JSON; - is standard input' },
  var: { value: 'KEY=VALUE', multiple: true, help: 'variable; repeatable' },
  'unset-var': { value: 'KEY', multiple: true, help: 'remove a variable; repeatable' },
  interpreter: {
    value: 'NAME=PATH',
    multiple: true,
    help: 'of bash, python or node; an empty path: the one of PATH',
  },
  cpu: { value: 'CORES', negatable: true, help: 'of each replica, such as 2, 0.5 or 500m' },
  memory: { value: 'AMOUNT', negatable: true, help: 'of each replica, such as 512Mi or 1Gi' },
  image: { value: 'IMAGE', negatable: true, help: 'container image; Kubernetes only' },
  ...JSON_FLAG,
} as const satisfies Flags;

const set = apiCommand({
  name: 'environments set',
  summary: 'create or change an environment',
  operands: ['NAME'],
  about: `Changes an environment, or creates it where there is none. With -f it becomes what the file says, with the flags
over it; without, only what is given changes. Services get the change when they start the next time.`,
  flags: SET_FLAGS,
  examples: [
    'realmgate environments set default --var LOG_LEVEL=info --memory 512Mi',
    'realmgate environments set py314 --interpreter python=/opt/python3.14/bin/python3',
    'realmgate environments set default --unset-var LOG_LEVEL --no-cpu',
    'realmgate environments set gpu -f gpu.yaml',
  ],
  async run({ values, operands: [name = ''], screen, connect }) {
    const change = changeOf(values);
    if (values.file === undefined && change === null) throw new UsageError('nothing to set is given');
    const stated = values.file === undefined ? null : await readObject(values.file);
    const api = await connect();
    const under = stated ?? (await currentBody(api, name));
    const environment = await api.putEnvironment(name, bodyOf(under, change ?? NO_CHANGE, name));
    screen.out(values.json === true ? jsonText(environment) : `${environment.name} is set\n`);
    return 0;
  },
});

const remove = apiCommand({
  name: 'environments delete',
  summary: 'delete an environment that no current service uses',
  operands: ['NAME'],
  about: 'Deletes an environment. The one named default, and those that current services use, are kept.',
  flags: {},
  examples: ['realmgate environments delete gpu'],
  async run({ operands: [name = ''], screen, connect }) {
    await (await connect()).deleteEnvironment(name);
    screen.out(`${name} is deleted\n`);
    return 0;
  },
});

export const environments = group('environments', 'variables, interpreters and limits that services share', {
  list,
  show,
  set,
  delete: remove,
});

type Fields = Readonly<Record<string, unknown>>;

interface Change {
  readonly variables: Readonly<Record<string, string>>;
  readonly unset: readonly string[];
  readonly interpreters: Readonly<Record<string, string | null>>;
  readonly resources: Fields;
  readonly rest: Fields;
}

const NO_CHANGE: Change = { variables: {}, unset: [], interpreters: {}, resources: {}, rest: {} };

/** What the flags say; null = nothing. */
function changeOf(values: Values<typeof SET_FLAGS>): Change | null {
  const { cpu, memory, image } = values;
  const interpreters = pairs('interpreter', values.interpreter ?? []);
  const change: Change = {
    variables: pairs('var', values.var ?? []),
    unset: values['unset-var'] ?? [],
    interpreters: Object.fromEntries(
      Object.entries(interpreters).map(([name, path]) => [name, path === '' ? null : path]),
    ),
    resources: { ...(cpu === undefined ? {} : { cpu }), ...(memory === undefined ? {} : { memory }) },
    rest: image === undefined ? {} : { image },
  };
  const both = change.unset.find((key) => Object.hasOwn(change.variables, key));
  if (both !== undefined) throw new UsageError(`the variable ${both} is both set and unset`);
  return Object.values(change).every((part: object) => Object.keys(part).length === 0) ? null : change;
}

/** The environment as a body of its own; without a name, which stands in the path. */
async function currentBody(api: Api, name: string): Promise<Fields> {
  try {
    return { ...(await api.environment(name)) };
  } catch (error) {
    if (error instanceof ApiFailure && error.code === 'not_found') return {};
    throw error;
  }
}

function bodyOf(
  under: Fields,
  { variables, unset, interpreters, resources, rest }: Change,
  name: string,
): Fields {
  const { name: said = name, ...fields } = under;
  if (said !== name) throw new UsageError(`the file is of the environment ${String(said)}, not of ${name}`);
  return {
    ...fields,
    ...rest,
    variables: over(fields['variables'], variables, unset),
    interpreters: over(fields['interpreters'], interpreters),
    resources: over(fields['resources'], resources),
  };
}

/** What is no object is left for the API to refuse. */
function over(under: unknown, changes: Fields, removed: readonly string[] = []): unknown {
  if (under !== undefined && !isObject(under)) return under;
  const kept = Object.entries(under ?? {}).filter(([key]) => !removed.includes(key));
  return { ...Object.fromEntries(kept), ...changes };
}

function description({ name, variables, interpreters, resources, image, kubernetes }: Environment): string {
  const fields: (readonly [string, string])[] = [
    ['Name', name],
    ['CPU', resources.cpu ?? 'unlimited'],
    ['Memory', resources.memory ?? 'unlimited'],
    ['Interpreters', interpreterText(interpreters) || 'those of PATH'],
    ['Image', image ?? 'none'],
    ...(Object.keys(kubernetes).length === 0 ? [] : [['Kubernetes', JSON.stringify(kubernetes)] as const]),
    ...Object.entries(variables).map(([key, value]) => [`Variable ${key}`, value] as const),
  ];
  return fieldList(fields.map(([title, value]) => [title, inOneLine(value)] as const));
}
