import { Socket } from 'node:net';
import type { FromWorker, ToWorker } from '../contracts/worker-messages.ts';
import { AccessLog } from '../telemetry/access-log.ts';
import { createLogger, flush, logSink, type Logger } from '../telemetry/log.ts';
import { WorkerMetrics } from '../telemetry/metrics.ts';
import { CHECK_RESULTS } from './check-counts.ts';
import { ControlClient } from './control-client.ts';
import { explain } from './explain.ts';
import { Gateway } from './gateway.ts';
import { GatewayServer } from './server.ts';

/**
 * The program of a worker process. It serves by what the primary publishes and on the connections that it is given.
 * When the primary is gone, requests in progress finish. Ending the process is left to its empty event loop.
 */

/** How often counters go to the primary, in ms: what a killed worker counted since is lost. */
const REPORT_EVERY = 5_000;

/** Messages that may wait for a primary that does not read; then nothing is asked and nothing is reported. */
const MOST_UNSENT = 10_000;

type Start = Extract<ToWorker, { kind: 'start' }>;

interface Running {
  readonly gateway: Gateway;
  readonly server: GatewayServer;
  readonly log: Logger;
  report(): void;
}

let unsent = 0;
const sent = (): void => {
  unsent--;
};
const control = new ControlClient(send);
let running: Running | null = null;
let draining = false;
/** Id of the newest connection that came. */
let lastConnection = 0;

process.on('message', (message: ToWorker, handle: unknown) => {
  switch (message.kind) {
    case 'start':
      try {
        running = start(message);
        send({ kind: 'serving' });
      } catch (error) {
        send({ kind: 'failed', message: error instanceof Error ? error.message : String(error) });
      }
      break;
    case 'connection':
      send({ kind: 'took' }); // before a byte is read: from here on nobody else can serve it
      lastConnection = message.id;
      if (handle instanceof Socket) take(handle);
      break;
    case 'offered':
      if (lastConnection < message.id) send({ kind: 'missed' });
      break;
    case 'publish':
      running?.gateway.apply(message.sections);
      if (message.sections.gateway !== undefined) renewCertificate();
      break;
    case 'report':
      running?.report();
      break;
    case 'inquire':
      void reply(message);
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

/** Throws where an answer is awaited that cannot come. */
function send(message: FromWorker): void {
  if (!process.connected || unsent >= MOST_UNSENT) {
    if (message.kind === 'ask') throw new Error('The primary does not answer');
    // What is given back must arrive, however late.
    if (!process.connected || message.kind === 'metrics') return;
  }
  unsent++;
  process.send?.(message, undefined, undefined, sent);
}

function start({ snapshot, output, slot, ticketKeys }: Start): Running {
  const name = `worker-${slot}` as const;
  const log = createLogger({ ...output, name });
  const metrics = new WorkerMetrics(name);
  const accessLog = output.level === 'info' ? new AccessLog(logSink(output.pretty), name) : null;
  const gateway = new Gateway(snapshot, { control, metrics, log, accessLog });
  const server = new GatewayServer(gateway, Buffer.from(ticketKeys, 'base64'));
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
  // Nothing is added to a queue that the primary has not emptied since the last time.
  setInterval(() => {
    if (unsent === 0) report();
  }, REPORT_EVERY).unref();
  // A bug outside of any request must not take the others with it.
  process.on('uncaughtException', (err) => log.error({ err }, 'An error reached the top of a worker'));
  process.on('unhandledRejection', (err) => log.error({ err }, 'A rejection reached the top of a worker'));
  return { gateway, server, log, report };
}

async function reply({ id, inquiry }: Extract<ToWorker, { kind: 'inquire' }>): Promise<void> {
  if (running === null) return;
  const { gateway } = running;
  const value = inquiry.about === 'load' ? gateway.load() : await explain(gateway, inquiry.question);
  send({ kind: 'reply', id, value });
}

function take(socket: Socket): void {
  if (running === null || draining) socket.destroy();
  else running.server.take(socket);
}

function renewCertificate(): void {
  try {
    running?.server.reloadCertificate();
  } catch (err) {
    running?.log.error({ err }, 'The renewed certificate cannot be used; the one before stays');
  }
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
