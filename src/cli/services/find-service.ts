import type { ServiceView } from '../../contracts/service.ts';
import { suggest } from '../../text/suggest.ts';
import { ApiFailure } from '../api-failure.ts';
import type { Api } from '../api.ts';
import { Failure } from '../failure.ts';

/** By id or name: the current service of that name, or else the past one that was cancelled last. */
export async function findService(api: Api, nameOrId: string): Promise<ServiceView> {
  try {
    return await api.service(nameOrId);
  } catch (error) {
    if (!(error instanceof ApiFailure) || error.code !== 'not_found') throw error;
  }
  const { items } = await api.services();
  const past = items
    .filter(({ name }) => name === nameOrId)
    .toSorted((a, b) => (a.createdAt < b.createdAt ? 1 : -1));
  if (past[0] !== undefined) return past[0];
  const meant = suggest(nameOrId, [...new Set(items.map(({ name }) => name))]);
  throw new Failure(
    `there is no service ${nameOrId}${meant === null ? '' : `; did you mean ${meant}?`}`,
    'realmgate services list --all names them all, also past ones.',
  );
}
