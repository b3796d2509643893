import { apiCommand, JSON_FLAG } from '../command.ts';
import { UsageError } from '../verb.ts';
import { jsonText, outcome } from './describe.ts';
import { findService } from './find-service.ts';
import { duringRollout } from './wait.ts';

export const restart = apiCommand({
  name: 'services restart',
  summary: 'clone the repository afresh and start again',
  operands: ['SERVICE'],
  about: `Starts a service again from a fresh clone and waits until that serves; until then the old one does. When it
does not become ready, the old one stays, the exit code is 1 and the reason is told. Ctrl-C stops the waiting only.`,
  flags: JSON_FLAG,
  examples: ['realmgate services restart brave-otter'],
  async run({ values, operands: [name = ''], screen, connect }) {
    const api = await connect();
    const service = await findService(api, name);
    const restarted = await duringRollout(api, service, screen, 'restart', (signal) =>
      api.restartService(service.id, signal),
    );
    screen.out(values.json === true ? jsonText(restarted) : outcome(restarted));
    return 0;
  },
});

export const rollback = apiCommand({
  name: 'services rollback',
  summary: 'go back to an earlier revision',
  operands: ['SERVICE', 'REVISION'],
  about: `Puts an earlier revision in force again, as an update would. realmgate services revisions SERVICE lists them.`,
  flags: JSON_FLAG,
  examples: ['realmgate services revisions brave-otter', 'realmgate services rollback brave-otter 3'],
  async run({ values, operands: [name = '', revision = ''], screen, connect }) {
    if (!/^[1-9]\d{0,8}$/.test(revision)) throw new UsageError('REVISION is a whole number from 1 on');
    const api = await connect();
    const service = await findService(api, name);
    const changed = await duringRollout(api, service, screen, 'rollback', (signal) =>
      api.rollbackService(service.id, Number(revision), signal),
    );
    screen.out(values.json === true ? jsonText(changed) : outcome(changed));
    return 0;
  },
});

export const cancel = apiCommand({
  name: 'services cancel',
  summary: 'end a service; its logs and events stay',
  operands: ['SERVICE'],
  about: `Withdraws the endpoint of a service at once and ends it. Its logs, events and settings are kept: it can be
cloned again.`,
  flags: JSON_FLAG,
  examples: ['realmgate services cancel brave-otter'],
  async run({ values, operands: [name = ''], screen, connect }) {
    const api = await connect();
    const cancelled = await api.cancelService((await findService(api, name)).id);
    screen.out(values.json === true ? jsonText(cancelled) : `${cancelled.name} is cancelled\n`);
    return 0;
  },
});
