import { posix } from 'node:path';
import type { Environment, Problem, ServiceSpec } from '../../contracts/service.ts';
import { quote } from '../../text/quote.ts';

type Texts = Readonly<Record<string, string>>;

const PARAMETER_PREFIX = 'HYPERPLANE_JOB_PARAMETER_';
const SECRET_PREFIX = 'HYPERPLANE_CUSTOM_SECRET_KEY_';

/** Linux, MAX_ARG_STRLEN: bytes of one `NAME=value` with the NUL behind it. */
const LARGEST_VARIABLE = 128 * 1024;
/** All parameters together. Linux has 2 MiB for the variables and arguments of a program, also of those that it starts. */
const LARGEST_TOTAL = 512 * 1024;

/** Who sets a variable that is not the user's to set. */
const TAKEN = new Map([
  ...taken('the platform', 'PORT SERVICE_NAME SERVICE_ENDPOINT'),
  ...taken('the system', 'PATH HOME USER LOGNAME SHELL HOSTNAME PWD OLDPWD TMPDIR'),
  // Given to a shell, some of these change how it works and the others are overwritten.
  ...taken(
    'the shell',
    '_ BASH BASHOPTS BASHPID BASH_ENV COMP_WORDBREAKS DIRSTACK EPOCHREALTIME EPOCHSECONDS',
  ),
  ...taken('the shell', 'EUID FUNCNAME GROUPS HISTCMD IFS LINENO OPTARG OPTERR OPTIND PIPESTATUS'),
  ...taken('the shell', 'POSIXLY_CORRECT PPID PS4 RANDOM SECONDS SHELLOPTS SHLVL SRANDOM UID'),
]);

/** Set by the system as well, but an environment may have its own. */
const LANGUAGE = /^(?:LANG|LANGUAGE|LC_[A-Z]+)$/;

export interface VariableSources {
  readonly parameters: Texts;
  readonly secrets: readonly { readonly name: string; readonly keys: readonly string[] }[];
  readonly environment: Environment;
}

/** `model-name` → `MODEL_NAME`: upper case, `_` for every character but A–Z, 0–9 and `_`. */
function variableName(name: string): string {
  return name.replace(/[a-z]+/g, (letters) => letters.toUpperCase()).replace(/[^A-Z0-9_]/gu, '_');
}

/** The longer name of a parameter's variable, `HYPERPLANE_JOB_PARAMETER_MODEL_NAME`. */
export function parameterVariable(parameter: string): string {
  return PARAMETER_PREFIX + variableName(parameter);
}

function secretVariable(key: string): string {
  return SECRET_PREFIX + variableName(key);
}

/**
 * What is wrong with the variables that a service would get: names and values that no variable can have, and names
 * that collide after conversion, with each other or with what the environment, the platform or the system sets. Each
 * collision names both sides. Fields are `parameters.NAME` and `secrets[N]`.
 */
export function variableProblems({ parameters, secrets, environment }: VariableSources): Problem[] {
  return [
    ...parameterProblems(parameters, environment),
    ...totalProblems('parameters', parameters),
    ...secretProblems(secrets),
  ];
}

/** What is wrong with the variables of an environment. Fields are `variables.NAME`. */
export function environmentVariableProblems(variables: Texts): Problem[] {
  const problems = Object.entries(variables).flatMap(([name, value]) => {
    const field = `variables.${name}`;
    const fault = variableFault(name) ?? valueFault(name, value);
    return fault === null ? [] : [{ field, message: fault }];
  });
  return [...problems, ...totalProblems('variables', variables)];
}

/** The variables of an environment that parameters of services in it become as well. Fields are `variables.NAME`. */
export function parameterCollisions(
  variables: Texts,
  services: readonly Pick<ServiceSpec, 'name' | 'parameters'>[],
): Problem[] {
  const owners = new Map<string, Set<string>>(Object.keys(variables).map((name) => [name, new Set()]));
  for (const { name, parameters } of services) {
    for (const parameter of Object.keys(parameters)) {
      owners.get(variableName(parameter))?.add(`${quote(parameter)} of the service ${name}`);
    }
  }
  return [...owners].flatMap(([variable, words]) => {
    if (words.size === 0) return [];
    const message = `${variable} is what the parameter ${[...words].join(' and ')} becomes; choose another name`;
    return [{ field: `variables.${variable}`, message }];
  });
}

/**
 * The keys of a secret that keys of other secrets of a service become the variables of as well. Fields are `data.KEY`.
 */
export function secretCollisions(
  keys: readonly string[],
  services: readonly { readonly name: string; readonly others: VariableSources['secrets'] }[],
): Problem[] {
  const owners = new Map<string, Set<string>>(keys.map((key) => [secretVariable(key), new Set()]));
  for (const { name, others } of services) {
    for (const other of others) {
      for (const key of other.keys) {
        const words = `the key ${quote(key)} of the secret ${quote(other.name)}, which the service ${name} gets too`;
        owners.get(secretVariable(key))?.add(words);
      }
    }
  }
  return keys.flatMap((key) => {
    const variable = secretVariable(key);
    const words = [...owners.get(variable)!];
    if (words.length === 0) return [];
    const message = `becomes the variable ${variable}, as does ${words.join(', and ')}; choose another name`;
    return [{ field: `data.${key}`, message }];
  });
}

/**
 * The whole environment of a service's processes. What comes later wins: `base`, the environment's own variables, the
 * parameters, the secrets, the platform. The directories of a Python and a Node with an absolute path stand first in
 * PATH, so that a script's `python` is the environment's. A secret's value that no variable can hold is in its file alone.
 */
