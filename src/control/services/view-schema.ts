import type { Schema } from './schema.ts';
import {
  answered,
  anyObject,
  anyText,
  flag,
  integer,
  list,
  nullable,
  object,
  oneOf,
  time,
} from './schema.ts';
import { ENVIRONMENT_BODY, SERVICE_BODY } from './spec-schema.ts';

/*
 * What the admin API answers about services, secrets and environments, for OpenAPI. `contracts/service.ts` has the
 * same as types; a test holds the two together.
 */

const MOST = Number.MAX_SAFE_INTEGER;

/** An answer: every field is always there. */
function answer(title: string, description: string, properties: Readonly<Record<string, Schema>>): Schema {
  return answered(object(properties, [], { title, description }));
}

const spec: Readonly<Record<string, Schema>> = {
  ...SERVICE_BODY.properties,
  name: anyText('A DNS label, unique among current services.'),
};

const exit = answer('ReplicaExit', 'How a replica ended.', {
  code: nullable(integer(0, 255, { description: 'Exit code; null = a signal ended it.' })),
  signal: nullable(anyText('Such as `SIGKILL`; null = it exited by itself.')),
  at: time('When.'),
  reason: nullable(anyText('What made it end where that was not the program itself.')),
});

const replica = answer('Replica', 'One running copy of a service.', {
  id: anyText('Stands in logs and events.'),
  state: oneOf(['preparing', 'starting', 'ready', 'waiting', 'stopping'], {
    description: 'Requests go to those that are `ready`; one that is `waiting` ended and is run again soon.',
  }),
  restarts: integer(0, MOST, { description: 'How often it was run again.' }),
  lastExit: nullable({ ...exit, description: 'How it ended last; null = never.' }),
});

export const SERVICE_VIEW: Schema = answer('Service', 'A service, current or past.', {
  ...spec,
  id: anyText('Never used twice.'),
  status: oneOf(['pending', 'starting', 'running', 'degraded', 'failed', 'cancelled'], {
    description: '`degraded`: it answers, with fewer replicas than it should have.',
  }),
  url: anyText('Where clients call it.'),
  clusterUrl: nullable(anyText('Where the cluster or this machine reaches it; null while nothing is ready.')),
  resolvedCommit: nullable(anyText('The commit that runs, or ran last; null = none was found yet.')),
  revision: integer(1, MOST, { description: 'Number of the revision that is in force.' }),
  replicas: list(replica, { description: 'Its copies.' }),
  createdAt: time('When it was created.'),
  createdBy: anyText('Who created it.'),
  clonedFrom: nullable(anyText('Id of the service that it was cloned from.')),
  cancelledAt: nullable(time('When it was cancelled; null = it is current.')),
});

export const SERVICE_REVISION: Schema = answer('Revision', 'What a service was at one time.', {
  revision: integer(1, MOST, { description: 'Counted from 1 in each service.' }),
  createdAt: time('When it was asked for.'),
  createdBy: anyText('Who asked for it.'),
  reason: anyText('`create`, `clone`, `update` or `rollback to N`.'),
  state: oneOf(['active', 'pending', 'superseded', 'failed'], {
    description: '`active` is in force, `pending` is being rolled out, `failed` never became ready.',
  }),
  failure: nullable(anyText('Why it failed.')),
  resolvedCommit: nullable(anyText('The commit that it ran last.')),
  spec: answer('ServiceSpec', 'What was asked for, with every default filled in.', spec),
});

export const SERVICE_EVENT: Schema = answer('Event', 'Something that happened to a service.', {
  at: time('When.'),
  kind: anyText('A word that programs may compare, such as `ready` or `exited`.'),
  message: anyText('What happened, for people.'),
  replica: nullable(anyText('Id of the replica that it is about.')),
  data: anyObject({ description: 'Exit code, commit, last lines, next retry and the like.' }),
});

export const SECRET_VIEW: Schema = answer('Secret', 'A secret without its values, which never come out.', {
  name: anyText('Its name.'),
  keys: list(anyText('A key.'), { description: 'In order of the alphabet.' }),
  updatedAt: time('When it was written last.'),
  updatedBy: anyText('Who wrote it last.'),
});

export const ENVIRONMENT_VIEW: Schema = {
  ...answer('Environment', 'Variables, interpreters and limits that several services share.', {
    name: anyText('Its name; `default` always exists.'),
    ...ENVIRONMENT_BODY.properties,
    kubernetes: anyObject({ description: 'For Kubernetes only.' }),
  }),
};

export const PROBLEM: Schema = answer('FieldProblem', 'One wrong field.', {
  field: anyText('Path of the field, such as `git.branch`.'),
  message: anyText('What is wrong, and what would be right.'),
});

export const PREFLIGHT_VIEW: Schema = answer('Preflight', 'Whether a service would start.', {
  ok: flag({ description: 'Nothing stands in the way.' }),
  problems: list(PROBLEM, { description: 'All that does.' }),
});

export const AUDIT_PAGE: Schema = answer('AuditPage', 'Who did what, the newest first.', {
  items: list(
    answer('AuditEntry', 'One change.', {
      at: time('When.'),
      actor: anyText('Who.'),
      action: anyText('Such as `service.create` or `secret.put`.'),
      target: anyText('Name or id of what it was done to.'),
      difference: anyObject({ description: 'Field → [before, after]; of a secret its keys only.' }),
    }),
    { description: 'Changes.' },
  ),
  next: nullable(integer(0, MOST, { description: 'Give it as `before` to get older ones; null = none.' })),
});
