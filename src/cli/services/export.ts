import { apiCommand } from '../command.ts';
import { findService } from './find-service.ts';

export const exportServices = apiCommand({
  name: 'services export',
  summary: 'services as YAML, for apply',
  operands: ['[SERVICE]'],
  about: `Prints one service, or every current one, as YAML that services apply -f takes back. Secrets stand in it by
their names only.`,
  flags: {},
  examples: ['realmgate services export > services.yaml', 'realmgate services export brave-otter > app.yaml'],
  async run({ operands: [name], screen, connect }) {
    const api = await connect();
    screen.out(await api.exportServices(name === undefined ? null : (await findService(api, name)).id));
    return 0;
  },
});