export function serviceVariables(service: {
  /** Of the system: PATH, HOME and the like. */
  readonly base: Texts;
  readonly spec: Pick<ServiceSpec, 'name' | 'endpoint' | 'parameters'>;
  readonly environment: Environment;
  /** Secret → key → value. */
  readonly secrets: Readonly<Record<string, Texts>>;
  /** Which the service has to listen on. */
  readonly port: number;
  /** Where its secret files are; null = it has none. */
  readonly secretsDirectory: string | null;
}): Record<string, string> {
  const { base, spec, environment, secrets, port, secretsDirectory } = service;
  return {
    // Otherwise what a Python program prints is seen only when 8 KiB of it have come together.
    PYTHONUNBUFFERED: '1',
    ...base,
    PATH: searchPath(environment.interpreters, base['PATH'] ?? ''),
    ...environment.variables,
    ...Object.fromEntries(Object.entries(spec.parameters).flatMap(parameterVariables)),
    ...Object.fromEntries(Object.values(secrets).flatMap(secretVariables)),
    PORT: String(port),
    SERVICE_NAME: spec.name,
    SERVICE_ENDPOINT: spec.endpoint,
    ...(secretsDirectory === null ? {} : { HYPERPLANE_SECRETS_DIR: secretsDirectory }),
  };
}

function parameterVariables([name, value]: readonly [string, string]): [string, string][] {
  return [
    [variableName(name), value],
    [parameterVariable(name), value],
  ];
}

function secretVariables(data: Texts): [string, string][] {
  return Object.entries(data)
    .map(([key, value]): [string, string] => [secretVariable(key), value])
    .filter(([name, value]) => valueFault(name, value) === null);
}

function searchPath(interpreters: Environment['interpreters'], usual: string): string {
  const folders = [interpreters.python, interpreters.node]
    .filter((command) => command !== null && posix.isAbsolute(command))
    .map((command) => posix.dirname(command!));
  return [...new Set([...folders, ...usual.split(':').filter((folder) => folder !== '')])].join(':');
}

function parameterProblems(parameters: Texts, environment: Environment): Problem[] {
  const owners = new Map(
    Object.keys(environment.variables).map((name) => [
      name,
      `which the environment ${quote(environment.name)} sets`,
    ]),
  );
  return Object.entries(parameters).flatMap(([name, value]) => {
    const variable = variableName(name);
    const owner = owners.get(variable);
    owners.set(variable, owner ?? `as ${quote(name)} does`);
    const clash = owner ?? parameterOwner(variable);
    const fault =
      nameFault(name) ??
      (clash === null
        ? null
        : `${quote(name)} becomes the variable ${variable}, ${clash}; choose another name`) ??
      valueFault(parameterVariable(name), value);
    return fault === null ? [] : [{ field: `parameters.${name}`, message: fault }];
  });
}

/** What a user calls a parameter or a key. */
function nameFault(name: string): string | null {
  if (!/[A-Za-z0-9]/.test(name)) return `${quote(name)} has no letter and no digit to make a variable of`;
  if (/[\x00-\x1f\x7f]/.test(name)) return `${quote(name)} has control characters`;
  return name.length > 200 ? 'the name is longer than 200 characters' : null;
}

function parameterOwner(variable: string): string | null {
  if (/^[0-9]/.test(variable)) return 'which cannot begin with a digit';
  const owner = LANGUAGE.test(variable) ? 'the system' : ownerOf(variable);
  return owner === null ? null : `which ${owner} sets`;
}

/** Whose a variable is when it is not the user's to set, or null. */
function ownerOf(variable: string): string | null {
  if (/^(?:HYPERPLANE_|REALMGATE_|realmgate_)/.test(variable)) return 'the platform';
  return variable.startsWith('BASH_') ? 'the shell' : (TAKEN.get(variable) ?? null);
}

function variableFault(variable: string): string | null {
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,249}$/.test(variable)) {
    return `${quote(variable)} is no name of a variable: letters, digits and _, not a digit first, at most 250`;
  }
  const owner = ownerOf(variable);
  return owner === null ? null : `${variable} is set by ${owner}; choose another name`;
}

function valueFault(variable: string, value: string): string | null {
  if (value.includes('\0')) return 'the value has a NUL, which no variable can hold';
  if (!value.isWellFormed()) return 'the value is not well-formed Unicode';
  const bytes = variable.length + Buffer.byteLength(value) + 2;
  return bytes > LARGEST_VARIABLE ? `the value is longer than ${LARGEST_VARIABLE / 1024 - 1} KiB` : null;
}

function totalProblems(field: string, values: Texts): Problem[] {
  const bytes = Object.values(values).reduce((sum, value) => sum + Buffer.byteLength(value), 0);
  if (bytes <= LARGEST_TOTAL) return [];
  return [{ field, message: `the values together are longer than ${LARGEST_TOTAL / 1024} KiB` }];
}

function secretProblems(secrets: VariableSources['secrets']): Problem[] {
  const owners = new Map<string, string>();
  return secrets.flatMap(({ name, keys }, i) =>
    keys.flatMap((key) => {
      const words = `the key ${quote(key)} of the secret ${quote(name)}`;
      const variable = secretVariable(key);
      const owner = owners.get(variable);
      owners.set(variable, owner ?? words);
      const clash =
        owner === undefined ? null : `${words} becomes the variable ${variable}, as does ${owner}`;
      const fault = nameFault(key) ?? clash;
      return fault === null ? [] : [{ field: `secrets[${i}]`, message: fault }];
    }),
  );
}

function taken(owner: string, names: string): [string, string][] {
  return names.split(' ').map((name) => [name, owner]);
}
