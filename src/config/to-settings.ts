import { availableParallelism } from 'node:os';
import type { RealmSettings, Route, Settings, Tls } from '../contracts/settings.ts';
import type { ConfigFile, RealmEntry, RouteEntry } from './schema.ts';

/** Derives what everything else reads from a file without faults. `realms`: those of the file, or the implied one. */
export function toSettings(file: ConfigFile, realms: readonly RealmEntry[], tls: Tls | null): Settings {
  const { gateway, admin } = file;
  const { driver, secretsKey = null, readyTimeout, scale, retention, local } = file.services;
  const only = realms[0]!.name;
  return {
    dataDir: file.dataDir,
    gateway: {
      ...gateway,
      publicUrl: gateway.publicUrl ?? null,
      workers: gateway.workers === 'auto' ? availableParallelism() : gateway.workers,
      tls,
    },
    admin: { ...admin, realm: admin.realm ?? only },
    realms: realms.map(toRealm),
    routes: file.routes.map((route) => toRoute(route, only)),
    embeddedRealm: file.embeddedRealm ?? null,
    services: { driver, secretsKey, readyTimeout, scale, retention, local },
    example: file.example ?? null,
  };
}

function toRealm(realm: RealmEntry): RealmSettings {
  return {
    ...realm,
    issuers: realm.issuers ?? null,
    clients: realm.clients ?? null,
    introspection: realm.introspection ?? null,
  };
}

function toRoute(route: RouteEntry, only: string): Route {
  const { limit } = route;
  return {
    ...route,
    endpoint: route.endpoint ?? null,
    host: route.host ?? null,
    realm: route.realm ?? only,
    cors: route.cors ?? null,
    limit:
      limit === undefined
        ? null
        : { ...limit, rate: limit.rate ?? null, concurrency: limit.concurrency ?? null },
    health: route.health ?? null,
    holdFor: 0,
  };
}
