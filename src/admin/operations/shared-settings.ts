import { Refusal } from '../../errors.ts';
import type { Answer, ControlOperation } from '../operation.ts';
import { created, done, list, ok } from '../results.ts';

const SECRETS = '/api/v1/secrets';
const ENVIRONMENTS = '/api/v1/environments';

const secrets = { of: 'control', tag: 'secrets' } as const;
const environments = { of: 'control', tag: 'environments' } as const;

const secret: Answer = { description: 'The secret without its values', content: { json: 'Secret' } };
const environment: Answer = { description: 'The environment', content: { json: 'Environment' } };
const deleted: Answer = { description: 'It is gone', content: null };

/** What services share: secrets and environment configurations. */
export const sharedSettingOperations: readonly ControlOperation[] = [
  {
    ...secrets,
    method: 'GET',
    path: SECRETS,
    id: 'listSecrets',
    role: 'viewer',
    summary: 'List secrets with their keys',
    answers: { 200: { description: 'The secrets without their values', content: { list: 'Secret' } } },
    handle: (control) => list(control.listSecrets()),
  },
  {
    ...secrets,
    method: 'GET',
    path: `${SECRETS}/{name}`,
    id: 'getSecret',
    role: 'viewer',
    summary: 'Show the keys of a secret',
    answers: { 200: secret },
    handle: (control, { target }) => ok(control.getSecret(target)),
  },
  {
    ...secrets,
    method: 'PUT',
    path: `${SECRETS}/{name}`,
    id: 'putSecret',
    role: 'developer',
    summary: 'Write a secret, new or in place of the old one',
    description: 'Services get the new values when they start the next time.',
    body: { schema: 'SecretValues' },
    answers: { 200: secret, 201: { ...secret, description: 'The new secret', location: true } },
    handle: (control, { target, body, actor }) => {
      const known = exists(() => control.getSecret(target));
      const written = control.putSecret(target, body, actor);
      return known ? ok(written) : created(written, `${SECRETS}/${encodeURIComponent(target)}`);
    },
  },
  {
    ...secrets,
    method: 'DELETE',
    path: `${SECRETS}/{name}`,
    id: 'deleteSecret',
    role: 'developer',
    summary: 'Delete a secret that no current service uses',
    answers: { 204: deleted },
    refusals: ['conflict'],
    handle: (control, { target, actor }) => {
      control.deleteSecret(target, actor);
      return done();
    },
  },
  {
    ...environments,
    method: 'GET',
    path: ENVIRONMENTS,
    id: 'listEnvironments',
    role: 'viewer',
    summary: 'List environment configurations',
    answers: { 200: { description: 'The environments', content: { list: 'Environment' } } },
    handle: (control) => list(control.listEnvironments()),
  },
  {
    ...environments,
    method: 'GET',
    path: `${ENVIRONMENTS}/{name}`,
    id: 'getEnvironment',
    role: 'viewer',
    summary: 'Show an environment configuration',
    answers: { 200: environment },
    handle: (control, { target }) => ok(control.getEnvironment(target)),
  },
  {
    ...environments,
    method: 'PUT',
    path: `${ENVIRONMENTS}/{name}`,
    id: 'putEnvironment',
    role: 'admin',
    summary: 'Write an environment configuration, new or in place of the old one',
    description: 'Services run in it as it is when they start the next time.',
    body: { schema: 'EnvironmentBody' },
    answers: {
      200: environment,
      201: { ...environment, description: 'The new environment', location: true },
    },
    handle: (control, { target, body, actor }) => {
      const known = exists(() => control.getEnvironment(target));
      const written = control.putEnvironment(target, body, actor);
      return known ? ok(written) : created(written, `${ENVIRONMENTS}/${encodeURIComponent(target)}`);
    },
  },
  {
    ...environments,
    method: 'DELETE',
    path: `${ENVIRONMENTS}/{name}`,
    id: 'deleteEnvironment',
    role: 'admin',
    summary: 'Delete an environment configuration that no current service uses',
    answers: { 204: deleted },
    refusals: ['conflict'],
    handle: (control, { target, actor }) => {
      control.deleteEnvironment(target, actor);
      return done();
    },
  },
];

function exists(find: () => unknown): boolean {
  try {
    find();
    return true;
  } catch (error) {
    if (error instanceof Refusal && error.code === 'not_found') return false;
    throw error;
  }
}
