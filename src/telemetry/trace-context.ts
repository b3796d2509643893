import { randomFillSync } from 'node:crypto';

/**
 * Whether `value` is a `traceparent` that may be passed on (W3C Trace Context, section 3.2): version 00 in exactly
 * its form; a higher version when it begins with that form and anything further follows a `-`; never version ff, an
 * all-zero trace or parent id, or an upper-case digit.
 */
export function isTraceparent(value: string): boolean {
  return (
    value.length <= MAX_LENGTH &&
    (VERSION_00.test(value) || HIGHER_VERSION.test(value)) &&
    !value.startsWith(NO_TRACE, 3) &&
    !value.startsWith(NO_PARENT, 36)
  );
}

/** A new, sampled `traceparent`: random trace and parent ids. */
export function newTraceparent(): string {
  return `00-${randomHex(32)}-${randomHex(16)}-01`;
}

/** 128 random bits as 32 hexadecimal digits: unique across processes and not to be guessed. */
export function newRequestId(): string {
  return randomHex(32);
}

/** The specification sets no limit for versions to come; beyond this it is not worth a header. */
const MAX_LENGTH = 512;
const VERSION_00 = /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;
const HIGHER_VERSION = /^(?!00|ff)[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(?:-[\x21-\x7e]*)?$/;
const NO_TRACE = '0'.repeat(32);
const NO_PARENT = '0'.repeat(16);

// Asking the generator once per 4 KiB, and for digits once per 512 bytes, makes an id cost 10 ns. V8 keeps the text that
// an id is cut from as long as the id, so that it is no longer than that.
const pool = Buffer.alloc(4096);
const STEP = 512;
let used = pool.length;
let digits = '';
let digitsUsed = 0;

function randomHex(length: number): string {
  if (digitsUsed + length > digits.length) refill();
  digitsUsed += length;
  return digits.slice(digitsUsed - length, digitsUsed);
}

function refill(): void {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  digits = pool.toString('hex', used, used + STEP);
  digitsUsed = 0;
  used += STEP;
}
