import { createLocalDriver } from '../../../../src/control/drivers/local/local-driver.ts';
import type { Deployment } from '../../../../src/contracts/driver.ts';
import { GitCache } from '../../../../src/control/git/git-cache.ts';
import { join } from 'node:path';

/**
 * A process that runs a driver and nothing else: `DATA-DIR FIRST-PORT DEPLOYMENTS-AS-JSON`. It tells what happens as lines of JSON,
 * and ends in order on SIGTERM.
 */
const [dataDir = '', firstPort = '', deployments = '[]'] = process.argv.slice(2);
const PATH = process.env['PATH'] ?? '';

function tell(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

const driver = createLocalDriver({
  dataDir,
  settings: {
    portRange: { first: Number(firstPort), last: Number(firstPort) + 99 },
    restartBackoff: { first: 50, max: 400, resetAfter: 60_000 },
  },
  environment: { PATH, HOME: dataDir },
  git: new GitCache({ directory: join(dataDir, 'git'), environment: { PATH } }),
  events: {
    changed: () => undefined,
    happened: (deployment, event) => tell({ deployment, ...event }),
  },
  log: {
    warn: (fields, message) => tell({ kind: 'log', message, fields }),
    error: (fields, message) => tell({ kind: 'log', message, fields }),
  },
});
process.once('SIGTERM', () => void driver.close());
await driver.start();
tell({ kind: 'started' });
for (const deployment of JSON.parse(deployments) as Deployment[]) driver.deploy(deployment);
