import { problemLine } from '../api-failure.ts';
import { apiCommand, JSON_FLAG } from '../command.ts';
import { UsageError } from '../verb.ts';
import { jsonText } from './describe.ts';
import { fieldsOf, SERVICE_FLAGS } from './fields.ts';

export const preflight = apiCommand({
  name: 'services preflight',
  summary: 'check what create would be given, and change nothing',
  operands: [],
  about: `Checks a service before it is created: fields, repository, branch, commit, script or pipeline, secrets, endpoint,
port. Takes what services create takes. Exits 1 when something is wrong, and tells all of it.`,
  flags: { ...SERVICE_FLAGS, ...JSON_FLAG },
  examples: [
    'realmgate services preflight --git https://git.example.com/team/app.git --path run.sh --endpoint /app',
    'realmgate services preflight -f app.yaml',
  ],
  async run({ values, screen, connect }) {
    const body = await fieldsOf(values);
    if (Object.keys(body).length === 0) {
      throw new UsageError('what to check is missing: --git, --path and --endpoint, or -f FILE');
    }
    const answer = await (await connect()).preflight(body);
    const { ok, problems } = answer;
    if (values.json === true) screen.out(jsonText(answer));
    else if (ok) screen.out(`${screen.paint('green', '✓')} nothing stands in the way\n`);
    else
      for (const problem of problems)
        screen.out(`${screen.paint('red', '✗')}${problemLine(problem).slice(1)}\n`);
    return ok ? 0 : 1;
  },
});
