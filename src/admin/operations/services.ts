import type { ControlApi } from '../../contracts/control-api.ts';
import type { ServiceStatus } from '../../contracts/service.ts';
import type { Answer, Call, ControlOperation, Result } from '../operation.ts';
import { created, lines, LINES_TYPE, list, ok, text, YAML_TYPE } from '../results.ts';

const SERVICES = '/api/v1/services';
const SERVICE = `${SERVICES}/{id}`;

const STATUSES: readonly ServiceStatus[] = [
  'pending',
  'starting',
  'running',
  'degraded',
  'failed',
  'cancelled',
];

/** Longest tail that can be asked for, in lines. */
const LONGEST_TAIL = 1_000_000;

const shared = { of: 'control', tag: 'services' } as const;

const asItIsNow: Answer = { description: 'The service as it is now', content: { json: 'Service' } };

export const serviceOperations: readonly ControlOperation[] = [
  {
    ...shared,
    method: 'GET',
    path: SERVICES,
    id: 'listServices',
    role: 'viewer',
    summary: 'List services, current and past',
    query: {
      status: { kind: 'choice', values: STATUSES, description: 'Only those with this status.' },
      q: { kind: 'text', description: 'Only those with this text in their name, endpoint or repository.' },
    },
    answers: { 200: { description: 'The services', content: { list: 'Service' } } },
    handle: (control, { query }) =>
      list(
        control.listServices({
          status: STATUSES.find((status) => status === query.text('status')) ?? null,
          q: query.text('q'),
        }),
      ),
  },
  {
    ...shared,
    method: 'POST',
    path: SERVICES,
    id: 'createService',
    role: 'developer',
    summary: 'Create a service',
    description: 'Answers as soon as it is known; its status and its events tell what becomes of it.',
    body: { schema: 'NewService' },
    answers: { 201: { description: 'The service', content: { json: 'Service' }, location: true } },
    refusals: ['conflict'],
    handle: async (control, { body, actor }) => createdService(await control.createService(body, actor)),
  },
  {
    ...shared,
    method: 'GET',
    path: SERVICE,
    id: 'getService',
    role: 'viewer',
    summary: 'Show a service',
    description: 'By its id, or by the name of a current service; so everywhere.',
    answers: { 200: asItIsNow },
    handle: (control, { target }) => ok(control.getService(target)),
  },
  {
    ...shared,
    method: 'PATCH',
    path: SERVICE,
    id: 'updateService',
    role: 'developer',
    summary: 'Update a service',
    description:
      'Answers once the new revision serves. Where it does not become ready, the old one stays, and the answer says why.',
    body: { schema: 'ServiceChange' },
    answers: { 200: asItIsNow },
    refusals: ['conflict', 'rollout_failed'],
    handle: async (control, { target, body, actor }) => ok(await control.updateService(target, body, actor)),
  },
  {
    ...shared,
    method: 'POST',
    path: `${SERVICE}/cancel`,
    id: 'cancelService',
    role: 'developer',
    summary: 'Cancel a service',
    description: 'Its endpoint is withdrawn at once. What is known of it stays, and it can be cloned.',
    answers: { 200: asItIsNow },
    refusals: ['conflict'],
    handle: async (control, { target, actor }) => ok(await control.cancelService(target, actor)),
  },
  {
    ...shared,
    method: 'POST',
    path: `${SERVICE}/restart`,
    id: 'restartService',
    role: 'developer',
    summary: 'Restart a service from a fresh clone of its repository',
    description: 'Answers once the new replicas serve. Where they do not become ready, the old ones stay.',
    answers: { 200: asItIsNow },
    refusals: ['conflict', 'rollout_failed'],
    handle: async (control, { target, actor }) => ok(await control.restartService(target, actor)),
  },
  {
    ...shared,
    method: 'POST',
    path: `${SERVICE}/clone`,
    id: 'cloneService',
    role: 'developer',
    summary: 'Create a service like another one, current or past',
    body: { schema: 'ServiceChange', optional: true },
    answers: { 201: { description: 'The new service', content: { json: 'Service' }, location: true } },
    refusals: ['conflict'],
    handle: async (control, { target, body, actor }) =>
      createdService(await control.cloneService(target, body, actor)),
  },
  {
    ...shared,
    method: 'POST',
    path: `${SERVICE}/rollback`,
    id: 'rollbackService',
    role: 'developer',
    summary: 'Go back to an earlier revision',
    description: 'As an update to what the service was then.',
    body: { schema: 'Rollback' },
    answers: { 200: asItIsNow },
    refusals: ['conflict', 'rollout_failed'],
    handle: async (control, { target, body, actor }) =>
      ok(await control.rollbackService(target, body, actor)),
  },
  {
    ...shared,
    method: 'GET',
    path: `${SERVICE}/revisions`,
    id: 'listRevisions',
    role: 'viewer',
    summary: 'Show what a service was before',
    answers: { 200: { description: 'Its revisions', content: { list: 'Revision' } } },
    handle: (control, { target }) => list(control.revisions(target)),
  },
  {
    ...shared,
    method: 'GET',
    path: `${SERVICE}/events`,
    id: 'listEvents',
    role: 'viewer',
    summary: 'Show what happened to a service, when and why',
    answers: { 200: { description: 'Its events', content: { list: 'Event' } } },
    handle: (control, { target }) => list(control.events(target)),
  },
  {
    ...shared,
    method: 'GET',
    path: `${SERVICE}/logs`,
    id: 'readLogs',
    role: 'viewer',
    summary: 'Read the logs of a service, also of a past one',
    query: {
      follow: {
        kind: 'flag',
        description: 'Goes on with new lines until the client leaves, or the service is past.',
      },
      tail: {
        kind: 'number',
        minimum: 0,
        maximum: LONGEST_TAIL,
        description: 'Begins with so many last lines.',
      },
      replica: { kind: 'text', description: 'Only the lines of this replica.' },
    },
    answers: { 200: { description: 'Lines of text', content: { text: LINES_TYPE } } },
    handle: readLogs,
  },
  {
    ...shared,
    method: 'POST',
    path: '/api/v1/preflight',
    id: 'checkService',
    role: 'developer',
    summary: 'Find out what stands in the way of a service, without creating it',
    body: { schema: 'NewService', loose: true },
    answers: { 200: { description: 'What was found', content: { json: 'Preflight' } } },
    handle: async (control, { body }) => {
      const problems = await control.preflight(body);
      return ok({ ok: problems.length === 0, problems });
    },
  },
  {
    ...shared,
    method: 'GET',
    path: `${SERVICE}/export`,
    id: 'exportService',
    role: 'viewer',
    summary: 'Export a service as YAML',
    description: '`realmgate services apply -f` takes it back. Secrets stand there by their names only.',
    answers: { 200: { description: 'One document', content: { text: YAML_TYPE } } },
    handle: (control, { target }) => text(YAML_TYPE, control.exportServices(target)),
  },
  {
    ...shared,
    method: 'GET',
    path: '/api/v1/export',
    id: 'exportServices',
    role: 'viewer',
    summary: 'Export every current service as YAML',
    answers: { 200: { description: 'One document for each', content: { text: YAML_TYPE } } },
    handle: (control) => text(YAML_TYPE, control.exportServices(null)),
  },
];

function createdService(service: { readonly id: string }): Result {
  return created(service, `${SERVICES}/${service.id}`);
}

function readLogs(control: ControlApi, { target, query, head, signal }: Call): Result {
  control.getService(target); // refuses what is unknown before the answer begins
  if (head) return text(LINES_TYPE, '');
  const [tail, replica, follow] = [query.number('tail'), query.text('replica'), query.flag('follow')];
  return lines(control.logs(target, { tail, replica, follow, signal }), follow);
}
