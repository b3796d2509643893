import type { Settings } from '../contracts/settings.ts';

/** Names of the settings that differ and that a running gateway cannot change. */
export function changesNeedingRestart(running: Settings, changed: Settings): string[] {
  const pairs: [string, unknown, unknown][] = [
    ['dataDir', running.dataDir, changed.dataDir],
    ['gateway.listen', running.gateway.listen, changed.gateway.listen],
    ['gateway.workers', running.gateway.workers, changed.gateway.workers],
    ['gateway.tls', running.gateway.tls === null, changed.gateway.tls === null],
    ['gateway.limits.headerBytes', running.gateway.limits.headerBytes, changed.gateway.limits.headerBytes],
    ['gateway.timeouts.header', running.gateway.timeouts.header, changed.gateway.timeouts.header],
    ['admin.listen', running.admin.listen, changed.admin.listen],
    ['embeddedRealm', running.embeddedRealm, changed.embeddedRealm],
    ['services.driver', running.services.driver, changed.services.driver],
    ['services.secretsKey', running.services.secretsKey, changed.services.secretsKey],
    ['services.local', running.services.local, changed.services.local],
    ['example', running.example, changed.example],
  ];
  return pairs
    .filter(([, before, after]) => JSON.stringify(before) !== JSON.stringify(after))
    .map(([name]) => name);
}

/**
 * The changed settings with what a running gateway keeps: a worker that replaces a dead one must serve as the others
 * do, and not without TLS because the file no longer asks for it.
 */
export function keepingRestartOnly(running: Settings, changed: Settings): Settings {
  const { gateway, admin, dataDir, embeddedRealm, example } = running;
  const { driver, secretsKey, local } = running.services;
  return {
    ...changed,
    dataDir,
    embeddedRealm,
    example,
    services: { ...changed.services, driver, secretsKey, local },
    admin: { ...changed.admin, listen: admin.listen },
    gateway: {
      ...changed.gateway,
      listen: gateway.listen,
      workers: gateway.workers,
      tls: gateway.tls === null ? null : (changed.gateway.tls ?? gateway.tls),
      limits: { ...changed.gateway.limits, headerBytes: gateway.limits.headerBytes },
      timeouts: { ...changed.gateway.timeouts, header: gateway.timeouts.header },
    },
  };
}
