import type { FromWorker, ToWorker } from '../contracts/worker-messages.ts';
import { AccessLog } from '../telemetry/access-log.ts';
import { createLogger, flush, logSink } from '../telemetry/log.ts';
import { WorkerMetrics } from '../telemetry/metrics.ts';
import { CHECK_RESULTS } from './authenticate.ts';
import { ControlClient } from './control-client.ts';
import { Gateway } from './gateway.ts';
import { GatewayServer } from './server.ts';

/**
 * The program of a worker process. It serves by what the primary publishes, answers nothing itself when the primary
 * is gone, and leaves ending the process to its empty event loop.
 */

/** How often counters go to the primary, in ms: what a killed worker counted since is lost. */
const REPORT_EVERY = 5_000;

type Start = Extract<ToWorker, { kind: 'start' }>;

const send = (message: FromWorker): void => {
  if (process.connected) process.send?.(message);
};
const control = new ControlClient(send);
let running: { gateway: Gateway; server: GatewayServer; report(): void } | null = null;
let draining = false;

process.on('message', (message: ToWorker) => {
  switch (message.kind) {
    case 'start':
      start(message).catch((error: unknown) => {
        const { code = 'UNKNOWN', message: text } = error as NodeJS.ErrnoException;
        send({ kind: 'failed', code, message: text });
      });
      break;
    case 'publish':
      running?.gateway.apply(message.sections);
      break;
    case 'certificate':
      running?.server.reloadCertificate();
      break;
    case 'report':
      running?.report();
      break;
    case 'drain':
      void drain();
      break;
    case 'answer':
      control.answered(message.id, message.value);
      break;
    case 'no-answer':
      control.notAnswered(message.id, message.message);
      break;
  }
});
// A terminal sends its signals to the whole group; it is the primary's to say when to stop.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
process.on('SIGHUP', () => undefined);
process.on('disconnect', () => void drain());
send({ kind: 'loaded' });

async function start({ snapshot, output, slot }: Start): Promise<void> {
  const name = `worker-${slot}` as const;
  const log = createLogger({ ...output, name });
  const metrics = new WorkerMetrics(name);
  const accessLog = output.level === 'info' ? new AccessLog(logSink(output.pretty), name) : null;
  const gateway = new Gateway(snapshot, { control, metrics, log, accessLog });
  const server = new GatewayServer(gateway);
  metrics.attach({
    tokenChecks: () => {
      const stats = gateway.authenticator.stats();
      return new Map(CHECK_RESULTS.map((result) => [result, stats[result]]));
    },
    tokenCache: () => gateway.authenticator.stats(),
    upstreamConnections: () => gateway.client.connections(),
    requestsInFlight: () => gateway.inFlight,
    clientConnections: () => server.connections,
  });
  const report = (): void => send({ kind: 'metrics', metrics: metrics.toJSON() });
  setInterval(report, REPORT_EVERY).unref();
  // A bug outside of any request must not take the others with it.
  process.on('uncaughtException', (err) => log.error({ err }, 'An error reached the top of a worker'));
  process.on('unhandledRejection', (err) => log.error({ err }, 'A rejection reached the top of a worker'));
  const port = await server.listen(gateway.settings.listen);
  running = { gateway, server, report };
  send({ kind: 'listening', port });
}

async function drain(): Promise<void> {
  if (draining) return;
  draining = true;
  if (running !== null) {
    await running.server.drain();
    running.gateway.deadlines.stop();
    running.gateway.client.close();
    running.report();
  }
  flush();
  if (process.connected) process.disconnect?.();
}
