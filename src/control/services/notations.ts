import { HEALTH_PATH, LINE, ROLE, SCOPE, endpointFault } from '../../text/notations.ts';
import { cpuFault, memoryFault } from './quantities.ts';

/** A way to write something as text. A schema carries its `pattern`, which is how messages find the rest. */
export interface Notation {
  /** ECMA-262 source for the flag `u`, with its anchors. */
  readonly pattern: string;
  readonly expression: RegExp;
  /** Characters, where a schema has no limit of its own. */
  readonly longest: number;
  /** With its article: `an endpoint`. */
  readonly noun: string;
  readonly expected: string;
  /** Why a text, of whatever form, is wrong; null = nothing that the pattern does not say. */
  readonly fault: (text: string) => string | null;
}

const byPattern = new Map<string, Notation>();

export function notationOf(pattern: string): Notation {
  const notation = byPattern.get(pattern);
  if (notation === undefined) throw new Error(`There is no notation for the pattern ${pattern}`);
  return notation;
}

function notation(
  core: string,
  longest: number,
  noun: string,
  expected: string,
  fault: Notation['fault'] = () => null,
): Notation {
  const pattern = `^(?:${core})$`;
  const made = { pattern, expression: new RegExp(pattern, 'u'), longest, noun, expected, fault };
  if (byPattern.has(made.pattern)) throw new Error(`Two notations share the pattern ${core}`);
  byPattern.set(made.pattern, made);
  return made;
}

/** What `endpointFault` says, as a pattern, and without semicolons: some servers cut them off with what follows. */
const SERVICE_ENDPOINT = "/(?!auth(?:/|$))(?:(?!\\.{1,2}(?:/|$))[A-Za-z0-9._~!$&'()*+,=:@\\-]+(?:/(?!$)|$))*";

const LABEL = '[a-z0-9](?:[a-z0-9\\-]*[a-z0-9])?';

export const NOTATIONS = {
  serviceName: notation(
    LABEL,
    63,
    'the name of a service',
    'a DNS label, lower-case letters, digits and - inside, such as brave-otter',
  ),
  environmentName: notation(
    '[a-z0-9](?:[a-z0-9.\\-]*[a-z0-9])?',
    63,
    'the name of an environment',
    'lower-case letters, digits, - and . inside, such as python-3.14',
  ),
  secretName: notation(
    `${LABEL}(?:\\.${LABEL})*`,
    253,
    'the name of a secret',
    'lower-case letters, digits, - and . inside, such as openai',
  ),
  secretKey: notation(
    '(?!\\.{1,2}$)[-._a-zA-Z0-9]+',
    253,
    'the key of a secret',
    'letters, digits, -, _ and ., such as api-key',
    (text) => (text === '.' || text === '..' ? 'it names a directory' : null),
  ),
  /** Values of secrets, parameters and variables: what a process can be given. */
  value: notation('[^\\u0000]*', 65_536, 'text without NUL', 'text without NUL'),
  parameterName: notation(
    '[A-Za-z][A-Za-z0-9._\\-]*',
    128,
    'the name of a parameter',
    'a letter, then letters, digits, ., _ and -, such as model-name',
  ),
  variableName: notation(
    '[A-Za-z_][A-Za-z0-9_]*',
    250,
    'the name of a variable',
    'letters, digits and _, not a digit first, such as LOG_LEVEL',
  ),
  endpoint: notation(SERVICE_ENDPOINT, 200, 'an endpoint', 'a canonical path such as /hello', (text) =>
    text.includes(';') ? 'it has a semicolon' : endpointFault(text),
  ),
  path: notation(
    '(?![/\\-])(?!(?:.*/)?\\.\\.(?:/|$))[^\\u0000-\\u001f\\u007f]*[^\\u0000-\\u001f\\u007f/]',
    1024,
    'a path in the repository',
    'one relative to its root, such as run.sh',
    pathFault,
  ),
  /** Where `sourceProblems` knows better what is right. */
  gitText: notation('[^\\u0000-\\u001f\\u007f]+|', 2048, 'text', 'text on one line'),
  role: notation(ROLE, 512, 'a role', 'realm:ROLE or client:CLIENT/ROLE, such as realm:admin'),
  scope: notation(SCOPE, 256, 'a scope', 'printable ASCII without spaces and quotes, such as read'),
  healthPath: notation(HEALTH_PATH, 1024, 'a path to ask for', 'one such as /healthz'),
  line: notation(LINE, 512, 'a name', 'text on one line'),
  interpreter: notation(
    '/[^\\u0000-\\u001f\\u007f]+|[A-Za-z0-9_][A-Za-z0-9._+\\-]*',
    512,
    'an interpreter',
    'a command or an absolute path, such as python3.14 or /opt/venv/bin/python',
  ),
  image: notation(
    '[A-Za-z0-9][A-Za-z0-9._:/@\\-]*',
    512,
    'an image',
    'a reference such as registry.example.com/team/python:3.14',
  ),
  cpu: notation('[0-9]+(?:\\.[0-9]+)?m?', 32, 'an amount of cores', 'one such as 2, 0.5 or 500m', cpuFault),
  memory: notation(
    '[0-9]+(?:\\.[0-9]+)?(?:[kMGTP]|[KMGTP]i)?',
    32,
    'an amount of memory',
    'one such as 512Mi or 1Gi',
    memoryFault,
  ),
} as const;

function pathFault(path: string): string | null {
  if (path.startsWith('/')) return 'it is absolute';
  if (path.startsWith('-')) return 'it begins with -';
  if (path.split('/').includes('..')) return 'it has a .. segment';
  return path.endsWith('/') ? 'it names a directory' : null;
}
