import { stringify } from 'yaml';
import type { ServiceSpec } from '../../contracts/service.ts';

/**
 * Services as YAML, one document each, in the order given. Every field is there, defaults too: what is applied from it
 * later is what was exported, whatever has changed since. Secrets stand in it by name.
 */
export function exportServices(specs: readonly ServiceSpec[]): string {
  if (specs.length === 0) return '# There are no services.\n';
  return specs.map(document).join('---\n');
}

function document(spec: ServiceSpec): string {
  return stringify(inOrder(spec), { lineWidth: 0, aliasDuplicateObjects: false });
}

/** As people ask: what it is, where it comes from, what it gets, who may call it. Parameters by the alphabet. */
function inOrder({ name, endpoint, type, path, git, environment, port, ...rest }: ServiceSpec): ServiceSpec {
  const { fixedPort, minReplicas, maxReplicas, health, parameters, secrets, stripPrefix, ...open } = rest;
  const { access, public: isPublic } = open;
  return {
    name,
    endpoint,
    type,
    path,
    git: {
      repository: git.repository,
      branch: git.branch,
      commit: git.commit,
      credentials: git.credentials,
    },
    environment,
    port,
    fixedPort,
    minReplicas,
    maxReplicas,
    health,
    parameters: Object.fromEntries(Object.entries(parameters).sort(([a], [b]) => (a < b ? -1 : 1))),
    secrets,
    stripPrefix,
    access,
    public: isPublic,
  };
}
