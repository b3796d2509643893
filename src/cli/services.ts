import { group } from './command.ts';
import { cancel, restart, rollback } from './services/act.ts';
import { apply } from './services/apply.ts';
import { clone, update } from './services/change.ts';
import { create } from './services/create.ts';
import { exportServices } from './services/export.ts';
import { events, revisions } from './services/history.ts';
import { list } from './services/list.ts';
import { logs } from './services/logs.ts';
import { preflight } from './services/preflight.ts';
import { show } from './services/show.ts';

export const services = group('services', 'run, watch and change services from git repositories', {
  list,
  show,
  create,
  update,
  restart,
  cancel,
  clone,
  logs,
  events,
  revisions,
  rollback,
  preflight,
  export: exportServices,
  apply,
});
