import type { Operation } from './operation.ts';
import { ok } from './results.ts';

/**
 * The OpenAPI document of the operations, and pages to read it. Neither needs a token: they tell what every
 * installation has in common. Made when they are asked for.
 */
export function documentOperations(operations: readonly Operation[]): readonly Operation[] {
  const load = async () => (await import('./openapi.ts')).openApiDocument(operations);
  const shared = { of: 'process', tag: 'health', method: 'GET', role: null } as const;
  return [
    {
      ...shared,
      path: '/api/openapi.json',
      id: 'readOpenApi',
      summary: 'The OpenAPI document',
      answers: { 200: { description: 'The document', content: { text: 'application/json' } } },
      handle: async () => ok(await load()),
    },
    {
      ...shared,
      path: '/api/docs',
      id: 'readDocs',
      summary: 'The same for people',
      answers: { 200: { description: 'A page', content: { text: 'text/html; charset=utf-8' } } },
      handle: async () => (await import('./docs-page.ts')).docsPage(await load()),
    },
  ];
}
