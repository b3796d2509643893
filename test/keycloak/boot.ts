import type { TestProject } from 'vitest/node';

import { findPart } from '../support/require.ts';
import { Keycloak, type KeycloakPlace } from './keycloak.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** null = this machine has no Keycloak, or no Java for it. */
    keycloak: KeycloakPlace | null;
  }
}

/**
 * Gives every test file of this folder the same Keycloak, and takes it away after the last one. The first file
 * that asks for it starts it: before that, it would take a core from the tests that do not need it.
 */
export default async function shareKeycloak(project: TestProject): Promise<() => Promise<void>> {
  if (findPart('keycloak') === null || findPart('java') === null) {
    project.provide('keycloak', null);
    return () => Promise.resolve();
  }
  const place = await Keycloak.makePlace();
  project.provide('keycloak', place);
  return () => new Keycloak(place).remove();
}
