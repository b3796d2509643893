import type { ControlChannel } from '../../../src/contracts/control-channel.ts';
import type { Snapshot } from '../../../src/contracts/snapshot.ts';
import { Gateway } from '../../../src/gateway/gateway.ts';
import { GatewayServer } from '../../../src/gateway/server.ts';
import { WorkerMetrics } from '../../../src/telemetry/metrics.ts';

/** The program of `gateway-process.ts`: serves by the snapshot that it is sent, and answers with its port. */

const nobody = (): never => {
  throw new Error('there is no primary');
};
const control: ControlChannel = {
  refreshKeys: nobody,
  introspect: nobody,
  takeRate: nobody,
  enter: nobody,
  leave: nobody,
  awaitUpstream: nobody,
  backchannelLogout: nobody,
};

process.once('message', (snapshot: Snapshot) => {
  const log = { debug: () => undefined, warn: () => undefined, error: () => undefined };
  const metrics = new WorkerMetrics('worker-1');
  const server = new GatewayServer(new Gateway(snapshot, { control, metrics, accessLog: null, log }));
  void server.listen(snapshot.gateway.listen).then((port) => process.send?.(port));
});
