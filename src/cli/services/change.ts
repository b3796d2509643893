import { apiCommand, JSON_FLAG } from '../command.ts';
import { UsageError } from '../verb.ts';
import { jsonText, outcome } from './describe.ts';
import { CHANGE_FLAGS, fieldsOf } from './fields.ts';
import { findService } from './find-service.ts';
import { awaitStart, duringRollout, patienceOf, WAIT_FLAGS } from './wait.ts';

const RULES = `Only what is given changes. --param sets one parameter and leaves the others, --unset-param removes one; the --secret,
--role, --scope and --client that are given replace all that were there; --no-branch and the like take a field back to
its default.`;

export const update = apiCommand({
  name: 'services update',
  summary: 'change a service; the old one serves until the new one is ready',
  operands: ['SERVICE'],
  about: `Changes a running service and waits until the new revision serves. When that does not become ready, the old
one stays, the exit code is 1 and the reason is told. Ctrl-C stops the waiting only.

${RULES}`,
  flags: { ...CHANGE_FLAGS, ...JSON_FLAG },
  examples: [
    'realmgate services update brave-otter --branch release',
    'realmgate services update brave-otter --param model-name=large --unset-param debug --max-replicas 5',
    'realmgate services update brave-otter --secret openai --secret smtp --no-role',
  ],
  async run({ values, operands: [name = ''], screen, connect }) {
    const body = await fieldsOf(values);
    if (Object.keys(body).length === 0) throw new UsageError('nothing to change is given');
    const api = await connect();
    const service = await findService(api, name);
    const updated = await duringRollout(api, service, screen, 'update', (signal) =>
      api.updateService(service.id, body, signal),
    );
    screen.out(values.json === true ? jsonText(updated) : outcome(updated));
    return 0;
  },
});

export const clone = apiCommand({
  name: 'services clone',
  summary: 'run another service like one that is or was there',
  operands: ['SERVICE'],
  about: `Creates a service like another one, current or past, and waits until it runs. The clone of a current one needs
an endpoint of its own.

${RULES}`,
  flags: { ...CHANGE_FLAGS, ...WAIT_FLAGS, ...JSON_FLAG },
  examples: [
    'realmgate services clone brave-otter --endpoint /hello-2',
    'realmgate services clone brave-otter --name staging --endpoint /staging --branch develop',
  ],
  async run({ values, operands: [name = ''], screen, connect }) {
    const patience = patienceOf(values);
    const body = await fieldsOf(values);
    const api = await connect();
    const cloned = await api.cloneService((await findService(api, name)).id, body);
    const waits = patience > 0 && cloned.minReplicas > 0;
    const service = waits ? await awaitStart(api, cloned, screen, patience) : cloned;
    screen.out(values.json === true ? jsonText(service) : outcome(service));
    return 0;
  },
});
