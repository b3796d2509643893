import { readFileSync } from 'node:fs';
import { Check } from 'typebox/value';
import { parse } from 'yaml';
import { expect, test } from 'vitest';
import { CONFIG_FILE } from '../../src/config/schema.ts';
import { schemaText } from '../../src/config/schema-text.ts';
import { faultsOf } from './support.ts';

test('config/schema.json is what schema.ts says; if not: node src/config/write-schema.ts', () => {
  expect(readFileSync('config/schema.json', 'utf8')).toBe(schemaText());
});

interface Node {
  readonly description?: string;
  readonly additionalProperties?: boolean;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly items?: Node;
}

function* nodes(node: Node, path: string): Generator<[string, Node]> {
  yield [path, node];
  for (const [key, property] of Object.entries(node.properties ?? {}))
    yield* nodes(property, `${path}.${key}`);
  if (node.items !== undefined) yield* nodes(node.items, `${path}[]`);
}

test('every property has a description, and every section refuses unknown keys', () => {
  const all = [...nodes(JSON.parse(schemaText()) as Node, '')];
  expect(all.length).toBeGreaterThan(80);
  expect(all.filter(([, node]) => node.description === undefined).map(([path]) => path)).toEqual([]);
  const open = all.filter(([, node]) => node.properties !== undefined && node.additionalProperties !== false);
  expect(open.map(([path]) => path)).toEqual([]);
});

test('the schema that editors use accepts the files in config/, references included', () => {
  for (const file of ['config/local.yaml', 'config/examples/keycloak.yaml']) {
    expect(Check(CONFIG_FILE, parse(readFileSync(file, 'utf8')))).toBe(true);
  }
});

const realm = (more: string) => `realms: [{name: demo, url: "http://kc"${more}}]`;

test.each([
  realm(''),
  `${realm('')}\ngateway: {workers: "\${WORKERS}", accessLog: "\${LOG}", listen: "\${HOST}:80"}`,
  realm(', clients: [a], clockSkew: 0s'),
  `${realm('')}\nservices: {kubernetes: {kubeconfig: null}, driver: "\${DRIVER}"}`,
  `${realm('')}\nexample: {directory: x, name: a, endpoint: /a}`,
  `${realm('')}\nroutes: []`,
  realm(', clients: []'),
  realm(', clients: a'),
  realm(', algorithms: [none]'),
  realm(', unknown: 1'),
  realm(', clockSkew: 30'),
  `${realm('')}\ngateway: {workers: 0}`,
  `${realm('')}\ngateway: {workers: many}`,
  `${realm('')}\ngateway: {accessLog: "yes"}`,
  `${realm('')}\ngateway: {tls: {cert: x}}`,
  `${realm('')}\ngateway: {listen: 8080}`,
  `${realm('')}\ngateway: null`,
  `${realm('')}\nroutes: [{name: a}]`,
  `${realm('')}\nexample: {directory: x, name: A}`,
  `${realm('')}\nservices: {driver: docker}`,
])('the checker and typebox agree about %j', async (text) => {
  const faults = await faultsOf(text, { WORKERS: '1', LOG: 'true', HOST: 'localhost', DRIVER: 'none' });
  expect(Check(CONFIG_FILE, parse(text))).toBe(faults.length === 0);
});
