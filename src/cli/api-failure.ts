import { Failure } from './failure.ts';
import { networkFailure } from './network-failure.ts';
import { inOneLine, printable } from './screen.ts';

/** The admin API refused a call. */
export class ApiFailure extends Failure {
  readonly status: number;
  /** Of the error table; null = what answered is not the admin API. */
  readonly code: string | null;
  /** The wrong fields; the lines tell of them with the options that set them. */
  readonly fields: readonly FieldProblem[];

  constructor(
    status: number,
    code: string | null,
    lines: readonly [string, ...string[]],
    fields: readonly FieldProblem[] = [],
  ) {
    super(...lines);
    this.status = status;
    this.code = code;
    this.fields = fields;
  }
}

/** What an answer other than a good one means to the user. */
export function answerFailure(answer: {
  readonly method: string;
  readonly path: string;
  readonly url: string;
  readonly status: number;
  readonly body: string;
}): ApiFailure {
  const { method, path, url, status, body } = answer;
  const problem = problemOf(body);
  if (problem === null) {
    return new ApiFailure(status, null, [
      `${url} answered ${method} /api/v1${path} with ${status}, and not as the admin API does: check --admin-url`,
    ]);
  }
  const { code, detail, errors } = problem;
  if (status === 401) {
    return new ApiFailure(status, code, [
      `the token was refused: ${detail}`,
      'Get a new one: export REALMGATE_TOKEN="$(realmgate token --user NAME)", or give --user NAME',
    ]);
  }
  if (status === 403) {
    return new ApiFailure(status, code, [
      `the token may not do this: ${detail}`,
      'Viewers read; developers also manage services and write secrets; admins also write environments.',
    ]);
  }
  if (errors.length > 0) {
    const first = errors.length === 1 ? 'one field is wrong:' : `${errors.length} fields are wrong:`;
    return new ApiFailure(status, code, [first, ...errors.map(problemLine)], errors);
  }
  const [first = '', ...more] = printable(detail).split('\n');
  const trace = status >= 500 && problem.requestId !== null ? [`Request id: ${problem.requestId}`] : [];
  return new ApiFailure(status, code, [first, ...more, ...trace]);
}

/** No answer came. */
export function connectionFailure(error: unknown, url: string): Failure {
  const why = networkFailure(error, '--admin-url');
  return new Failure(
    `cannot reach the admin API at ${url}: ${why ?? 'the connection broke off, or it does not speak HTTP'}`,
  );
}

/** A wrong field, and the option that sets it where there is one. */
export function problemLine({ field, message }: FieldProblem): string {
  const option = optionOf(field);
  return fieldLine({ field: option === null ? field : `${field} (${option})`, message });
}

/** A wrong field of something that was not given by options. */
export function fieldLine({ field, message }: FieldProblem): string {
  return inOneLine(`  ${field}: ${message}`);
}

export interface FieldProblem {
  readonly field: string;
  readonly message: string;
}

const OPTIONS: Readonly<Record<string, string>> = {
  name: '--name',
  endpoint: '--endpoint',
  environment: '--environment',
  type: '--type',
  path: '--path',
  port: '--port',
  minReplicas: '--min-replicas',
  maxReplicas: '--max-replicas',
  git: '--git',
  'git.repository': '--git',
  'git.branch': '--branch',
  'git.commit': '--commit',
  'git.credentials': '--credentials',
  parameters: '--param',
  secrets: '--secret',
  fixedPort: '--fixed-port',
  stripPrefix: '--strip-prefix',
  public: '--public',
  health: '--health',
  'access.roles': '--role',
  'access.scopes': '--scope',
  'access.clients': '--client',
  variables: '--var',
  interpreters: '--interpreter',
  'resources.cpu': '--cpu',
  'resources.memory': '--memory',
  image: '--image',
  revision: 'REVISION',
  tail: '--tail',
  replica: '--replica',
  status: '--status',
};

/** `parameters.model-name` and `secrets[0]` are set by the option of what they are in. */
function optionOf(field: string): string | null {
  for (let at = field; at !== ''; at = at.replace(/(?:^|[.[/])[^.[/]*$/, '')) {
    if (Object.hasOwn(OPTIONS, at)) return OPTIONS[at]!;
  }
  return null;
}

interface ProblemDetails {
  readonly code: string;
  readonly detail: string;
  readonly requestId: string | null;
  readonly errors: readonly FieldProblem[];
}

/** RFC 9457, with what this API adds; null when the body is something else. */
function problemOf(body: string): ProblemDetails | null {
  try {
    const { code, detail, title, requestId, errors } = JSON.parse(body) as Record<string, unknown>;
    if (typeof code !== 'string' || typeof title !== 'string') return null;
    return {
      code,
      detail: typeof detail === 'string' && detail !== '' ? detail : title,
      requestId: typeof requestId === 'string' ? inOneLine(requestId) : null,
      errors: Array.isArray(errors) ? (errors as FieldProblem[]) : [],
    };
  } catch {
    return null;
  }
}
