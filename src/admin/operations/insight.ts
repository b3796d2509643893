import { readQuestion } from '../explain-question.ts';
import type { Operation } from '../operation.ts';
import { list, ok } from '../results.ts';

const audit = { page: 100, most: 1000 };

/** What is in force, and who did what. */
export const insightOperations: readonly Operation[] = [
  {
    of: 'gateway',
    tag: 'gateway',
    method: 'POST',
    path: '/api/v1/explain',
    id: 'explainRequest',
    role: 'viewer',
    summary: 'Find out what the gateway would do with a request, and why',
    body: { schema: 'ExplainQuestion' },
    answers: {
      200: { description: 'Its checks, up to the first that fails', content: { json: 'Explanation' } },
    },
    handle: async (gateway, { body }) => ok(await gateway.explain(readQuestion(body))),
  },
  {
    of: 'gateway',
    tag: 'gateway',
    method: 'GET',
    path: '/api/v1/routes',
    id: 'listRoutes',
    role: 'viewer',
    summary: 'Show the routes that are in force',
    answers: { 200: { description: 'The routes', content: { list: 'Route' } } },
    handle: (gateway) => list(gateway.routes()),
  },
  {
    of: 'gateway',
    tag: 'gateway',
    method: 'GET',
    path: '/api/v1/realms',
    id: 'listRealms',
    role: 'viewer',
    summary: 'Show the realms with their issuers and keys',
    answers: { 200: { description: 'The realms', content: { list: 'Realm' } } },
    handle: (gateway) => list(gateway.realms()),
  },
  {
    of: 'control',
    tag: 'audit',
    method: 'GET',
    path: '/api/v1/audit',
    id: 'readAudit',
    role: 'viewer',
    summary: 'Show who did what, the newest first',
    query: {
      limit: {
        kind: 'number',
        minimum: 1,
        maximum: audit.most,
        description: `At most so many entries; ${audit.page} by default.`,
      },
      before: {
        kind: 'number',
        minimum: 0,
        maximum: Number.MAX_SAFE_INTEGER,
        description: 'The `next` of the page before.',
      },
    },
    answers: { 200: { description: 'A page', content: { json: 'AuditPage' } } },
    handle: (control, { query }) =>
      ok(control.audit({ limit: query.number('limit') ?? audit.page, before: query.number('before') })),
  },
];
