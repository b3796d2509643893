import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { exportServices } from '../../../src/control/services/export.ts';
import { readSpec } from '../../../src/control/services/read-spec.ts';
import { named, specOf } from '../store/support.ts';

function readBack(yaml: string): unknown[] {
  return [...parseAllDocuments(yaml)].map((document) => document.toJS() as unknown);
}

const OPTIONS = { base: null, clone: false, taken: () => false };

test('what is exported is read back as the same services, values that look like others included', () => {
  const odd = specOf({
    parameters: {
      truth: 'true',
      number: '007',
      nothing: '',
      date: '2026-01-01',
      lines: 'a\n  b\n\n',
      long: 'word '.repeat(100),
      'no.way': 'no',
      tilde: '~',
      key: 'a: b # c',
    },
    health: { path: '/healthz' },
    access: { roles: ['client:api/editor'], scopes: ['read'], clients: ['istio'] },
  });
  const services = [odd, named('second'), named('third')];
  const documents = readBack(exportServices(services));
  expect(documents).toEqual(services);
  expect(documents.map((each) => readSpec(each, OPTIONS).spec)).toEqual(services);
});

test('the text is the same whatever the order in which a service was put together', () => {
  const spec = specOf({ parameters: { b: '1', a: '2' } });
  const shuffled = Object.fromEntries(Object.entries(spec).reverse()) as unknown as typeof spec;
  expect(exportServices([{ ...shuffled, parameters: { a: '2', b: '1' } }])).toBe(exportServices([spec]));
  expect(exportServices([spec])).toMatch(
    /^name: brave-otter\nendpoint: \/hello\ntype: shell\npath: run\.sh\n/,
  );
});

test('no services are a comment', () => {
  expect(readBack(exportServices([]))).not.toContainEqual(expect.objectContaining({}));
  expect(exportServices([])).toBe('# There are no services.\n');
});
