import type { ServiceView } from '../../contracts/service.ts';
import { apiCommand, JSON_FLAG } from '../command.ts';
import type { Flags } from '../flags.ts';
import { type Column, table } from '../table.ts';
import type { Screen } from '../screen.ts';
import { UsageError } from '../verb.ts';
import { age, jsonText, readiness, shortCommit, STATUS_COLOURS } from './describe.ts';

const STATUSES = Object.keys(STATUS_COLOURS).join(', ');

const FLAGS = {
  all: { short: 'a', help: 'also those that were cancelled, with ids: names may repeat' },
  status: { value: 'STATUS', help: `only these: ${STATUSES}` },
  query: { short: 'q', value: 'TEXT', help: 'only those with this in their name, endpoint or repository' },
  ...JSON_FLAG,
} as const satisfies Flags;

export const list = apiCommand({
  name: 'services list',
  summary: 'name, status and endpoint of the services',
  operands: [],
  about: 'Lists the current services; READY is how many replicas take requests, of how many.',
  flags: FLAGS,
  examples: [
    'realmgate services list',
    'realmgate services list --status failed',
    'realmgate services list --all --query team/app',
    "realmgate services list --json | jq -r '.items[].url'",
  ],
  async run({ values, screen, connect }) {
    const { status, query } = values;
    if (status !== undefined && !Object.hasOwn(STATUS_COLOURS, status)) {
      throw new UsageError(`--status is one of ${STATUSES}`);
    }
    const all = values.all === true || status === 'cancelled';
    const { items } = await (await connect()).services();
    const shown = items.filter(
      (service) =>
        (status === undefined ? all || service.status !== 'cancelled' : service.status === status) &&
        (query === undefined || mentions(service, query)),
    );
    screen.out(values.json === true ? jsonText({ items: shown }) : listing(shown, all, screen));
    return 0;
  },
});

function mentions({ name, endpoint, git }: ServiceView, query: string): boolean {
  return [name, endpoint, git.repository].some((text) => text.toLowerCase().includes(query.toLowerCase()));
}

function listing(services: readonly ServiceView[], all: boolean, screen: Screen): string {
  if (services.length === 0)
    return all
      ? 'There are no services to list.\n'
      : 'There are no current services to list; --all lists past ones too.\n';
  const columns: Column<ServiceView>[] = [
    { title: 'NAME', text: ({ name }) => name, cut: true },
    {
      title: 'STATUS',
      text: ({ status }) => status,
      paint: ({ status }, text) => screen.paint(STATUS_COLOURS[status], text),
    },
    { title: 'READY', text: readiness },
    { title: 'ENDPOINT', text: ({ endpoint }) => endpoint, cut: true },
    { title: 'REPOSITORY', text: ({ git }) => git.repository, cut: true },
    { title: 'COMMIT', text: ({ resolvedCommit }) => shortCommit(resolvedCommit) },
    { title: 'AGE', text: ({ createdAt }) => age(createdAt) },
    ...(all ? [{ title: 'ID', text: ({ id }: ServiceView) => id }] : []),
  ];
  return table(columns, services, screen.width);
}
