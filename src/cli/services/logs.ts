import { apiCommand } from '../command.ts';
import { type Flags, wholeNumber } from '../flags.ts';
import { untilInterrupted } from '../interrupt.ts';
import { findService } from './find-service.ts';

const FLAGS = {
  follow: { short: 'f', help: 'go on with new lines until Ctrl-C' },
  tail: { short: 'n', value: 'N', help: 'begin with the last N lines only' },
  replica: { value: 'ID', help: 'only this replica' },
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
    const query = {
      follow: values.follow === true,
      tail: values.tail === undefined ? null : wholeNumber('tail', values.tail),
      replica: values.replica ?? null,
    };
    const api = await connect();
    const { id } = await findService(api, name);
    return untilInterrupted(async (interrupted) => {
      for await (const text of api.logs(id, query, interrupted)) {
        screen.out(text);
        await screen.drained(interrupted);
      }
      return 0;
    });
  },
});
