import type { ReplicaView, ServiceView } from '../../contracts/service.ts';
import { apiCommand, JSON_FLAG } from '../command.ts';
import { inOneLine, type Screen } from '../screen.ts';
import { type Column, fieldList, table } from '../table.ts';
import { age, exitText, jsonText, STATUS_COLOURS } from './describe.ts';
import { findService } from './find-service.ts';

export const show = apiCommand({
  name: 'services show',
  summary: 'everything about one service',
  operands: ['SERVICE'],
  about: 'Shows a service, current or past, by its name or id, with its replicas and how they ended last.',
  flags: JSON_FLAG,
  examples: [
    'realmgate services show brave-otter',
    'realmgate services show brave-otter --json | jq .replicas',
  ],
  async run({ values, operands: [name = ''], screen, connect }) {
    const service = await findService(await connect(), name);
    screen.out(values.json === true ? jsonText(service) : description(service, screen));
    return 0;
  },
});

function description(service: ServiceView, screen: Screen): string {
  const { git, access, status } = service;
  const fields: (readonly [string, string | null])[] = [
    ['Name', service.name],
    ['Id', service.id],
    ['Status', screen.paint(STATUS_COLOURS[status], status)],
    ['URL', service.url],
    ['Reached at', service.clusterUrl],
    ['Endpoint', `${service.endpoint}${service.stripPrefix ? '' : ' (the program sees it)'}`],
    ['Callers', callers(service)],
    ['Roles', access.roles.join(', ')],
    ['Scopes', access.scopes.join(', ')],
    ['Clients', access.clients.join(', ')],
    ['Repository', git.repository],
    ['Branch', git.branch ?? 'default'],
    [
      'Commit',
      `${git.commit ?? 'head'}${service.resolvedCommit === null ? '' : `, now ${service.resolvedCommit}`}`,
    ],
    ['Credentials', git.credentials],
    ['Runs', `${service.path} (${service.type})`],
    ['Port', `${service.port}${service.fixedPort ? ' (fixed)' : ''}`],
    ['Replicas', replicaRange(service)],
    ['Ready when', service.health === null ? 'the port accepts' : `GET ${service.health.path} answers`],
    ['Environment', service.environment],
    ['Secrets', service.secrets.join(', ')],
    ...Object.entries(service.parameters).map(([key, value]) => [`Param ${key}`, value] as const),
    ['Revision', String(service.revision)],
    ['Created', `${service.createdAt} by ${service.createdBy}`],
    ['Cloned from', service.clonedFrom],
    ['Cancelled', service.cancelledAt],
  ];
  const told = fields.flatMap(([name, value]) =>
    value === null || value === '' ? [] : [[name, name === 'Status' ? value : inOneLine(value)] as const],
  );
  const { replicas } = service;
  return (
    fieldList(told) + (replicas.length === 0 ? '' : `\n${table(REPLICA_COLUMNS, replicas, screen.width)}`)
  );
}

function callers({ public: open, access }: ServiceView): string {
  if (open) return 'anybody';
  const some = [access.roles, access.scopes, access.clients].some(({ length }) => length > 0);
  return some ? 'a valid token with' : 'any valid token';
}

function replicaRange({ minReplicas, maxReplicas }: ServiceView): string {
  return minReplicas === maxReplicas ? String(minReplicas) : `${minReplicas} to ${maxReplicas}`;
}

const REPLICA_COLUMNS: readonly Column<ReplicaView>[] = [
  { title: 'REPLICA', text: ({ id }) => id },
  { title: 'STATE', text: ({ state }) => state },
  { title: 'RESTARTS', text: ({ restarts }) => String(restarts) },
  {
    title: 'LAST EXIT',
    text: ({ lastExit }) => (lastExit === null ? '' : `${exitText(lastExit)}, ${age(lastExit.at)} ago`),
    cut: true,
  },
];
