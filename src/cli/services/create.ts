import { apiCommand, JSON_FLAG } from '../command.ts';
import { UsageError } from '../verb.ts';
import { jsonText, outcome } from './describe.ts';
import { fieldsOf, SERVICE_FLAGS } from './fields.ts';
import { awaitStart, patienceOf, WAIT_FLAGS } from './wait.ts';

export const create = apiCommand({
  name: 'services create',
  summary: 'run a service from a git repository',
  operands: [],
  about: `Creates a service and waits until it runs. Needed are --git, --path and --endpoint, or a file with them.
Exits 1 when it was refused, with every wrong field, or when it failed, with the reason. Ctrl-C stops the waiting only.`,
  flags: { ...SERVICE_FLAGS, ...WAIT_FLAGS, ...JSON_FLAG },
  examples: [
    'realmgate services create --git https://git.example.com/team/app.git --path run.sh --endpoint /app',
    'realmgate services create --git git@git.example.com:team/app.git --credentials deploy-key --branch main \\',
    '  --path run.sh --endpoint /app --param model-name=small --secret openai --max-replicas 3',
    'realmgate services create -f app.yaml --name app-2 --endpoint /app-2',
    'realmgate services create -f - --no-wait --json < app.json',
  ],
  async run({ values, screen, connect }) {
    const patience = patienceOf(values);
    const body = await fieldsOf(values);
    if (Object.keys(body).length === 0) {
      throw new UsageError('what to run is missing: --git, --path and --endpoint, or -f FILE');
    }
    const api = await connect();
    const created = await api.createService(body);
    const waits = patience > 0 && created.minReplicas > 0;
    const service = waits ? await awaitStart(api, created, screen, patience) : created;
    screen.out(values.json === true ? jsonText(service) : outcome(service));
    return 0;
  },
});
