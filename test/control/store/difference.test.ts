import { expect, test } from 'vitest';
import { auditDifference } from '../../../src/control/store/difference.ts';

test.each([
  [{ a: 1, b: { c: [1] } }, { b: { c: [1] }, a: 1 }, {}],
  [{}, { a: 1, b: { c: 2 } }, { a: [null, 1], 'b.c': [null, 2] }],
  [{ a: 1, b: { c: 2 } }, {}, { a: [1, null], 'b.c': [2, null] }],
  [
    { a: [1, 2] },
    { a: [2, 1] },
    {
      a: [
        [1, 2],
        [2, 1],
      ],
    },
  ],
  [{ health: null }, { health: { path: '/x' } }, { 'health.path': [null, '/x'] }],
  [{ p: { x: '1', y: '2' } }, { p: { y: '3' } }, { 'p.x': ['1', null], 'p.y': ['2', '3'] }],
  [{}, { p: {}, l: [] }, { p: [null, {}], l: [null, []] }],
  [{ p: 'text' }, { p: { x: 1 } }, { 'p.x': [null, 1] }],
])('%j to %j', (before, after, difference) => {
  expect(auditDifference(before, after)).toEqual(difference);
});

test('keys that every object inherits are keys like others', () => {
  const after = JSON.parse('{"constructor": 1, "__proto__": {"x": 2}}') as object;
  expect(JSON.stringify(auditDifference({}, after))).toBe('{"constructor":[null,1],"__proto__.x":[null,2]}');
});
