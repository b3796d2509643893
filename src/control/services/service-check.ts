import type { Driver } from '../../contracts/driver.ts';
import type { Environment, Problem, ServiceSpec } from '../../contracts/service.ts';
import { InvalidRequest, Refusal } from '../../errors.ts';
import { quote } from '../../text/quote.ts';
import { credentialsProblem } from '../git/credentials.ts';
import { readSpec, type SpecSketch } from './read-spec.ts';
import { variableProblems } from './variables.ts';

/**
 * What a body is: all of a new service, changes to `base` that make another service or the service `id` of it, or all
 * of what the service `id` shall be.
 */
export type Purpose =
  | { readonly kind: 'new' }
  | { readonly kind: 'clone'; readonly base: ServiceSpec }
  | { readonly kind: 'update'; readonly base: ServiceSpec; readonly id: string }
  | { readonly kind: 'replace'; readonly id: string };

/** What the rest of the world has that a service may refer to or collide with. */
export interface Surroundings {
  environment(name: string): Environment | null;
  /** null = there is no such secret. */
  secretKeys(name: string): readonly string[] | null;
  secretValues(name: string): Readonly<Record<string, string>> | null;
  /** Who has this name or endpoint, in words; `except`: id of a service that does not count. null = it is free. */
  holder(field: 'name' | 'endpoint', value: string, except: string | null): string | null;
  /** Name of a current service whose replica always has this port. */
  fixedPortHolder(port: number, except: string | null): string | null;
  readonly driver: Pick<Driver, 'check'>;
}

interface Checked {
  readonly spec: ServiceSpec | null;
  readonly problems: readonly Problem[];
  /** Names, endpoints and fixed ports that are taken: a conflict with others, not a fault of the body. */
  readonly conflicts: readonly Problem[];
}

/** Everything that can be known to be wrong with a service before it is started. */
export class ServiceCheck {
  readonly #around: Surroundings;

  constructor(around: Surroundings) {
    this.#around = around;
  }

  /** Throws `InvalidRequest` with every wrong field, or `conflict` where nothing else is wrong. */
  async service(body: unknown, purpose: Purpose): Promise<ServiceSpec> {
    const { spec, problems, conflicts } = await this.#check(body, purpose);
    if (problems.length > 0 || spec === null) throw new InvalidRequest([...problems, ...conflicts]);
    if (conflicts.length > 0) {
      throw new Refusal('conflict', conflicts.map(({ field, message }) => `${field}: ${message}`).join('; '));
    }
    return spec;
  }

  /** What a body says in itself, whatever surrounds it. Throws `InvalidRequest`. */
  spec(body: unknown): ServiceSpec {
    const { spec, problems } = readSpec(body, { base: null, clone: false, taken: () => false });
    if (spec === null) throw new InvalidRequest(problems);
    return spec;
  }

  async problems(body: unknown, purpose: Purpose): Promise<readonly Problem[]> {
    const { problems, conflicts } = await this.#check(body, purpose);
    return [...problems, ...conflicts];
  }

  async #check(body: unknown, purpose: Purpose): Promise<Checked> {
    const except = 'id' in purpose ? purpose.id : null;
    const { spec, sketch, problems } = readSpec(body, {
      base: 'base' in purpose ? purpose.base : null,
      clone: purpose.kind === 'clone',
      taken: (name) => this.#around.holder('name', name, except) !== null,
    });
    const conflicts = this.#conflicts(sketch, except);
    const references = this.#references(sketch);
    // The driver says it of credentials too.
    const known = new Set(references.map(({ field }) => field));
    const ofSource = (await this.#source(sketch, except)).filter(({ field }) => !known.has(field));
    return { spec, problems: [...problems, ...references, ...ofSource], conflicts };
  }

  #conflicts({ fixedPort, port, ...sketch }: SpecSketch, except: string | null): Problem[] {
    const taken = (['name', 'endpoint'] as const).flatMap((field) => {
      const value = sketch[field];
      const holder = value === undefined ? null : this.#around.holder(field, value, except);
      return holder === null ? [] : [{ field, message: `${quote(value!)} is taken by ${holder}` }];
    });
    if (fixedPort !== true || port === undefined) return taken;
    const holder = this.#around.fixedPortHolder(port, except);
    if (holder === null) return taken;
    const message = `${port} is the fixed port of the service ${holder}, and can be that of one only`;
    return [...taken, { field: 'port', message }];
  }

  /** What is referred to exists, and what comes of it fits together. */
  #references(sketch: SpecSketch): Problem[] {
    const problems: Problem[] = [];
    const environment = this.#environment(sketch);
    if (environment === null && sketch.environment !== undefined) {
      const message = `there is no environment ${quote(sketch.environment)}; GET /api/v1/environments lists them`;
      problems.push({ field: 'environment', message });
    }
    const secrets = (sketch.secrets ?? []).map((name, i) => {
      const keys = this.#around.secretKeys(name);
      if (keys === null) problems.push({ field: `secrets[${i}]`, message: noSecret(name) });
      return { name, keys: keys ?? [] };
    });
    if (environment !== null) {
      problems.push(...variableProblems({ parameters: sketch.parameters ?? {}, secrets, environment }));
    }
    const { repository, credentials = null } = sketch.git ?? {};
    if (credentials !== null && repository !== undefined) {
      const keys = this.#around.secretKeys(credentials);
      const message = keys === null ? noSecret(credentials) : credentialsProblem(repository, keys);
      if (message !== null) problems.push({ field: 'git.credentials', message });
    }
    return problems;
  }

  /** What the repository has to say; nothing where it cannot even be asked. */
  async #source(sketch: SpecSketch, service: string | null): Promise<readonly Problem[]> {
    const { git, type, path, port, fixedPort } = sketch;
    if (git === undefined || type === undefined) return [];
    const credentials = git.credentials === null ? null : this.#around.secretValues(git.credentials);
    if (git.credentials !== null && credentials === null) return [];
    const environment = this.#environment(sketch) ?? this.#around.environment('default')!;
    return this.#around.driver.check({
      git,
      credentials,
      type,
      path: path ?? null,
      port: port ?? null,
      fixedPort: fixedPort ?? false,
      service,
      environment,
    });
  }

  #environment({ environment }: SpecSketch): Environment | null {
    return environment === undefined ? null : this.#around.environment(environment);
  }
}

function noSecret(name: string): string {
  return `there is no secret ${quote(name)}; make it with PUT /api/v1/secrets/${name}`;
}
