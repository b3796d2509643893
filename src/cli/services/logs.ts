import type { ServiceView } from '../../contracts/service.ts';
import type { Api } from '../api.ts';
import { apiCommand } from '../command.ts';
import { type Flags, wholeNumber } from '../flags.ts';
import { untilInterrupted } from '../interrupt.ts';
import { shortReplica } from './event-lines.ts';
import { findService } from './find-service.ts';

const FLAGS = {
  follow: { short: 'f', help: 'go on with new lines until Ctrl-C' },
  tail: { short: 'n', value: 'N', help: 'begin with the last N lines only' },
  replica: { value: 'ID', help: 'only this replica, whose id may be as short as in the events' },
} as const satisfies Flags;

export const logs = apiCommand({
  name: 'services logs',
  summary: 'what a service prints',
  operands: ['SERVICE'],
  about: `Prints the log lines of a service, current or past. Where there are several replicas, each line begins with
the replica's id in brackets. Values of its secrets are masked.`,
  flags: FLAGS,
  examples: [
    'realmgate services logs brave-otter --tail 100',
    'realmgate services logs brave-otter -f',
    'realmgate services logs brave-otter | grep ERROR | head',
  ],
  async run({ values, operands: [name = ''], screen, connect }) {
    const follow = values.follow === true;
    const tail = values.tail === undefined ? null : wholeNumber('tail', values.tail);
    const api = await connect();
    const service = await findService(api, name);
    const { id } = service;
    const replica = values.replica === undefined ? null : await replicaOf(api, service, values.replica);
    const query = { follow, tail, replica };
    return untilInterrupted(async (interrupted) => {
      for await (const text of api.logs(id, query, interrupted)) {
        screen.out(text);
        await screen.drained(interrupted);
      }
      return 0;
    });
  },
});

/** The whole id of a replica that is there, or was and stands in the events; what nobody knows stays as it is. */
async function replicaOf(api: Api, { id, replicas }: ServiceView, given: string): Promise<string> {
  const now = replicas.map((replica) => replica.id);
  const past = (await api.events(id)).items.flatMap(({ replica }) => replica ?? []);
  return [...now, ...past].find((each) => each === given || shortReplica(each, id) === given) ?? given;
}
