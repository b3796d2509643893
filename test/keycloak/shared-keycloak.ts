import { inject } from 'vitest';

import { Keycloak } from './keycloak.ts';

/**
 * The Keycloak that all files under test/keycloak share, running. Files run one after the other, so a test may stop
 * it and start it again. Use it only inside `describe.skipIf(!requireParts('keycloak', 'java'))`.
 */
export async function sharedKeycloak(): Promise<Keycloak> {
  const place = inject('keycloak');
  if (place === null) throw new Error('there is no Keycloak here; ask requireParts before using it');
  const keycloak = new Keycloak(place);
  if (!keycloak.running) await keycloak.start();
  return keycloak;
}
