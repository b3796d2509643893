import { describe, expect, it } from 'vitest';
import { isTraceparent, newRequestId, newTraceparent } from '../../src/telemetry/trace-context.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = '00f067aa0ba902b7';

describe('isTraceparent (W3C Trace Context)', () => {
  it.each([
    `00-${TRACE}-${PARENT}-01`,
    `00-${TRACE}-${PARENT}-00`,
    `00-${TRACE}-${PARENT}-ff`,
    `01-${TRACE}-${PARENT}-01`,
    `cc-${TRACE}-${PARENT}-01-what-the-future-will-be-like`,
    `fe-${TRACE}-${PARENT}-01-`,
    `00-${'0'.repeat(31)}1-${'0'.repeat(15)}1-00`,
  ])('takes %s', (value) => {
    expect(isTraceparent(value)).toBe(true);
  });

  it.each([
    '',
    `ff-${TRACE}-${PARENT}-01`,
    `FF-${TRACE}-${PARENT}-01`,
    `00-${'0'.repeat(32)}-${PARENT}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `01-${'0'.repeat(32)}-${PARENT}-01`,
    `00-${TRACE.toUpperCase()}-${PARENT}-01`,
    `00-${TRACE}-${PARENT.toUpperCase()}-01`,
    `00-${TRACE}-${PARENT}-0A`,
    `00-${TRACE}-${PARENT}-01-more`,
    `00-${TRACE}-${PARENT}-01-`,
    `00-${TRACE}-${PARENT}-1`,
    `00-${TRACE}-${PARENT}`,
    `00-${TRACE.slice(1)}-${PARENT}-01`,
    `00-${TRACE}0-${PARENT}-01`,
    `0-${TRACE}-${PARENT}-01`,
    `cc-${TRACE}-${PARENT}-01.what`,
    `cc-${TRACE}-${PARENT}-01-\r\nX-Forwarded-User: root`,
    `cc-${TRACE}-${PARENT}-01-${'x'.repeat(1000)}`,
    `00-${TRACE}-${PARENT}-01\n`,
    ` 00-${TRACE}-${PARENT}-01`,
    `00_${TRACE}_${PARENT}_01`,
    `0g-${TRACE}-${PARENT}-01`,
  ])('refuses %j', (value) => {
    expect(isTraceparent(value)).toBe(false);
  });
});

describe('new ids', () => {
  it('are valid, sampled and never the same twice', () => {
    const made = Array.from({ length: 5000 }, () => newTraceparent());
    expect(made.every((value) => isTraceparent(value) && value.endsWith('-01'))).toBe(true);
    expect(new Set(made.map((value) => value.slice(3, 35))).size).toBe(made.length);
    expect(new Set(made.map((value) => value.slice(36, 52))).size).toBe(made.length);
  });

  it('of requests are 128 bits in hexadecimal', () => {
    const made = Array.from({ length: 5000 }, () => newRequestId());
    expect(made.every((value) => /^[0-9a-f]{32}$/.test(value))).toBe(true);
    expect(new Set(made).size).toBe(made.length);
  });
});
