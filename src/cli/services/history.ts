import type { ServiceRevision } from '../../contracts/service.ts';
import { apiCommand, JSON_FLAG } from '../command.ts';
import { type Column, table } from '../table.ts';
import { jsonText, shortCommit } from './describe.ts';
import { oldestFirst } from './event-feed.ts';
import { eventDetails, eventLine } from './event-lines.ts';
import { findService } from './find-service.ts';

export const events = apiCommand({
  name: 'services events',
  summary: 'what happened to a service, and why',
  operands: ['SERVICE'],
  about: `Lists what happened to a service, current or past, oldest first: starts, exits with their code and last lines,
commits, retries, changes.`,
  flags: JSON_FLAG,
  examples: [
    'realmgate services events brave-otter',
    'realmgate services events brave-otter --json | jq \'.items[] | select(.kind == "exited")\'',
  ],
  async run({ values, operands: [name = ''], screen, connect }) {
    const api = await connect();
    const { id } = await findService(api, name);
    const answer = await api.events(id);
    if (values.json === true) {
      screen.out(jsonText(answer));
      return 0;
    }
    for (const event of oldestFirst(answer.items)) {
      screen.out(`${screen.paint('dim', event.at)}  ${eventLine(event, id)}\n`);
      for (const line of eventDetails(event)) screen.out(`    ${line}\n`);
    }
    return 0;
  },
});

export const revisions = apiCommand({
  name: 'services revisions',
  summary: 'what a service was before',
  operands: ['SERVICE'],
  about:
    'Lists the revisions of a service. One of them is active; realmgate services rollback goes back to another.',
  flags: JSON_FLAG,
  examples: ['realmgate services revisions brave-otter'],
  async run({ values, operands: [name = ''], screen, connect }) {
    const api = await connect();
    const answer = await api.revisions((await findService(api, name)).id);
    screen.out(values.json === true ? jsonText(answer) : table(REVISION_COLUMNS, answer.items, screen.width));
    return 0;
  },
});

const REVISION_COLUMNS: readonly Column<ServiceRevision>[] = [
  { title: 'REVISION', text: ({ revision }) => String(revision) },
  { title: 'STATE', text: ({ state }) => state },
  { title: 'COMMIT', text: ({ resolvedCommit }) => shortCommit(resolvedCommit) },
  { title: 'REASON', text: ({ reason }) => reason },
  { title: 'BY', text: ({ createdBy }) => createdBy, cut: true },
  { title: 'AT', text: ({ createdAt }) => createdAt },
  { title: 'FAILURE', text: ({ failure }) => failure ?? '', cut: true },
];
