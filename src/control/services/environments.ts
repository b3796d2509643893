import type { Environment, ServiceSpec } from '../../contracts/service.ts';
import { InvalidRequest, Refusal } from '../../errors.ts';
import type { EnvironmentTable } from '../store/environment-table.ts';
import { NOTATIONS } from './notations.ts';
import { readBody, textProblem } from './read-body.ts';
import { text } from './schema.ts';
import { ENVIRONMENT_BODY } from './spec-schema.ts';
import { environmentVariableProblems, parameterCollisions } from './variables.ts';

const NAME = text(NOTATIONS.environmentName, { description: 'Name of the environment.' });

/** Where services run when they do not say. It always exists, written or not. */
const DEFAULT = 'default';

export const EMPTY_ENVIRONMENT: Omit<Environment, 'name'> = {
  variables: {},
  interpreters: { bash: null, python: null, node: null },
  resources: { cpu: null, memory: null },
  image: null,
  kubernetes: {},
};

export interface EnvironmentsOptions {
  readonly table: EnvironmentTable;
  /** The current services that run in this environment, as they are and as they are about to be. */
  readonly services: (name: string) => readonly Pick<ServiceSpec, 'name' | 'parameters'>[];
}

/** Environment configurations. Services in one that changes get the change from their next start on. */
export class Environments {
  readonly #table: EnvironmentTable;
  readonly #services: EnvironmentsOptions['services'];

  constructor({ table, services }: EnvironmentsOptions) {
    this.#table = table;
    this.#services = services;
  }

  /** In the order of their names. */
  list(): Environment[] {
    const written = this.#table.list();
    if (written.some(({ name }) => name === DEFAULT)) return written;
    return [...written, { name: DEFAULT, ...EMPTY_ENVIRONMENT }].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** null = there is no such environment. */
  find(name: string): Environment | null {
    return this.#table.get(name) ?? (name === DEFAULT ? { name, ...EMPTY_ENVIRONMENT } : null);
  }

  get(name: string): Environment {
    const environment = this.find(name);
    if (environment === null) throw new Refusal('not_found', 'There is no such environment');
    return environment;
  }

  /**
   * Replaces the whole environment: what the body leaves out is empty. Refuses a variable that a parameter of a service
   * in it becomes as well: one of the two would be lost at the next start.
   */
  put(name: string, body: unknown, actor: string): Environment {
    const wrongName = textProblem(name, NAME, 'name');
    const { value, problems } = readBody(body, ENVIRONMENT_BODY);
    const wrong = wrongName === null ? [...problems] : [wrongName, ...problems];
    if (wrong.length > 0) throw new InvalidRequest(wrong);
    const environment: Environment = { name, ...(value as Omit<Environment, 'name'>) };
    wrong.push(
      ...environmentVariableProblems(environment.variables),
      ...parameterCollisions(environment.variables, this.#services(name)),
    );
    if (wrong.length > 0) throw new InvalidRequest(wrong);
    this.#table.put(environment, { actor });
    return environment;
  }

  delete(name: string, actor: string): void {
    this.get(name);
    if (name === DEFAULT) {
      throw new Refusal(
        'conflict',
        'The environment default always exists; put an empty one in its place instead',
      );
    }
    const users = new Set(this.#services(name).map((service) => service.name));
    if (users.size > 0) {
      throw new Refusal(
        'conflict',
        `The environment ${name} is used by ${[...users].join(', ')}; cancel or update first`,
      );
    }
    this.#table.delete(name, { actor });
  }
}
