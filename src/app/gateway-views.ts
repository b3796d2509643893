import type { RealmView, RouteView } from '../contracts/control-api.ts';
import type { Route } from '../contracts/settings.ts';
import type { RealmStatus } from '../realm/realm-keeper.ts';

/** What is in force, as the admin API shows it. */
export function routeViews(routes: readonly Route[], source: RouteView['source']): RouteView[] {
  return routes.map(({ name, endpoint, host, upstream, realm, public: isPublic, stripPrefix, access }) => ({
    name,
    source,
    endpoint,
    host,
    upstream,
    realm,
    public: isPublic,
    stripPrefix,
    access,
  }));
}

export function realmViews(statuses: readonly RealmStatus[], now: number): RealmView[] {
  return statuses.map(({ name, issuers, keys, fetchedAt }) => ({
    name,
    issuers,
    keys,
    keysFetchedAt: fetchedAt === null ? null : new Date(fetchedAt).toISOString(),
    keysAge: fetchedAt === null ? null : Math.max(0, (now - fetchedAt) / 1000),
  }));
}
