import { Refusal } from '../../errors.ts';
import { METRICS_TYPE } from '../../telemetry/render-metrics.ts';
import type { Operation } from '../operation.ts';
import { LINES_TYPE, text } from '../results.ts';

/** How the process does. */
export const healthOperations: readonly Operation[] = [
  {
    of: 'process',
    tag: 'health',
    method: 'GET',
    path: '/healthz',
    id: 'isAlive',
    role: null,
    summary: 'Whether the process lives',
    answers: { 200: { description: 'It does', content: { text: LINES_TYPE } } },
    handle: () => text(LINES_TYPE, 'ok\n'),
  },
  {
    of: 'process',
    tag: 'health',
    method: 'GET',
    path: '/readyz',
    id: 'isReady',
    role: null,
    summary: 'Whether requests can be served',
    answers: { 200: { description: 'They can', content: { text: LINES_TYPE } } },
    refusals: ['service_unavailable'],
    handle: (program) => {
      const { ok: ready, problems } = program.ready();
      if (!ready) throw new Refusal('service_unavailable', problems.join('; '));
      return text(LINES_TYPE, 'ok\n');
    },
  },
  {
    of: 'process',
    tag: 'health',
    method: 'GET',
    path: '/metrics',
    id: 'readMetrics',
    role: null,
    summary: 'Metrics for Prometheus',
    answers: { 200: { description: 'Prometheus text', content: { text: METRICS_TYPE } } },
    handle: async (program) => text(METRICS_TYPE, await program.metrics()),
  },
];
