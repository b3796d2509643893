import type { ServiceSpec, ServiceView } from '../../contracts/service.ts';
import type { Route } from '../../contracts/settings.ts';
import type { StoredService } from '../store/store.ts';
import type { ServiceController } from './service-controller.ts';

/** A service as the API shows it: as it is now while it has a controller, or else as it was. */
export function viewOf(
  stored: StoredService,
  controller: ServiceController | null,
  publicUrl: string,
): ServiceView {
  const current = stored.cancelledAt === null;
  const spec = current && controller !== null ? controller.spec : stored.spec;
  return {
    id: stored.id,
    ...spec,
    status: current ? (controller?.status ?? 'pending') : 'cancelled',
    url: publicUrl + spec.endpoint,
    clusterUrl: controller?.origins[0] ?? null,
    resolvedCommit: controller?.resolvedCommit ?? stored.resolvedCommit,
    revision: controller?.revision ?? stored.activeRevision ?? stored.pendingRevision ?? 1,
    replicas: controller?.replicas ?? [],
    createdAt: stored.createdAt,
    createdBy: stored.createdBy,
    clonedFrom: stored.clonedFrom,
    cancelledAt: stored.cancelledAt,
  };
}

/** The route of a service. `holdFor`: ms that a request waits for a replica. */
export function routeOf(
  { name, endpoint, stripPrefix, access, public: isPublic }: ServiceSpec,
  upstream: readonly string[],
  realm: string,
  holdFor: number,
): Route {
  return {
    name,
    endpoint,
    host: null,
    upstream,
    stripPrefix,
    realm,
    access,
    public: isPublic,
    forwardToken: false,
    cors: null,
    limit: null,
    health: null,
    holdFor,
  };
}
