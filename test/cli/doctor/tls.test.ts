import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { certificate } from '../../../src/cli/doctor/tls.ts';

const PEM = readFileSync(new URL('../../fixtures/tls/localhost.crt', import.meta.url), 'utf8');
const EXPIRY = Date.parse('2126-10-30T23:47:54Z');
const DAY = 24 * 60 * 60 * 1000;

const told = (publicUrl: string | null, now = Date.now()) =>
  certificate(PEM, publicUrl, now).map(({ result, found }) => `${result}: ${found}`);

test('a certificate is judged by its dates', () => {
  expect(told(null)).toEqual(['ok: the certificate is valid until 2126-10-30']);
  expect(told(null, EXPIRY - 15 * DAY)).toEqual(['ok: the certificate is valid until 2126-10-30']);
  expect(told(null, EXPIRY - 13.5 * DAY)).toEqual([
    'warning: the certificate expires on 2126-10-30, in 13 days',
  ]);
  expect(told(null, EXPIRY + 1)).toEqual(['fault: the certificate has expired on 2126-10-30']);
  expect(told(null, Date.parse('2026-01-01'))[0]).toMatch(/^fault: the certificate is valid from 2026-/);
});

test('and by whom it names', () => {
  expect(told('https://localhost:8443')[1]).toMatch(/^ok: the certificate names localhost/);
  expect(told('https://127.0.0.1')[1]).toMatch(/^ok: the certificate names 127.0.0.1/);
  expect(told('https://[::1]')[1]).toMatch(/^fault: the certificate does not name ::1/);
  expect(told('https://services.example.com')[1]).toMatch(
    /^fault: the certificate does not name services.example/,
  );
});
